/* hone-report: what its files share. main.c parses; run.c reads run directories; curves.c says which charts there are;
 * chart.c has their scales, chart_svg.c and chart_text.c draw them; page.c puts the page together out of summary.c,
 * classes.c, mistakes.c and settings.c; style.c is its look. */
#ifndef HONE_TOOLS_REPORT_H
#define HONE_TOOLS_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "eval/predictions.h"

/* ---- run.c ---- */

/* One run, checked: every number in it is finite and below RUN_NUMBER_MAX. */
#define RUN_NUMBER_MAX 1e15

enum train_column { TRAIN_STEP, TRAIN_EPOCH, TRAIN_LOSS, TRAIN_GRAD_NORM, TRAIN_RATE, TRAIN_TOKENS, TRAIN_SPEED, TRAIN_RSS,
	N_TRAIN_COLUMNS };

struct run {
	const char *path;             /* borrowed */
	char *name;                   /* its last part, UTF-8 */
	json_t *info;                 /* run.json */
	double *train[N_TRAIN_COLUMNS];  /* [n_train]; NAN where an event lacks a member */
	size_t n_train, train_cap;
	json_t **eval;                /* [n_evals] eval events */
	size_t n_evals, evals_cap;
	struct predictions rows;      /* of the last evaluation that has any; n = 0: none */
	bool finished;                /* final/ is there */
};

/* Reads run.json, metrics.jsonl and predictions.jsonl of a run directory. ERR_DATA with file and line for what is amiss;
 * a last line that a crash cut short is left out. The caller closes it either way. */
int run_open(struct run *r, const char *path, struct err *e);
void run_close(struct run *r);

double run_eval(const struct run *r, size_t i, const char *key);        /* a figure of an evaluation; NAN: none */
const json_t *run_last_eval(const struct run *r);                       /* NULL: none */
const json_t *run_get(const struct run *r, const char *group, const char *key);  /* of run.json; NULL: none */
const char *run_text(const struct run *r, const char *group, const char *key);   /* a string there; NULL: none */

/* Seconds that training took: tokens / speed of the logged steps, extended to those that were not logged. NAN: unknown. */
double run_seconds(const struct run *r);
double run_speed(const struct run *r);       /* tokens / second over all logged steps; NAN: unknown */
double run_memory(const struct run *r);      /* peak bytes; NAN: unknown */

/* Where in `evals` the best value of a figure stands; n_evals when none has it. */
size_t run_best(const struct run *r, const char *key, bool lower);

/* ---- chart.c: scales, and what of a series is drawn ---- */

enum series_style { SERIES_LINE, SERIES_FAINT, SERIES_DOTS };

struct series {
	const char *name;             /* for the legend; NULL: not in it */
	size_t run;                   /* its colour */
	enum series_style style;      /* dots have a line as well */
	double *x, *y;                /* [n] owned; x ascending; y never NAN */
	size_t n;
};

struct chart {
	const char *title;
	char note[96];                /* may be empty */
	const char *x_name;           /* "step", "epoch" */
	struct series *series;        /* [n] owned */
	size_t n, cap;
	bool from_zero;               /* the vertical scale begins at 0 */
	double y_max;                 /* the scale goes no further; NAN: as far as the values */
	double epoch;                 /* steps an epoch, where x counts steps and all runs agree; else 0 */
};

struct scale {
	double low, high;             /* the ends, multiples of step */
	double step;                  /* between ticks */
	int digits;                   /* of tick labels behind the point */
};

/* About n ticks at 1, 2 or 5 times a power of ten that cover [low, high]. */
struct scale scale_cover(double low, double high, int n);
struct scale chart_x(const struct chart *c, int n);
struct scale chart_y(const struct chart *c, int n);

/* "1.5k", "2M", "0.25": a tick's label. */
enum { LABEL_MAX = 32 };
void scale_label(const struct scale *s, double v, char text[LABEL_MAX]);

/* Adds a series of the points whose y is a number, and returns it. */
struct series *chart_add(struct chart *c, const double *x, const double *y, size_t n);
void chart_release(struct chart *c);

/* Points that stand for a series drawn `columns` wide: of each column the first, the lowest, the highest and the last.
 * Returns how many; x and y have room for 4 * columns. */
size_t series_thin(const struct series *s, const struct scale *x_scale, int columns, double *x, double *y);

/* Means over each value and `half` on both sides of it, as far as there are any. */
void smooth(double *out, const double *y, size_t n, size_t half);

/* ---- curves.c ---- */

/* The charts of these runs: those for which at least one has values. */
size_t curves_make(struct chart **charts, const struct run *runs, size_t n);
void curves_free(struct chart *charts, size_t n);

/* ---- drawing ---- */

void chart_svg(struct buf *b, const struct chart *c);

struct terminal {
	int width;
	bool utf8, colour;
};

void chart_text(struct buf *b, const struct chart *c, const struct terminal *t);

/* ---- the page ---- */

struct report_options {
	const char *title;            /* NULL: the runs' names */
	int mistakes;                 /* how many of each run are shown */
};

void page_write(struct buf *b, const struct run *runs, size_t n, const struct report_options *o);
extern const char page_style[];

void put_summary(struct buf *b, const struct run *runs, size_t n);
void put_classes(struct buf *b, const struct run *r, bool named);
void put_mistakes(struct buf *b, const struct run *r, bool named, int limit);
void put_settings(struct buf *b, const struct run *runs, size_t n);

/* Appends text as HTML, also fit for an attribute in double quotes; control characters are shown, not sent. */
void put_text(struct buf *b, const char *text);
void put_text_n(struct buf *b, const char *text, size_t n);

/* Appends text for a terminal: what could steer one is shown as U+FFFD. */
void put_plain(struct buf *b, const char *text);

/* A run's name with its colour before it. */
void put_run(struct buf *b, const struct run *runs, size_t i);

/* "12,345", "2 h 05 min", "1.2 GB"; an en dash for NAN. */
void put_count(struct buf *b, double v);
void put_duration(struct buf *b, double seconds);
void put_bytes(struct buf *b, double bytes);
void put_figure(struct buf *b, double v);

#endif

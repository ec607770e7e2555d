/* hone-eval: what its files share. main.c parses and concludes; dataset.c runs a model, generate.c lets it write; subject.c
 * reads figures and rows that exist; gates.c and baseline.c decide; compare.c puts sources side by side. */
#ifndef HONE_TOOLS_EVAL_H
#define HONE_TOOLS_EVAL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/opt.h"
#include "eval/evaluate.h"
#include "eval/generations.h"
#include "eval/metrics.h"
#include "model/model.h"

/* The command line. */
struct settings {
	const char *model, *adapter, *template, *dtype, *load_in_bits;
	const char *predictions, *metrics, *labels, *positive, *betas_text, *label_score;
	bool other_base, other_tokenizer;
	bool json, force, generate, compare, classification, classification_given;
	int n_classes, max_samples, micro_tokens, max_new_tokens, resamples, seed;
	struct opt_list require;
	const char *baseline, *baseline_figure, *baseline_rule;
	double significance;
	struct metrics_betas betas;  /* out of betas_text */
};

extern struct settings settings;

/* main.c: the settings, for what is written. */
json_t *lasting_settings(void);

/* ---- subject.c: figures, and the rows that they come from, if there are any ---- */

struct subject {
	const char *path;           /* borrowed */
	json_t *figures;            /* an object; of a key without a value null */
	bool has_rows, has_texts;
	struct predictions rows;    /* by line, where each row has one of its own */
	struct metrics metrics;     /* of rows */
	double *resampled;          /* figures of the resamples of rows, once they were needed; NULL before */
	struct generations texts;
	struct generation_metrics written;  /* of texts */
	json_t *provenance;         /* of the figures, and of the rows when they are written; may be NULL */
};

/* A run directory (its last evaluation), a file of predictions or of generations, or figures as --json prints them.
 * ERR_DATA when it is none of these. The caller closes it, also after a failure. */
int subject_open(struct subject *s, const char *path, struct err *e);

/* A file of predictions or of generations only; "-" is standard input. */
int subject_open_rows(struct subject *s, const char *path, struct err *e);

/* Computes the figures of s->rows or s->texts, which are filled in, and adds them to s->figures. */
int subject_compute(struct subject *s, struct err *e);
void subject_close(struct subject *s);

/* Prints the figures for people: what --json prints as one object. */
void subject_print(const struct subject *s);

/* ---- dataset.c, generate.c ---- */

/* Runs the model over the data, writes --predictions, and fills in rows and figures. */
int dataset_evaluate(struct subject *s, const char *data, struct err *e);

/* Continues the prompt of every example greedily and holds what comes against its completion. */
int dataset_generate(struct generations *g, struct model *m, const char *model_dir, struct dataset *d, size_t n, struct err *e);

/* ---- gates.c ---- */

/* Reads --require; ends the process when one is no comparison, or when it or --baseline-figure names a figure that this
 * command does not have. */
void gates_parse(bool has_loss);

/* Holds the figures against --require, tells every one that is not met, and adds "gates" to the figures; whether all are. */
bool gates_pass(const struct subject *s);

/* ---- baseline.c ---- */

enum test { TEST_NONE, TEST_MCNEMAR, TEST_PAIRED, TEST_FIXED };

/* One figure of two sources. */
struct difference {
	double a, b, difference;     /* b - a; NAN where not defined */
	struct interval interval;    /* of the difference, 95 %; NAN without a bootstrap */
	enum test test;
	double p;                    /* two-sided; NAN without a test */
	size_t rows;                 /* that the test is over */
};

/* McNemar's exact test when the figure is accuracy and both sources have the same rows; else the paired bootstrap over
 * these; else, when b alone has rows, the bootstrap of b against a's figure as if that were exact; else none. Only
 * sources that both have rows of different examples are an error. */
int difference_find(struct difference *d, struct subject *a, struct subject *b, const char *key, struct err *e);
const char *test_name(enum test t);
bool lower_is_better(const char *key);

/* Holds s against --baseline; 1 passed, 0 not (the reason is told), -1 an error. Adds "baseline" to the figures. */
int baseline_pass(struct subject *baseline, struct subject *s, struct err *e);

/* ---- compare.c ---- */

/* One table of n sources. */
int compare(const char *const *paths, size_t n, struct err *e);

#endif

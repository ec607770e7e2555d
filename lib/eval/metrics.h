/* Classification figures, the same numbers as scikit-learn's; docs/metrics.md defines each of them.
 * A figure that is not defined for the data is NAN here, null in JSON, an empty cell in results.csv. */
#ifndef HONE_EVAL_METRICS_H
#define HONE_EVAL_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "eval/bootstrap.h"
#include "eval/figures.h"
#include "eval/predictions.h"

enum {
	METRICS_BETAS_MAX = FIGURE_BETAS_MAX,
	METRICS_CONFUSION_MAX = 256,  /* classes beyond which no confusion matrix is kept */
	METRICS_KEY_MAX = 64,
};

/* ERR_USAGE when a beta is not within 0.001 and 1000, or there are too many. */
int metrics_betas_set(struct metrics_betas *b, const double *betas, size_t n, struct err *e);

/* The same out of "0.5,2"; NULL is an empty list. */
int metrics_betas_parse(struct metrics_betas *b, const char *text, struct err *e);

/* "classification/f0.5", "classification/f2.0". */
void metrics_beta_key(char key[METRICS_KEY_MAX], double beta);

/* "classification/macro_f1_score": the key of a figure (enum figure, FIGURE_F + i for the i-th beta). */
void metrics_key(char key[METRICS_KEY_MAX], int figure, const struct metrics_betas *b);

/* The figure that a key names among those of these betas; -1 when none does. */
int metrics_figure(const char *key, const struct metrics_betas *b);

/* Whether less is better: log loss, calibration error, probability outside the labels. */
bool metrics_lower_is_better(int figure);

struct metrics_options {
	int positive;  /* the class that the binary figures are about; -1: no binary figures */
	const double *betas;
	size_t n_betas;
	struct bootstrap bootstrap;  /* no resamples: no intervals */
};

struct metrics_class {
	char *name;
	int64_t support, predicted, correct;  /* rows of this label, rows given this class, rows where both */
	double precision, recall, f1;         /* NAN where not defined; 0 stands for it in the averages */
};

struct metrics {
	int64_t examples;     /* rows with a label: what every figure is over */
	int64_t unlabelled;   /* rows without one, left out */
	int64_t abstentions;  /* examples without a prediction: they count as wrong */
	double accuracy, weighted_f1, macro_f1, micro_f1, mcc, kappa;
	double log_loss, ece;  /* defined when every example has scores */
	double outside;        /* mean probability outside the labels; defined when every example has it */

	int positive;  /* -1: the binary figures below are not meant */
	double precision, recall, auroc, auprc;
	struct metrics_betas betas;
	double f[METRICS_BETAS_MAX];

	struct bootstrap bootstrap;
	struct interval interval[FIGURES_MAX];  /* of 95 %, by enum figure; meant when there are resamples */

	int K;
	struct metrics_class *class;  /* [K] */
	int64_t *confusion;           /* [K][K], label × prediction; NULL beyond METRICS_CONFUSION_MAX classes */
};

/* Fills *m, which the caller releases, also after a failure. Sums run in the order of rows and classes, so equal
 * input gives equal bits. At most INT_MAX rows. */
int metrics_compute(struct metrics *m, const struct predictions *p, const struct metrics_options *o,
	struct err *e);
void metrics_release(struct metrics *m);

/* The figures of every resample of these rows, by enum figure: [FIGURES_MAX][resamples], malloced; NULL without. */
double *metrics_resample(const struct figure_rows *r, const struct bootstrap *b);

/* All figures as an object, keys "classification/...", in a fixed order; a new reference. */
json_t *metrics_json(const struct metrics *m);

/* The same for people. Names are printed with their control characters escaped. */
void metrics_print(FILE *f, const struct metrics *m);

#endif

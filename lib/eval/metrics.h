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
#include "eval/predictions.h"

enum {
	METRICS_BETAS_MAX = 16,       /* 1.0 included */
	METRICS_ECE_BINS = 15,        /* of equal width over (0, 1] */
	METRICS_CONFUSION_MAX = 256,  /* classes beyond which no confusion matrix is kept */
	METRICS_KEY_MAX = 64,
};

/* The betas of the F figures: 1.0, then those asked for, each once. */
struct metrics_betas {
	double v[METRICS_BETAS_MAX];
	size_t n;
};

/* ERR_USAGE when a beta is not within 0.001 and 1000, or there are too many. */
int metrics_betas_set(struct metrics_betas *b, const double *betas, size_t n, struct err *e);

/* The same out of "0.5,2"; NULL is an empty list. */
int metrics_betas_parse(struct metrics_betas *b, const char *text, struct err *e);

/* "classification/f0.5", "classification/f2.0". */
void metrics_beta_key(char key[METRICS_KEY_MAX], double beta);

struct metrics_options {
	int positive;  /* the class that the binary figures are about; -1: no binary figures */
	const double *betas;
	size_t n_betas;
};

struct metrics_class {
	char *name;
	int64_t support, predicted, correct;  /* rows of this label, rows given this class, rows where both */
	double precision, recall, f1;         /* 0 where not defined, as scikit-learn's zero_division=0 */
};

struct metrics {
	int64_t examples;     /* rows with a label: what every figure is over */
	int64_t unlabelled;   /* rows without one, left out */
	int64_t abstentions;  /* examples without a prediction: they count as wrong */
	double accuracy, weighted_f1, macro_f1, micro_f1, mcc, kappa;
	double log_loss, ece;  /* defined when every example has scores */

	int positive;  /* -1: the binary figures below are not meant */
	double precision, recall, auroc, auprc;
	struct metrics_betas betas;
	double f[METRICS_BETAS_MAX];

	int K;
	struct metrics_class *class;  /* [K] */
	int64_t *confusion;           /* [K][K], label × prediction; NULL beyond METRICS_CONFUSION_MAX classes */
};

/* Fills *m, which the caller releases, also after a failure. Sums run in the order of rows and classes, so equal
 * input gives equal bits. At most INT_MAX rows. */
int metrics_compute(struct metrics *m, const struct predictions *p, const struct metrics_options *o,
	struct err *e);
void metrics_release(struct metrics *m);

/* All figures as an object, keys "classification/...", in a fixed order; a new reference. */
json_t *metrics_json(const struct metrics *m);

/* The same for people. Names are printed with their control characters escaped. */
void metrics_print(FILE *f, const struct metrics *m);

#endif

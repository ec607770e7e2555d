/* Every figure of a classification as a function of rows with weights: with weight 1 each they are the figures
 * themselves, with the counts of a resample those of the bootstrap. docs/metrics.md defines them. */
#ifndef HONE_EVAL_FIGURES_H
#define HONE_EVAL_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eval/predictions.h"

enum {
	FIGURE_BETAS_MAX = 16,  /* 1.0 included */
	FIGURE_ECE_BINS = 15,   /* of equal width over (0, 1] */
};

/* The betas of the F figures: 1.0, then those asked for, each once. */
struct metrics_betas {
	double v[FIGURE_BETAS_MAX];
	size_t n;
};

enum figure {
	FIGURE_ACCURACY,
	FIGURE_WEIGHTED_F1,
	FIGURE_MACRO_F1,
	FIGURE_MICRO_F1,
	FIGURE_MCC,
	FIGURE_KAPPA,
	FIGURE_LOG_LOSS,
	FIGURE_ECE,
	FIGURE_OUTSIDE,
	FIGURE_PRECISION,  /* from here on: of the positive class */
	FIGURE_RECALL,
	FIGURE_AUROC,
	FIGURE_AUPRC,
	FIGURE_F,          /* and one for each further beta */
	FIGURES_MAX = FIGURE_F + FIGURE_BETAS_MAX,
};

/* The rows that have a label, as columns. */
struct figure_rows {
	size_t n;
	int K;                      /* classes */
	int positive;               /* a class, or -1: no figures of a positive class */
	struct metrics_betas betas;
	int *label, *prediction;    /* [n]; prediction -1: none */
	bool scored, has_outside;   /* every row has scores; has the probability outside the labels */
	double *loss, *confidence;  /* [n] -ln p of the label, p of the prediction; when scored */
	uint8_t *bin;               /* [n] of the confidence */
	double *outside;            /* [n] */
	uint32_t *rank;             /* [n] rows by falling score of the positive class; when scored and there is one */
	bool *tied;                 /* [n] whether rank[i] has the score of rank[i-1] */
};

void figure_rows_init(struct figure_rows *r, const struct predictions *p, int positive, const struct metrics_betas *betas);
void figure_rows_release(struct figure_rows *r);

/* Of each class: rows of this label, rows given this class, rows where both. Weighted. */
struct figure_counts {
	int64_t *support, *predicted, *correct;  /* [K] */
};

void figure_counts_init(struct figure_counts *c, int K);
void figure_counts_release(struct figure_counts *c);

/* Fills out[FIGURES_MAX], NAN where not defined, and *c (of K classes). weight [n], or NULL for 1 each; the weights'
 * sum is below 2^31. Sums run in the order of rows and classes. */
void figures_compute(double *out, struct figure_counts *c, const struct figure_rows *r, const uint32_t *weight);

/* C / P, C / T, 2C / (T+P) of a class; NAN where the denominator is 0. */
double figure_precision(const struct figure_counts *c, int k);
double figure_recall(const struct figure_counts *c, int k);
double figure_f1(const struct figure_counts *c, int k);

#endif

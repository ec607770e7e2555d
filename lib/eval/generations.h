/* Generated texts beside those that were wanted, as plain data and as a file of JSON lines
 *
 *   {"line": 3, "reference": "Paris", "generated": "It is Paris."}
 *
 * `reference` may be a list of texts, of which each figure takes the nearest; `line` may be missing or null. */
#ifndef HONE_EVAL_GENERATIONS_H
#define HONE_EVAL_GENERATIONS_H

#include <jansson.h>
#include <stdio.h>

#include "eval/bootstrap.h"
#include "eval/textmatch.h"
#include "base/file.h"

enum generation_figure {
	GENERATION_EXACT,
	GENERATION_NORMALIZED,
	GENERATION_TOKEN_F1,
	GENERATION_ROUGE_L,
	N_GENERATION_FIGURES,
};

struct generation {
	int64_t line;                             /* 0 when unknown */
	char *reference, *generated;              /* UTF-8; of several references the first */
	size_t n_reference, n_generated;
	double figure[N_GENERATION_FIGURES];      /* of this row */
};

struct generations {
	struct generation *row;
	size_t n, cap;
};

void generations_release(struct generations *g);

/* Adds a row and computes its figures; copies the texts. */
void generations_add(struct generations *g, int64_t line, const char *generated, size_t n_generated,
	const char *reference, size_t n_reference);

/* `provenance` (eval/row_seal.h) may be NULL. */
void generations_write(const struct generations *g, const json_t *provenance, struct out *out);

/* Reads a whole open file; what is amiss is ERR_DATA with file and line. The caller releases *g either way. */
int generations_read(struct generations *g, struct in *in, struct err *e);

/* "generation/rouge_l"; the figure that a key names, or -1. */
const char *generation_key(int figure);
int generation_figure(const char *key);

/* Means over the rows, and their 95 % intervals. */
struct generation_metrics {
	size_t examples;
	double figure[N_GENERATION_FIGURES];      /* NAN without rows */
	struct bootstrap bootstrap;
	struct interval interval[N_GENERATION_FIGURES];
};

void generation_metrics_compute(struct generation_metrics *m, const struct generations *g, const struct bootstrap *b);

/* Keys "generation/..."; a new reference. */
json_t *generation_metrics_json(const struct generation_metrics *m);
void generation_metrics_print(FILE *f, const struct generation_metrics *m);

/* The figures of every resample, [N_GENERATION_FIGURES][resamples], malloced; NULL without. `minus` (of as many rows, or
 * NULL) is subtracted row by row first: the paired difference. */
double *generations_resample(const struct generations *g, const struct generations *minus, const struct bootstrap *b);

#endif

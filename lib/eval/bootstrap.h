/* How far a figure would move with other rows drawn from where these came from: the percentile bootstrap (Efron and
 * Tibshirani 1993, chapters 13 and 16). A resample draws as many rows as there are, with replacement. Each has a stream of
 * random numbers of its own, so the result is a function of rows, seed and number of resamples, on any number of
 * threads. A resample in which a figure is not defined is left out of it. */
#ifndef HONE_EVAL_BOOTSTRAP_H
#define HONE_EVAL_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

enum { BOOTSTRAP_RESAMPLES = 1000, BOOTSTRAP_SEED = 42 };

struct bootstrap {
	int resamples;   /* 0: none, and every interval is undefined */
	uint64_t seed;
};

/* 95 %: between the 2.5th and the 97.5th percentile. Both NAN when fewer than half of the resamples define it. */
struct interval {
	double low, high;
};

/* Computes `count` figures of n rows with these weights. It is called by several threads at once, each with its own of
 * `scratch_bytes` bytes of zeroed memory, which keep their content between calls. */
typedef void bootstrap_fn(void *ctx, const uint32_t *weight, double *out, void *scratch);

struct bootstrap_job {
	size_t n, count, scratch_bytes;
	bootstrap_fn *f;
	void *ctx;
};

/* The figures of every resample: [count][resamples], malloced; NULL with no rows or no resamples. */
double *bootstrap_run(const struct bootstrap *b, const struct bootstrap_job *job);

/* Sorts v[n], the values of one figure. */
struct interval bootstrap_interval(double *v, size_t n);

/* Two-sided p of "the figure is `at`" by its resampled values v[n]: twice the smaller share of values on one side of it
 * (those that equal it count on both), one added above and below the line; NAN when fewer than half are defined. */
double bootstrap_p(const double *v, size_t n, double at);

#endif

#include "eval/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* How often each of n rows is drawn in n draws. */
static void
draw(uint32_t *weight, size_t n, uint64_t seed, int resample)
{
	struct rng g;
	rng_init(&g, seed, RNG_STREAM(RNG_BOOTSTRAP, (uint64_t)resample));
	memset(weight, 0, n * sizeof *weight);
	for (size_t i = 0; i < n; i++)
		weight[rng_below(&g, n)]++;
}

double *
bootstrap_run(const struct bootstrap *b, const struct bootstrap_job *job)
{
	size_t R = (size_t)b->resamples;
	if (job->n == 0 || R == 0)
		return NULL;
	double *value = xcalloc(job->count * R, sizeof *value);
#pragma omp parallel
	{
		uint32_t *weight = xcalloc(job->n, sizeof *weight);
		double *out = xcalloc(job->count, sizeof *out);
		void *scratch = xcalloc(job->scratch_bytes ? job->scratch_bytes : 1, 1);
#pragma omp for schedule(static)
		for (int i = 0; i < b->resamples; i++) {
			draw(weight, job->n, b->seed, i);
			job->f(job->ctx, weight, out, scratch);
			for (size_t k = 0; k < job->count; k++)
				value[k * R + (size_t)i] = out[k];
		}
		free(weight);
		free(out);
		free(scratch);
	}
	return value;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The value at share q of sorted v[n], between neighbours by a straight line. */
static double
quantile(const double *v, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;
	return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[i];
}

struct interval
bootstrap_interval(double *v, size_t n)
{
	size_t defined = 0;
	for (size_t i = 0; i < n; i++)
		if (!isnan(v[i]))
			v[defined++] = v[i];
	if (defined == 0 || 2 * defined < n)
		return (struct interval){NAN, NAN};
	qsort(v, defined, sizeof *v, by_size);
	return (struct interval){quantile(v, defined, 0.025), quantile(v, defined, 0.975)};
}

double
bootstrap_p(const double *v, size_t n, double at)
{
	double below = 0, above = 0, defined = 0;
	for (size_t i = 0; i < n; i++) {
		defined += !isnan(v[i]);
		below += v[i] <= at;
		above += v[i] >= at;
	}
	if (defined == 0 || 2 * defined < (double)n)
		return NAN;
	return fmin(1, 2 * (fmin(below, above) + 1) / (defined + 1));
}

#include "math/loss.h"

#include <math.h>
#include <stddef.h>

#include "math/simd.h"

/* Sums of a long row are taken by blocks: adding 150,000 small terms to one large one loses digits. */
enum { SUM_BLOCK = 4096 };

/* Turns a row into exponentials; returns their sum. */
HONE_SIMD static float
exp_row(float *row, float max, int V)
{
	float sum = 0;
	for (int v = 0; v < V; v += SUM_BLOCK)
		sum += row_exp_sum(row + v, max, V - v < SUM_BLOCK ? V - v : SUM_BLOCK);
	return sum;
}

HONE_SIMD static float
max_row(const float *row, int V)
{
	return row_max(row, V);
}

HONE_SIMD static void
scale_row(float *row, float a, int V)
{
	for (int v = 0; v < V; v++)
		row[v] *= a;
}

HONE_SIMD static float
sum_exp_block(const float *row, float max, int n)
{
	float acc[LANES] = {0};
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += exp_f32(row[i + j] - max);
	for (int j = 0; i < n; i++, j++)
		acc[j] += exp_f32(row[i] - max);
	return lanes_sum(acc);
}

static float
sum_exp_row(const float *row, float max, int V)
{
	float sum = 0;
	for (int v = 0; v < V; v += SUM_BLOCK)
		sum += sum_exp_block(row + v, max, V - v < SUM_BLOCK ? V - v : SUM_BLOCK);
	return sum;
}

static int32_t
first_index_of(const float *row, float x, int V)
{
	for (int v = 0; v < V; v++)
		if (row[v] == x)
			return v;
	return 0;  /* a row of NaN */
}

void
cross_entropy(float *logits, float *nll, int32_t *best, const int32_t *target, const float *coef, int n, int V)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)V > PARALLEL_MIN)
	for (int i = 0; i < n; i++) {
		float *row = logits + (size_t)i * (size_t)V;
		float max = max_row(row, V), at_target = row[target[i]];
		best[i] = first_index_of(row, max, V);
		float sum = exp_row(row, max, V);
		nll[i] = logf(sum) - (at_target - max);
		if (coef) {
			scale_row(row, coef[i] / sum, V);
			row[target[i]] -= coef[i];
		}
	}
}

void
log_sum_exp(float *lse, int32_t *best, const float *logits, int n, int V)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)V > PARALLEL_MIN)
	for (int i = 0; i < n; i++) {
		const float *row = logits + (size_t)i * (size_t)V;
		float max = max_row(row, V);
		best[i] = first_index_of(row, max, V);
		lse[i] = max + logf(sum_exp_row(row, max, V));
	}
}

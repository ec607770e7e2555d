#include "math/loss.h"

#include <math.h>
#include <stddef.h>

#include "math/simd.h"

/* Sums of a long row are taken by blocks: adding 150,000 small terms to one large one loses digits. */
enum { SUM_BLOCK = 4096 };

HONE_SIMD static float
exp_block(float *row, float max, int n)
{
	return row_exp_sum(row, max, n);
}

HONE_SIMD static float
max_block(const float *row, int n)
{
	return row_max(row, n);
}

HONE_SIMD static void
scale_block(float *row, float a, int n)
{
	for (int v = 0; v < n; v++)
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

static int
block_length(int V, int v)
{
	return V - v < SUM_BLOCK ? V - v : SUM_BLOCK;
}

static float
max_of_row(struct rows logits, int i, int V)
{
	float buf[SUM_BLOCK], max = -INFINITY;
	for (int v = 0; v < V; v += SUM_BLOCK) {
		int n = block_length(V, v);
		float m = max_block(row_load(logits, i, v, n, buf), n);
		max = m > max ? m : max;
	}
	return max;
}

static int32_t
first_index_of(struct rows logits, int i, float x, int V)
{
	float buf[SUM_BLOCK];
	for (int v = 0; v < V; v += SUM_BLOCK) {
		int n = block_length(V, v);
		const float *row = row_load(logits, i, v, n, buf);
		for (int j = 0; j < n; j++)
			if (row[j] == x)
				return v + j;
	}
	return 0;  /* a row of NaN */
}

/* Turns a row into exponentials; returns their sum, of before they are rounded. */
static float
exp_of_row(struct rows logits, int i, float max, int V)
{
	float buf[SUM_BLOCK], sum = 0;
	for (int v = 0; v < V; v += SUM_BLOCK) {
		int n = block_length(V, v);
		float *row = row_begin(logits, i, v, buf);
		row_load(logits, i, v, n, buf);
		sum += exp_block(row, max, n);
		row_store(logits, i, v, n, row);
	}
	return sum;
}

static void
scale_of_row(struct rows logits, int i, float a, int V)
{
	float buf[SUM_BLOCK];
	for (int v = 0; v < V; v += SUM_BLOCK) {
		int n = block_length(V, v);
		float *row = row_begin(logits, i, v, buf);
		row_load(logits, i, v, n, buf);
		scale_block(row, a, n);
		row_store(logits, i, v, n, row);
	}
}

/* One row: the loss, and its gradient when there is a coefficient. */
static void
entropy_row(struct rows logits, int i, float *nll, int32_t *best, int32_t target, const float *coef, int V)
{
	float one, max = max_of_row(logits, i, V), above = *row_load(logits, i, target, 1, &one) - max;
	*best = first_index_of(logits, i, max, V);
	float sum = exp_of_row(logits, i, max, V);
	*nll = logf(sum) - above;
	if (!coef)
		return;
	scale_of_row(logits, i, *coef / sum, V);
	float *at = row_begin(logits, i, target, &one);
	*at = *coef * (expf(above) / sum - 1.0f);
	row_store(logits, i, target, 1, at);
}

void
cross_entropy(struct rows logits, float *nll, int32_t *best, const int32_t *target, const float *coef, int n, int V)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)V > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		entropy_row(logits, i, nll + i, best + i, target[i], coef ? coef + i : NULL, V);
}

void
log_sum_exp(float *lse, int32_t *best, const float *logits, int n, int V)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)V > PARALLEL_MIN)
	for (int i = 0; i < n; i++) {
		const float *row = logits + (size_t)i * (size_t)V;
		struct rows rows = rows_f32(logits, V);
		float max = max_of_row(rows, i, V);
		best[i] = first_index_of(rows, i, max, V);
		lse[i] = max + logf(sum_exp_row(row, max, V));
	}
}

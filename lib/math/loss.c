#include "math/loss.h"

#include <math.h>
#include <stddef.h>

#include "math/bf16_kernel.h"
#include "math/loss_int.h"
#include "math/simd.h"

/* Sums of a long row are taken by blocks: adding 150,000 small terms to one large one loses digits. */
enum { SUM_BLOCK = 4096 };

/* ---- a block of one type, which the compiler knows where it is inlined ---- */

/* So many at a time, which the compiler does not take apart before it makes vectors of them. */
enum { CHUNK = 64 };

HONE_INLINE float
max_typed(const void *x, enum num type, int n)
{
	float acc[CHUNK], max;
	for (int j = 0; j < CHUNK; j++)
		acc[j] = -INFINITY;
	int i = 0;
	for (; i + CHUNK <= n; i += CHUNK)
		for (int j = 0; j < CHUNK; j++) {
			float a = num_load(x, (size_t)(i + j), type);
			acc[j] = a > acc[j] ? a : acc[j];
		}
	for (int j = 0; i < n; i++, j++) {
		float a = num_load(x, (size_t)i, type);
		acc[j] = a > acc[j] ? a : acc[j];
	}
	max = acc[0];
	for (int j = 1; j < CHUNK; j++)
		max = acc[j] > max ? acc[j] : max;
	return max;
}

HONE_INLINE float
sum_exp_typed(const void *x, enum num type, float max, int n)
{
	float acc[LANES] = {0}, e[CHUNK];
	int i = 0;
	for (; i + CHUNK <= n; i += CHUNK) {
		for (int j = 0; j < CHUNK; j++)
			e[j] = exp_f32(num_load(x, (size_t)(i + j), type) - max);
		for (int j = 0; j < CHUNK; j += LANES)
			for (int l = 0; l < LANES; l++)
				acc[l] += e[j + l];
	}
	for (; i < n; i++)
		acc[i % LANES] += exp_f32(num_load(x, (size_t)i, type) - max);
	return lanes_sum(acc);
}

HONE_INLINE void
scaled_exp_typed(void *x, enum num type, float max, float by, int n)
{
#pragma GCC ivdep
	for (int i = 0; i < n; i++)
		num_store(x, (size_t)i, type, exp_f32(num_load(x, (size_t)i, type) - max) * by);
}

/* ---- kernels ---- */

#define KERNEL(name, type) \
	HONE_SIMD static float max_##name(const void *x, int n) { return max_typed(x, type, n); } \
	HONE_SIMD static float sum_exp_##name(const void *x, float max, int n) { return sum_exp_typed(x, type, max, n); } \
	HONE_SIMD static void scaled_exp_##name(void *x, float max, float by, int n) { scaled_exp_typed(x, type, max, by, n); } \
	static const struct loss_kernel name = {max_##name, sum_exp_##name, scaled_exp_##name}

KERNEL(f32, NUM_F32);
KERNEL(bf16, NUM_BF16);

static const struct loss_kernel *
kernel_for(enum num type)
{
#ifdef __x86_64__
	if (type == NUM_BF16 && bf16_instructions())
		return &loss_bf16_avx512;
#endif
	return type == NUM_F32 ? &f32 : &bf16;
}

/* ---- a row ---- */

static int
block_length(int V, int v)
{
	return V - v < SUM_BLOCK ? V - v : SUM_BLOCK;
}

/* The largest of a row and where it is, the first of several; 0 in a row of NaN. */
static float
max_of_row(const struct loss_kernel *k, struct rows logits, int i, int V, int32_t *best)
{
	float max = -INFINITY;
	int block = 0;
	for (int v = 0; v < V; v += SUM_BLOCK) {
		float m = k->max(rows_at(logits, i, v).data, block_length(V, v));
		block = m > max ? v : block;
		max = m > max ? m : max;
	}
	const void *row = rows_at(logits, i, block).data;
	*best = 0;
	for (int j = 0; j < block_length(V, block); j++)
		if (num_load(row, (size_t)j, logits.type) == max) {
			*best = block + j;
			break;
		}
	return max;
}

static float
sum_exp_of_row(const struct loss_kernel *k, struct rows logits, int i, float max, int V)
{
	float sum = 0;
	for (int v = 0; v < V; v += SUM_BLOCK)
		sum += k->sum_exp(rows_at(logits, i, v).data, max, block_length(V, v));
	return sum;
}

/* One row: the loss, and its gradient when there is a coefficient. Exponentials are computed twice, which takes less than
 * to keep them, and in bf16 they are rounded once. */
static void
entropy_row(const struct loss_kernel *k, struct rows logits, int i, float *nll, int32_t *best, int32_t target, const float *coef,
	int V)
{
	void *at = rows_at(logits, i, target).data;
	float max = max_of_row(k, logits, i, V, best), above = num_load(at, 0, logits.type) - max;
	float sum = sum_exp_of_row(k, logits, i, max, V);
	*nll = logf(sum) - above;
	if (!coef)
		return;
	for (int v = 0; v < V; v += SUM_BLOCK)
		k->scaled_exp(rows_at(logits, i, v).data, max, *coef / sum, block_length(V, v));
	num_store(at, 0, logits.type, *coef * (expf(above) / sum - 1.0f));
}

void
cross_entropy(struct rows logits, float *nll, int32_t *best, const int32_t *target, const float *coef, int n, int V)
{
	const struct loss_kernel *k = kernel_for(logits.type);
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)V > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		entropy_row(k, logits, i, nll + i, best + i, target[i], coef ? coef + i : NULL, V);
}

void
log_sum_exp(float *lse, int32_t *best, const float *logits, int n, int V)
{
	struct rows rows = rows_f32(logits, V);
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)V > PARALLEL_MIN)
	for (int i = 0; i < n; i++) {
		float max = max_of_row(&f32, rows, i, V, &best[i]);
		lse[i] = max + logf(sum_exp_of_row(&f32, rows, i, max, V));
	}
}

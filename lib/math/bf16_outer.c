/* C = A^T B where few columns of A meet many of B, both with rows along k: gradients of adapters. Packing B for a tile would
 * cost more than to multiply with it, so it is read where it lies: two of its rows are put side by side, pair by pair, in
 * registers, in an order of columns that is put right in the sums. */
#include "math/bf16_kernel.h"

#ifdef __x86_64__

#include <omp.h>

#include "math/avx512.h"
#include "math/gemm.h"
#include "math/scratch.h"

enum {
	COLUMNS = 32,  /* of B at a time */
	GROUP = 12,    /* of A, with sums for each in two registers */
	DEPTH = 512,   /* rows: A's pairs, and what is read of B, stay in the first-level caches */
	AHEAD = 16,    /* rows of B that are asked for before they are read */
};

struct outer {
	struct rows c, a, b;
	int M, N, K;
	float alpha, beta;
};

/* From pair_rows' order of columns to their own: the first 16, and those behind them. */
AVX512_INLINE __m512
first_half(__m512 low, __m512 high)
{
	const __m512i order = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
	return _mm512_permutex2var_ps(low, order, high);
}

AVX512_INLINE __m512
second_half(__m512 low, __m512 high)
{
	const __m512i order = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
	return _mm512_permutex2var_ps(low, order, high);
}

/* pairs[kn / 2][COLUMNS][2] of all columns of A. */
AVX512 static void
pack_pairs(uint16_t *pairs, const struct outer *o, int k0, int kn)
{
	for (int k = 0; k < kn; k += 2, pairs += 2 * COLUMNS) {
		const uint16_t *row = rows_at(o->a, k0 + k, 0).data;
		pairs_of_rows(pairs, 2 * PANEL, row, k + 1 < kn ? row + o->a.ld : NULL, o->M);
	}
}

/* Columns n .. n+31 for `group` columns of A from i on, a constant where this is expanded. */
AVX512_INLINE void
multiply(const struct outer *o, const uint32_t *pairs, int i, const int group, int n, int k0, int kn)
{
	__m512 low[GROUP], high[GROUP];
	const int columns = o->N - n;
	const __mmask32 mask = lanes32(columns);
	const uint16_t *b = rows_at(o->b, k0, n).data;
	const size_t ld = (size_t)o->b.ld;
#pragma GCC unroll 12
	for (int g = 0; g < group; g++)
		low[g] = high[g] = _mm512_setzero_ps();
	for (int k = 0; k < kn; k += 2, b += 2 * ld) {
		__m512i x, y;
		_mm_prefetch((const char *)(b + AHEAD * ld), _MM_HINT_T0);
		_mm_prefetch((const char *)(b + (AHEAD + 1) * ld), _MM_HINT_T0);
		pair_rows(&x, &y, b, k + 1 < kn ? b + ld : NULL, mask);
		const uint32_t *a = pairs + k / 2 * COLUMNS + i;
#pragma GCC unroll 12
		for (int g = 0; g < group; g++) {
			__m512bh one = (__m512bh)_mm512_set1_epi32((int)a[g]);
			low[g] = _mm512_dpbf16_ps(low[g], one, (__m512bh)x);
			high[g] = _mm512_dpbf16_ps(high[g], one, (__m512bh)y);
		}
	}
	const struct tile_out out = {.c = rows_at(o->c, i, n), .rows = group, .columns = columns < COLUMNS ? columns : COLUMNS,
		.alpha = o->alpha, .beta = k0 ? 1 : o->beta};
#pragma GCC unroll 12
	for (int g = 0; g < group; g++)
		store_row(&out, g, first_half(low[g], high[g]), second_half(low[g], high[g]));
}

AVX512 static void
multiply_columns(const struct outer *o, const uint32_t *pairs, int n, int k0, int kn)
{
	int i = 0;
	for (; i + GROUP <= o->M; i += GROUP)
		multiply(o, pairs, i, GROUP, n, k0, kn);
	for (; i + 4 <= o->M; i += 4)
		multiply(o, pairs, i, 4, n, k0, kn);
	for (; i < o->M; i++)
		multiply(o, pairs, i, 1, n, k0, kn);
}

/* A thread's part of the columns; each has A's pairs for itself. */
static void
take_part(const struct outer *o, int thread, int threads)
{
	uint32_t *pairs = thread_scratch(SCRATCH_FLOATS, MATH_SCRATCH * sizeof(float));
	int chunks = (o->N + COLUMNS - 1) / COLUMNS;
	int first = (int)((long long)chunks * thread / threads), end = (int)((long long)chunks * (thread + 1) / threads);
	for (int k = 0; k < o->K && first < end; k += DEPTH) {
		int kn = o->K - k < DEPTH ? o->K - k : DEPTH;
		pack_pairs((uint16_t *)pairs, o, k, kn);
		for (int j = first; j < end; j++)
			multiply_columns(o, pairs, j * COLUMNS, k, kn);
	}
}

bool
bf16_outer(struct rows c, const struct operand *a, const struct operand *b, int M, int N, int K, float alpha, float beta)
{
	const struct outer o = {c, a->rows, b->rows, M, N, K, alpha, beta};
	if (!a->k_rows || !b->k_rows || a->w || b->w || b->part || a->rows.type != NUM_BF16 || b->rows.type != NUM_BF16 ||
		c.type != NUM_F32 || M > COLUMNS)
		return false;
	if (omp_in_parallel() || math_threads() == 1 || (double)M * N * K < SMALL_PRODUCT) {
		take_part(&o, 0, 1);
		return true;
	}
#pragma omp parallel num_threads(math_threads())
	take_part(&o, omp_get_thread_num(), omp_get_num_threads());
	return true;
}

#else

bool
bf16_outer(struct rows c, const struct operand *a, const struct operand *b, int M, int N, int K, float alpha, float beta)
{
	(void)c, (void)a, (void)b, (void)M, (void)N, (void)K, (void)alpha, (void)beta;
	return false;
}

#endif

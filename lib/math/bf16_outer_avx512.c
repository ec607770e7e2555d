/* Outer products by AVX-512: pairs of A's elements are spread over a register and meet the pairs of B's columns. */
#include "math/bf16_outer.h"

#ifdef __x86_64__

#include "math/avx512.h"

enum {
	GROUP = 12,  /* columns of A, with sums for each in two registers */
	AHEAD = 16,  /* rows of B that are asked for before they are read, besides the same row's next columns */
};

/* [kn / 2][OUTER_COLUMNS][2] of all columns of A. */
AVX512 static void
pack_pairs(void *packed, const struct outer *o, int k0, int kn)
{
	uint16_t *pairs = packed;
	for (int k = 0; k < kn; k += 2, pairs += 2 * OUTER_COLUMNS) {
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
		ask_for_pair(b + AHEAD * ld, ld, _MM_HINT_T0);
		ask_for_pair(b + OUTER_COLUMNS, ld, _MM_HINT_T1);
		pair_rows(&x, &y, b, k + 1 < kn ? b + ld : NULL, mask);
		const uint32_t *a = pairs + k / 2 * OUTER_COLUMNS + i;
#pragma GCC unroll 12
		for (int g = 0; g < group; g++) {
			__m512bh one = (__m512bh)_mm512_set1_epi32((int)a[g]);
			low[g] = _mm512_dpbf16_ps(low[g], one, (__m512bh)x);
			high[g] = _mm512_dpbf16_ps(high[g], one, (__m512bh)y);
		}
	}
	const struct tile_out out = {.c = rows_at(o->c, i, n), .rows = group, .columns = columns < OUTER_COLUMNS ? columns : OUTER_COLUMNS,
		.alpha = o->alpha, .beta = o->beta};
#pragma GCC unroll 12
	for (int g = 0; g < group; g++)
		store_row(&out, g, first_half(low[g], high[g]), second_half(low[g], high[g]));
}

AVX512 static void
multiply_columns(void *packed, const struct outer *o, int n, int k0, int kn)
{
	const uint32_t *pairs = packed;
	int i = 0;
	for (; i + GROUP <= o->M; i += GROUP)
		multiply(o, pairs, i, GROUP, n, k0, kn);
	for (; i + 4 <= o->M; i += 4)
		multiply(o, pairs, i, 4, n, k0, kn);
	for (; i < o->M; i++)
		multiply(o, pairs, i, 1, n, k0, kn);
}

const struct outer_kernel bf16_outer_avx512 = {.pack = pack_pairs, .multiply = multiply_columns};

#endif

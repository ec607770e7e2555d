/* A tile of 14 x 32 sums in 28 registers: each pair of A, broadcast, meets two panels of B. */
#include "math/bf16_kernel.h"

#ifdef __x86_64__

#include "math/avx512.h"
#include "math/bf16_outer.h"
#include "math/bf16_pack.h"

enum { ROWS = 14 };

AVX512_INLINE __m512bh
broadcast_pair(const uint16_t *a)
{
	int pair;
	memcpy(&pair, a, sizeof pair);
	return (__m512bh)_mm512_set1_epi32(pair);
}

/* rows and panels are constants where this is expanded. */
AVX512_INLINE void
tile(const struct tile_job *t, const int rows, const int panels)
{
	__m512 c[ROWS][2];
	const uint16_t *a = t->a, *b0 = t->b, *b1 = b0 + t->panel;
	size_t lda = t->lda;
#pragma GCC unroll 14
	for (int i = 0; i < rows; i++) {
		const float *from = t->partial + (size_t)i * t->ld_partial;
		c[i][0] = t->first ? _mm512_setzero_ps() : _mm512_loadu_ps(from);
		c[i][1] = t->first || panels == 1 ? _mm512_setzero_ps() : _mm512_loadu_ps(from + PANEL);
	}
	for (int k = 0; k < t->k; k += 2, a += 2) {
		__m512bh v0 = (__m512bh)_mm512_loadu_si512(b0 + (size_t)k * PANEL);
		__m512bh v1 = panels == 1 ? v0 : (__m512bh)_mm512_loadu_si512(b1 + (size_t)k * PANEL);
#pragma GCC unroll 14
		for (int i = 0; i < rows; i++) {
			__m512bh x = broadcast_pair(a + (size_t)i * lda);
			c[i][0] = _mm512_dpbf16_ps(c[i][0], x, v0);
			if (panels == 2)
				c[i][1] = _mm512_dpbf16_ps(c[i][1], x, v1);
		}
	}
#pragma GCC unroll 14
	for (int i = 0; i < rows; i++) {
		float *to = t->partial + (size_t)i * t->ld_partial;
		if (t->last) {
			store_row(&t->out, i, c[i][0], c[i][1]);
		} else {
			_mm512_storeu_ps(to, c[i][0]);
			if (panels == 2)
				_mm512_storeu_ps(to + PANEL, c[i][1]);
		}
	}
}

/* As many rows as there are in as few calls as there can be. */
AVX512 static void
run(struct tile_state *s, const struct tile_job *whole)
{
	(void)s;
	struct tile_job t = *whole;
	while (t.out.rows > 0) {
		int rows = t.out.rows;
		bool narrow = t.out.columns <= PANEL;
		if (rows >= 14)
			rows = 14, narrow ? tile(&t, 14, 1) : tile(&t, 14, 2);
		else if (rows >= 8)
			rows = 8, narrow ? tile(&t, 8, 1) : tile(&t, 8, 2);
		else if (rows >= 4)
			rows = 4, narrow ? tile(&t, 4, 1) : tile(&t, 4, 2);
		else if (rows >= 2)
			rows = 2, narrow ? tile(&t, 2, 1) : tile(&t, 2, 2);
		else
			rows = 1, narrow ? tile(&t, 1, 1) : tile(&t, 1, 2);
		tile_next_rows(&t, rows, t.lda * sizeof(uint16_t));
		t.partial += (size_t)rows * t.ld_partial;
	}
}

const struct tile_kernel bf16_avx512 = {
	.name = "avx512bf16",
	.type = NUM_BF16,
	.size = sizeof(uint16_t),
	.rows = ROWS,
	.k_unit = 2,
	.depth = BF16_DEPTH,
	.tile = run,
	.pack_a = bf16_pack_a,
	.pack_b = bf16_pack_b,
	.outer = &bf16_outer_avx512,
};

#endif

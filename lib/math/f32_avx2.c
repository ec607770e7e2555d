/* A tile of 6 x 16 sums in 12 of 16 registers, one panel of B after the other. */
#include "math/bf16_kernel.h"

#ifdef __x86_64__

#include <immintrin.h>

#include "math/f32_kernel.h"
#include "math/f32_pack.h"

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma")))

enum { ROWS = 6, DEPTH = 1024, HALF = PANEL / 2 };

/* C = beta C + alpha sum for the low n of 8. */
AVX2_INLINE void
store(const struct tile_out *o, float *c, __m256 sum, int n)
{
	const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i m = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
	sum = _mm256_mul_ps(_mm256_set1_ps(o->alpha), sum);
	if (o->beta != 0)
		sum = _mm256_fmadd_ps(_mm256_set1_ps(o->beta), _mm256_maskload_ps(c, m), sum);
	_mm256_maskstore_ps(c, m, sum);
}

/* One panel, from column `column` of C on; rows, and whether A lies in tiles, are constants where this is expanded. */
AVX2_INLINE void
panel(const struct tile_job *t, struct f32_sums sums, const float *b, int column, const int rows, const bool tiles)
{
	__m256 c[ROWS][2];
	const float *a = t->a;
	const size_t row = tiles ? 1 : t->lda, step = tiles ? ROWS : 1;
#pragma GCC unroll 6
	for (int i = 0; i < rows; i++) {
		const float *from = t->partial + (size_t)i * t->ld_partial + column;
		c[i][0] = t->first ? _mm256_setzero_ps() : _mm256_loadu_ps(from);
		c[i][1] = t->first ? _mm256_setzero_ps() : _mm256_loadu_ps(from + HALF);
	}
	for (int k = 0; k < t->k; k++, a += step, b += PANEL) {
		__m256 v0 = _mm256_loadu_ps(b), v1 = _mm256_loadu_ps(b + HALF);
#pragma GCC unroll 6
		for (int i = 0; i < rows; i++) {
			__m256 x = _mm256_broadcast_ss(a + (size_t)i * row);
			c[i][0] = _mm256_fmadd_ps(x, v0, c[i][0]);
			c[i][1] = _mm256_fmadd_ps(x, v1, c[i][1]);
		}
	}
#pragma GCC unroll 6
	for (int i = 0; i < rows; i++) {
		float *to = column + (sums.to ? sums.to + (size_t)i * sums.ld : (float *)t->out.c.data + (ptrdiff_t)i * t->out.c.ld);
		if (sums.to) {
			_mm256_storeu_ps(to, c[i][0]);
			_mm256_storeu_ps(to + HALF, c[i][1]);
		} else {
			store(&t->out, to, c[i][0], t->out.columns - column);
			store(&t->out, to + HALF, c[i][1], t->out.columns - column - HALF);
		}
	}
}

AVX2_INLINE void
tile_of_rows(const struct tile_job *t, struct f32_sums sums, const int rows)
{
	for (int column = 0; column < t->out.columns; column += PANEL) {
		const float *b = (const float *)t->b + (column ? t->panel : 0);
		t->a_tiles ? panel(t, sums, b, column, rows, true) : panel(t, sums, b, column, rows, false);
	}
}

/* As many rows as there are in as few calls as there can be. */
AVX2 static void
run(struct tile_state *s, const struct tile_job *whole)
{
	struct tile_job t = *whole;
	struct f32_sums sums = f32_sums_of(s, whole);
	while (t.out.rows > 0) {
		int rows = t.out.rows;
		if (rows >= 6)
			tile_of_rows(&t, sums, rows = 6);
		else if (rows >= 4)
			tile_of_rows(&t, sums, rows = 4);
		else if (rows >= 2)
			tile_of_rows(&t, sums, rows = 2);
		else
			tile_of_rows(&t, sums, 1);
		f32_next_rows(&t, &sums, rows);
	}
	f32_round_sums(s, whole);
}

static bool
pack_a(void *to, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad, float *scratch)
{
	(void)n_pad, (void)k_pad;
	return f32_pack_a(to, lda, a, n0, nn, k0, kn, ROWS, false, scratch);
}

static bool
pack_rounded_a(void *to, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad, float *scratch)
{
	(void)n_pad, (void)k_pad;
	return f32_pack_a(to, lda, a, n0, nn, k0, kn, ROWS, true, scratch);
}

const struct tile_kernel f32_avx2 = {
	.name = "avx2",
	.type = NUM_F32,
	.size = sizeof(float),
	.rows = ROWS,
	.k_unit = 1,
	.depth = DEPTH,
	.adds = true,
	.tile = run,
	.pack_a = pack_a,
	.pack_b = f32_pack_b,
};

const struct tile_kernel bf16_wide_avx2 = {
	.name = "avx2",
	.type = NUM_F32,
	.size = sizeof(float),
	.rows = ROWS,
	.k_unit = 1,
	.depth = DEPTH,
	.packs_a = true,
	.tile = run,
	.pack_a = pack_rounded_a,
	.pack_b = f32_pack_rounded_b,
};

#endif

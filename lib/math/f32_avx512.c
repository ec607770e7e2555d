/* A tile of 14 x 32 sums in 28 registers: each element of A, broadcast, meets two panels of B. */
#include "math/bf16_kernel.h"

#ifdef __x86_64__

#include "math/avx512.h"
#include "math/f32_kernel.h"
#include "math/f32_pack.h"

#define AVX512F __attribute__((target("avx512f")))
#define AVX512F_INLINE static inline __attribute__((always_inline, target("avx512f")))

enum { ROWS = 14, DEPTH = 1024 };

AVX512F_INLINE void
store(const struct tile_out *o, float *c, __m512 sum, int column)
{
	__mmask16 m = lanes16(o->columns - column);
	sum = _mm512_mul_ps(_mm512_set1_ps(o->alpha), sum);
	if (o->beta != 0)
		sum = _mm512_fmadd_ps(_mm512_set1_ps(o->beta), _mm512_maskz_loadu_ps(m, c + column), sum);
	_mm512_mask_storeu_ps(c + column, m, sum);
}

/* rows, panels, and whether A lies in tiles, are constants where this is expanded. */
AVX512F_INLINE void
tile(const struct tile_job *t, struct f32_sums sums, const int rows, const int panels, const bool tiles)
{
	__m512 c[ROWS][2];
	const float *a = t->a, *b0 = t->b, *b1 = b0 + t->panel;
	const size_t row = tiles ? 1 : t->lda, step = tiles ? ROWS : 1;
#pragma GCC unroll 14
	for (int i = 0; i < rows; i++) {
		const float *from = t->partial + (size_t)i * t->ld_partial;
		c[i][0] = t->first ? _mm512_setzero_ps() : _mm512_loadu_ps(from);
		c[i][1] = t->first || panels == 1 ? _mm512_setzero_ps() : _mm512_loadu_ps(from + PANEL);
	}
	for (int k = 0; k < t->k; k++, a += step) {
		__m512 v0 = _mm512_loadu_ps(b0 + (size_t)k * PANEL), v1 = panels == 1 ? v0 : _mm512_loadu_ps(b1 + (size_t)k * PANEL);
#pragma GCC unroll 14
		for (int i = 0; i < rows; i++) {
			__m512 x = _mm512_set1_ps(a[(size_t)i * row]);
			c[i][0] = _mm512_fmadd_ps(x, v0, c[i][0]);
			if (panels == 2)
				c[i][1] = _mm512_fmadd_ps(x, v1, c[i][1]);
		}
	}
#pragma GCC unroll 14
	for (int i = 0; i < rows; i++) {
		float *to = sums.to ? sums.to + (size_t)i * sums.ld : (float *)t->out.c.data + (ptrdiff_t)i * t->out.c.ld;
		if (sums.to)
			_mm512_storeu_ps(to, c[i][0]);
		else
			store(&t->out, to, c[i][0], 0);
		if (sums.to && panels == 2)
			_mm512_storeu_ps(to + PANEL, c[i][1]);
		else if (panels == 2)
			store(&t->out, to, c[i][1], PANEL);
	}
}

AVX512F_INLINE void
tile_of_rows(const struct tile_job *t, struct f32_sums sums, const int rows)
{
	if (t->out.columns <= PANEL)
		t->a_tiles ? tile(t, sums, rows, 1, true) : tile(t, sums, rows, 1, false);
	else
		t->a_tiles ? tile(t, sums, rows, 2, true) : tile(t, sums, rows, 2, false);
}

/* As many rows as there are in as few calls as there can be. */
AVX512F static void
run(struct tile_state *s, const struct tile_job *whole)
{
	struct tile_job t = *whole;
	struct f32_sums sums = f32_sums_of(s, whole);
	while (t.out.rows > 0) {
		int rows = t.out.rows;
		if (rows >= 14)
			tile_of_rows(&t, sums, rows = 14);
		else if (rows >= 8)
			tile_of_rows(&t, sums, rows = 8);
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

const struct tile_kernel f32_avx512 = {
	.name = "avx512",
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

const struct tile_kernel bf16_wide_avx512 = {
	.name = "avx512",
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

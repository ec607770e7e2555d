/* A tile of 14 x 32 sums in 28 registers: each element of A, broadcast, meets two panels of B. */
#include "math/f32_kernel.h"

#ifdef __x86_64__

#include "math/avx512.h"
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

/* rows, panels, and whether A is packed, are constants where this is expanded. */
AVX512F_INLINE void
tile(const struct tile_job *t, const int rows, const int panels, const bool packed)
{
	__m512 c[ROWS][2];
	const float *a = t->a, *b0 = t->b, *b1 = b0 + t->panel;
	const size_t row = packed ? 1 : t->lda, step = packed ? ROWS : 1;
#pragma GCC unroll 14
	for (int i = 0; i < rows; i++)
		c[i][0] = c[i][1] = _mm512_setzero_ps();
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
		float *to = (float *)t->out.c.data + (ptrdiff_t)i * t->out.c.ld;
		store(&t->out, to, c[i][0], 0);
		if (panels == 2)
			store(&t->out, to, c[i][1], PANEL);
	}
}

AVX512F_INLINE void
tile_of_rows(const struct tile_job *t, const int rows)
{
	if (t->out.columns <= PANEL)
		t->packed_a ? tile(t, rows, 1, true) : tile(t, rows, 1, false);
	else
		t->packed_a ? tile(t, rows, 2, true) : tile(t, rows, 2, false);
}

/* As many rows as there are in as few calls as there can be. */
AVX512F static void
run(struct tile_state *s, const struct tile_job *whole)
{
	(void)s;
	struct tile_job t = *whole;
	while (t.out.rows > 0) {
		int rows = t.out.rows;
		if (rows >= 14)
			tile_of_rows(&t, rows = 14);
		else if (rows >= 8)
			tile_of_rows(&t, rows = 8);
		else if (rows >= 4)
			tile_of_rows(&t, rows = 4);
		else if (rows >= 2)
			tile_of_rows(&t, rows = 2);
		else
			tile_of_rows(&t, 1);
		tile_next_rows(&t, rows, (t.packed_a ? 1 : t.lda) * sizeof(float));
	}
}

static void
pack_a(void *to, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad, float *scratch)
{
	(void)n_pad, (void)k_pad, (void)scratch;
	f32_pack_a(to, lda, a, n0, nn, k0, kn, ROWS);
}

const struct tile_kernel f32_avx512 = {
	.name = "avx512",
	.type = NUM_F32,
	.rows = ROWS,
	.k_unit = 1,
	.depth = DEPTH,
	.adds = true,
	.tile = run,
	.pack_a = pack_a,
	.pack_b = f32_pack_b,
};

#endif

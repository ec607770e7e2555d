/* Operands of an fp32 product brought into the order in which the kernels read them. Internal to lib/math. */
#ifndef HONE_MATH_F32_PACK_H
#define HONE_MATH_F32_PACK_H

#include <assert.h>
#include <xmmintrin.h>

#include "math/operand.h"
#include "math/simd.h"

/* Of a kernel (math/tile_kernel.h), for B of any form; `panel` elements from one panel [k][PANEL] to the next. */
void f32_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch);

/* to[k * step + i] = from[i * ld + k] for 4 x 4. */
HONE_INLINE void
f32_turn4(float *to, size_t step, const float *from, size_t ld)
{
	__m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + ld), c = _mm_loadu_ps(from + 2 * ld), d = _mm_loadu_ps(from + 3 * ld);
	_MM_TRANSPOSE4_PS(a, b, c, d);
	_mm_storeu_ps(to, a);
	_mm_storeu_ps(to + step, b);
	_mm_storeu_ps(to + 2 * step, c);
	_mm_storeu_ps(to + 3 * step, d);
}

/* to[k * step + i] = from[i * ld + k] for n rows of kn elements: the last four are taken together, with some of those before
 * them again. */
HONE_INLINE void
f32_turn(float *to, size_t step, const float *from, size_t ld, int n, int kn)
{
	for (int k = 0; n >= 4 && k + 4 <= kn; k += 4)
		for (int i = 0; i < n; i += 4) {
			int at = i + 4 <= n ? i : n - 4;
			f32_turn4(to + (size_t)k * step + at, step, from + (size_t)at * ld + k, ld);
		}
	for (int k = n >= 4 ? kn / 4 * 4 : 0; k < kn; k++)
		for (int i = 0; i < n; i++)
			to[(size_t)k * step + (size_t)i] = from[(size_t)i * ld + (size_t)k];
}

/* Zeros in columns n .. step-1 of kn rows. */
static inline void
f32_clear(float *to, int step, int n, int kn)
{
	for (int k = 0; k < kn && n < step; k++)
		memset(to + (size_t)k * (size_t)step + n, 0, (size_t)(step - n) * sizeof *to);
}

/* n whole tiles of rows: where k goes from one stored row to the next, some of these at a time, as they may be pages apart. */
HONE_INLINE void
f32_pack_tiles(float *to, size_t tile, const float *from, size_t ld, bool k_rows, int tiles, int kn, const int rows)
{
	enum { BLOCK = 16 };
	for (int i = 0; i < tiles && !k_rows; i++)
		f32_turn(to + (size_t)i * tile, (size_t)rows, from + (size_t)(i * rows) * ld, ld, rows, kn);
	for (int k0 = 0; k0 < kn && k_rows; k0 += BLOCK)
		for (int i = 0; i < tiles; i++)
			for (int k = k0; k < kn && k < k0 + BLOCK; k++)
				memcpy(to + (size_t)i * tile + k * rows, from + (size_t)k * ld + i * rows, (size_t)rows * sizeof *to);
}

/* What a kernel of so many rows, a constant, packs A with, which is rows of fp32: tiles [k][rows], rows * lda elements
 * apart. */
HONE_INLINE void
f32_pack_a(float *to, size_t lda, const struct operand *a, int n0, int nn, int k0, int kn, const int rows)
{
	const size_t tile = (size_t)rows * lda, ld = (size_t)a->rows.ld, row = a->k_rows ? 1 : ld, step = a->k_rows ? ld : 1;
	const float *from = (const float *)a->rows.data + (size_t)n0 * row + (size_t)k0 * step;
	int tiles = nn / rows, rest = nn % rows;
	assert(!a->w && a->rows.type == NUM_F32);
	f32_pack_tiles(to, tile, from, ld, a->k_rows, tiles, kn, rows);
	to += (size_t)tiles * tile;
	from += (size_t)(tiles * rows) * row;
	for (int k = 0; k < kn && rest; k++)
		for (int i = 0; i < rows; i++)
			to[k * rows + i] = i < rest ? from[(size_t)i * row + (size_t)k * step] : 0;
}

#endif

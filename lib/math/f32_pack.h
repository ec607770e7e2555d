/* Operands of an fp32 product brought into the order in which the kernels read them. Internal to lib/math. */
#ifndef HONE_MATH_F32_PACK_H
#define HONE_MATH_F32_PACK_H

#include <xmmintrin.h>

#include "math/operand.h"
#include "math/simd.h"

/* Of a kernel (math/tile_kernel.h), for B of any form; `panel` elements from one panel [k][PANEL] to the next. */
void f32_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch);

/* The same, rounded to bf16. */
void f32_pack_rounded_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad,
	float *scratch);

/* Stored rows r .. r+n-1 and columns c .. c+nc-1 as fp32, rounded to bf16 if that is wanted: put to `to`, ld apart; or where
 * they lie, or in scratch. */
void f32_load(float *to, size_t ld, const struct operand *o, int r, int n, int c, int nc, bool rounded);
const float *f32_fetch(const struct operand *o, int r, int n, int c, int nc, bool rounded, float *scratch, size_t *ld);

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

/* kn stored rows, of each the first n columns: a tile of `rows` rows of A, with zeros for those that are not there. */
HONE_INLINE void
f32_tile_of_columns(float *to, const float *from, size_t ld, int n, int kn, const int rows)
{
	for (int k = 0; k < kn && n >= rows; k++)
		memcpy(to + k * rows, from + (size_t)k * ld, (size_t)rows * sizeof *to);
	for (int k = 0; k < kn && n < rows; k++)
		for (int i = 0; i < rows; i++)
			to[k * rows + i] = i < n ? from[(size_t)k * ld + (size_t)i] : 0;
}

/* What a kernel of so many rows, a constant, packs A with: rows as they are where k goes along them, and otherwise tiles
 * [k][rows], rows * lda elements apart, which is what is returned. Some stored rows at a time, as they may be pages apart. */
HONE_INLINE bool
f32_pack_a(float *to, size_t lda, const struct operand *a, int n0, int nn, int k0, int kn, const int rows, bool rounded,
	float *scratch)
{
	enum { BLOCK = 16 };
	if (!a->k_rows)
		f32_load(to, lda, a, n0, nn, k0, kn, rounded);
	for (int k = 0; k < kn && a->k_rows; k += BLOCK, to += BLOCK * rows) {
		int some = kn - k < BLOCK ? kn - k : BLOCK;
		size_t ld;
		const float *from = f32_fetch(a, k0 + k, some, n0, nn, rounded, scratch, &ld);
		for (int i = 0; i < nn; i += rows)
			f32_tile_of_columns(to + (size_t)i * lda, from + i, ld, nn - i, some, rows);
	}
	return a->k_rows;
}

#endif

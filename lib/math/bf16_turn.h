/* bf16 turned so that k runs as a kernel reads it. Internal to lib/math. */
#ifndef HONE_MATH_BF16_TURN_H
#define HONE_MATH_BF16_TURN_H

#include "math/avx512.h"

enum { TURN_K = 32 };  /* elements along k that are turned at a time */

/* Four rows of 16 bytes, one a lane. */
AVX512_INLINE __m512i
four_rows(const uint16_t *from, size_t step)
{
	__m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)from));
	v = _mm512_mask_broadcast_i32x4(v, 0x00f0, _mm_loadu_si128((const void *)(from + step)));
	v = _mm512_mask_broadcast_i32x4(v, 0x0f00, _mm_loadu_si128((const void *)(from + 2 * step)));
	return _mm512_mask_broadcast_i32x4(v, 0xf000, _mm_loadu_si128((const void *)(from + 3 * step)));
}

/* 16 rows of TURN_K elements to as many rows, `step` apart, of a pair of k of each: a 16 x 16 turn of pairs, in lanes of 4 x 4. */
AVX512_INLINE void
turn_pairs(uint16_t *to, size_t step, const uint16_t *from, size_t ld)
{
#pragma GCC unroll 4
	for (int g = 0; g < 4; g++) {
		__m512i r0 = four_rows(from + 8 * g, 4 * ld), r1 = four_rows(from + 8 * g + ld, 4 * ld);
		__m512i r2 = four_rows(from + 8 * g + 2 * ld, 4 * ld), r3 = four_rows(from + 8 * g + 3 * ld, 4 * ld);
		__m512i a = _mm512_unpacklo_epi32(r0, r1), b = _mm512_unpacklo_epi32(r2, r3);
		__m512i c = _mm512_unpackhi_epi32(r0, r1), d = _mm512_unpackhi_epi32(r2, r3);
		uint16_t *at = to + (size_t)(4 * g) * step;
		_mm512_storeu_si512(at, _mm512_unpacklo_epi64(a, b));
		_mm512_storeu_si512(at + step, _mm512_unpackhi_epi64(a, b));
		_mm512_storeu_si512(at + 2 * step, _mm512_unpacklo_epi64(c, d));
		_mm512_storeu_si512(at + 3 * step, _mm512_unpackhi_epi64(c, d));
	}
}

/* TURN_K rows (along k) of 8 elements to 8 rows of TURN_K, lda apart: in lanes of 8 x 8. */
AVX512_INLINE void
turn_elements(uint16_t *to, size_t lda, const uint16_t *from, size_t ld)
{
	__m512i r[8], s[8];
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		r[i] = four_rows(from + (size_t)i * ld, 8 * ld);
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		s[2 * i] = _mm512_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
		s[2 * i + 1] = _mm512_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
	}
#pragma GCC unroll 2
	for (int i = 0; i < 8; i += 4) {
		r[i] = _mm512_unpacklo_epi32(s[i], s[i + 2]);
		r[i + 1] = _mm512_unpackhi_epi32(s[i], s[i + 2]);
		r[i + 2] = _mm512_unpacklo_epi32(s[i + 1], s[i + 3]);
		r[i + 3] = _mm512_unpackhi_epi32(s[i + 1], s[i + 3]);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		_mm512_storeu_si512(to + (size_t)(2 * i) * lda, _mm512_unpacklo_epi64(r[i], r[i + 4]));
		_mm512_storeu_si512(to + (size_t)(2 * i + 1) * lda, _mm512_unpackhi_epi64(r[i], r[i + 4]));
	}
}

#endif

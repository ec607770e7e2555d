/* Pieces that the kernels for AVX-512 share. But for the masks only for functions marked AVX512, which run where the processor was
 * asked. */
#ifndef HONE_MATH_AVX512_H
#define HONE_MATH_AVX512_H

#include <immintrin.h>

#include "math/tile_kernel.h"

#define AVX512_FEATURES "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"
#define AVX512 __attribute__((target(AVX512_FEATURES)))
#define AVX512_INLINE static inline __attribute__((always_inline, target(AVX512_FEATURES)))

/* The low n of 16 or of 32 lanes. */
static inline __mmask16
lanes16(int n)
{
	return (__mmask16)(n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1);
}

static inline __mmask32
lanes32(int n)
{
	return (__mmask32)(n >= 32 ? 0xffffffff : n <= 0 ? 0 : (1u << n) - 1);
}

AVX512_INLINE __m512i
bf16_pair(__m512 low, __m512 high)
{
	return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* With zeros for those that are not in the mask. */
AVX512_INLINE __m512i
bf16_pair_of(__mmask32 in, __m512 low, __m512 high)
{
	return (__m512i)_mm512_maskz_cvtne2ps_pbh(in, high, low);
}

AVX512_INLINE __m512
bf16_widen(__m256i h)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* 32 of bf16 as two vectors, and 0 for those that are not in the mask. */
struct halves {
	__m512 low, high;
};

AVX512_INLINE struct halves
bf16_halves(__mmask32 in, const uint16_t *from)
{
	__m512i x = _mm512_maskz_loadu_epi16(in, from);
	return (struct halves){bf16_widen(_mm512_castsi512_si256(x)), bf16_widen(_mm512_extracti64x4_epi64(x, 1))};
}

/* Asks for a line of each of two rows; `hint` is a constant. */
#define ask_for_pair(row, ld, hint) (_mm_prefetch((const void *)(row), hint), _mm_prefetch((const void *)((row) + (ld)), hint))

/* Two rows along k, of which the second may be missing, as pairs: of columns 0-3, 8-11, 16-19 and 24-27 in `low`, of the others
 * in `high`. */
AVX512_INLINE void
pair_rows(__m512i *low, __m512i *high, const uint16_t *first, const uint16_t *second, __mmask32 columns)
{
	__m512i a = _mm512_maskz_loadu_epi16(columns, first);
	__m512i b = second ? _mm512_maskz_loadu_epi16(columns, second) : _mm512_setzero_si512();
	*low = _mm512_unpacklo_epi16(a, b);
	*high = _mm512_unpackhi_epi16(a, b);
}

/* Sums of these back in the order of columns: the first 16, and those behind them. */
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

/* Two rows along k of up to 32 columns, unpacked as by pair_rows, become a row of pairs in each of two panels. */
AVX512_INLINE void
pairs_store(uint16_t *to, size_t panel, __m512i low, __m512i high, int columns)
{
	const __m512i to0 = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
	const __m512i to1 = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
	_mm512_storeu_si512(to, _mm512_permutex2var_epi64(low, to0, high));
	if (columns > PANEL)
		_mm512_storeu_si512(to + panel, _mm512_permutex2var_epi64(low, to1, high));
}

AVX512_INLINE void
pairs_of_rows(uint16_t *to, size_t panel, const uint16_t *first, const uint16_t *second, int columns)
{
	__m512i low, high;
	pair_rows(&low, &high, first, second, lanes32(columns));
	pairs_store(to, panel, low, high, columns);
}

AVX512_INLINE void
store_row_bf16(const struct tile_out *o, uint16_t *c, __m512 low, __m512 high)
{
	__mmask32 m = lanes32(o->columns);
	if (o->beta != 0) {
		struct halves old = bf16_halves(m, c);
		__m512 beta = _mm512_set1_ps(o->beta);
		low = _mm512_fmadd_ps(beta, old.low, low);
		high = _mm512_fmadd_ps(beta, old.high, high);
	}
	_mm512_mask_storeu_epi16(c, m, bf16_pair(low, high));
}

AVX512_INLINE void
store_row_f32(const struct tile_out *o, float *c, __m512 low, __m512 high)
{
	__mmask16 m0 = lanes16(o->columns), m1 = lanes16(o->columns - 16);
	if (o->beta != 0) {
		__m512 beta = _mm512_set1_ps(o->beta);
		low = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(m0, c), low);
		high = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(m1, c + 16), high);
	}
	_mm512_mask_storeu_ps(c, m0, low);
	_mm512_mask_storeu_ps(c + 16, m1, high);
}

AVX512_INLINE void
store_row(const struct tile_out *o, int i, __m512 low, __m512 high)
{
	__m512 alpha = _mm512_set1_ps(o->alpha);
	low = _mm512_mul_ps(alpha, low);
	high = _mm512_mul_ps(alpha, high);
	if (o->c.type == NUM_BF16)
		store_row_bf16(o, (uint16_t *)o->c.data + (ptrdiff_t)i * o->c.ld, low, high);
	else
		store_row_f32(o, (float *)o->c.data + (ptrdiff_t)i * o->c.ld, low, high);
}

/* Rows i .. end-1 of sums [][TILE_COLUMNS] to C. What training does most, plain results in bf16 and gradients added in
 * fp32, takes as few instructions as can be. */
AVX512_INLINE void
store_rows(const struct tile_out *o, const float *sums, int i, int end)
{
	bool whole = o->columns == TILE_COLUMNS && o->alpha == 1;
	sums += i * TILE_COLUMNS;
	if (whole && o->c.type == NUM_BF16 && o->beta == 0) {
		uint16_t *c = (uint16_t *)o->c.data + (ptrdiff_t)i * o->c.ld;
		for (; i < end && o->streamed; i++, sums += TILE_COLUMNS, c += o->c.ld)
			_mm512_stream_si512((void *)c, bf16_pair(_mm512_load_ps(sums), _mm512_load_ps(sums + PANEL)));
		for (; i < end; i++, sums += TILE_COLUMNS, c += o->c.ld)
			_mm512_storeu_si512(c, bf16_pair(_mm512_load_ps(sums), _mm512_load_ps(sums + PANEL)));
	} else if (whole && o->c.type == NUM_F32 && o->beta == 1) {
		float *c = (float *)o->c.data + (ptrdiff_t)i * o->c.ld;
		for (; i < end; i++, sums += TILE_COLUMNS, c += o->c.ld) {
			_mm512_storeu_ps(c, _mm512_add_ps(_mm512_loadu_ps(c), _mm512_load_ps(sums)));
			_mm512_storeu_ps(c + PANEL, _mm512_add_ps(_mm512_loadu_ps(c + PANEL), _mm512_load_ps(sums + PANEL)));
		}
	} else {
		for (; i < end; i++, sums += TILE_COLUMNS)
			store_row(o, i, _mm512_load_ps(sums), _mm512_load_ps(sums + PANEL));
	}
}

#endif

#include "math/attention_rows.h"

#ifdef __x86_64__

#include "math/avx512.h"

enum { STEP = 32 };  /* scores at a time: one vector of bf16, two of fp32 */

/* e^x within 2e-7 relative, 0 far below: as exp_f32 of math/simd.h, to the sixth power. */
AVX512_INLINE __m512
exp16(__m512 x)
{
	x = _mm512_max_ps(_mm512_set1_ps(-1000), x);  /* of a NaN, the NaN */
	__m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT);
	__m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
	r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
	__m512 p = _mm512_set1_ps(1.38888889e-3f);
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.33333333e-3f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.16666667e-2f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.66666667e-1f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
	return _mm512_scalef_ps(p, n);
}

/* Which of the 32 scores from j on lie in [from, to). */
AVX512_INLINE __mmask32
visible(int j, int from, int to)
{
	return lanes32(to - j) & ~lanes32(from - j);
}

AVX512_INLINE void
clear(uint16_t *row, int from, int to)
{
	for (int j = from; j < to; j += STEP)
		_mm512_storeu_si512(row + j, _mm512_setzero_si512());
}

AVX512_INLINE float
greatest(const float *S, int first, int from, int to)
{
	const __m512 none = _mm512_set1_ps(-__builtin_inff());
	__m512 low = none, high = none;
	for (int j = first; j < to; j += STEP) {
		__mmask32 m = visible(j, from, to);
		low = _mm512_max_ps(low, _mm512_mask_loadu_ps(none, (__mmask16)m, S + j));
		high = _mm512_max_ps(high, _mm512_mask_loadu_ps(none, (__mmask16)(m >> 16), S + j + 16));
	}
	return _mm512_reduce_max_ps(_mm512_max_ps(low, high));
}

AVX512 float
attn_softmax_row_avx512(uint16_t *P, const float *S, float scale, int from, int to, int n, float *max, float *sum)
{
	int first = from / STEP * STEP;
	if (from >= to) {
		clear(P, 0, n);
		return 1;
	}
	clear(P, 0, first);
	float most = scale * greatest(S, first, from, to), m = most > *max ? most : *max;
	const __m512 by = _mm512_set1_ps(scale), less = _mm512_set1_ps(m);
	__m512 sum0 = _mm512_setzero_ps(), sum1 = sum0;
	int j = first;
	for (; j < to; j += STEP) {
		__mmask32 seen = visible(j, from, to);
		__mmask16 low = (__mmask16)seen, high = (__mmask16)(seen >> 16);
		__m512 e0 = exp16(_mm512_fmsub_ps(by, _mm512_maskz_loadu_ps(low, S + j), less));
		__m512 e1 = exp16(_mm512_fmsub_ps(by, _mm512_maskz_loadu_ps(high, S + j + 16), less));
		sum0 = _mm512_mask_add_ps(sum0, low, sum0, e0);
		sum1 = _mm512_mask_add_ps(sum1, high, sum1, e1);
		_mm512_storeu_si512(P + j, _mm512_maskz_mov_epi16(seen, bf16_pair(e0, e1)));
	}
	clear(P, j, n);
	float factor = _mm512_cvtss_f32(exp16(_mm512_set1_ps(*max - m)));
	*sum = *sum * factor + _mm512_reduce_add_ps(_mm512_add_ps(sum0, sum1));
	*max = m;
	return factor;
}

/* Sixteen of a row: probabilities, and gradients. */
AVX512_INLINE __m512
gradient16(__m512 *p, __mmask16 seen, const float *S, const float *dP, __m512 scale, const float *lse, const float *delta)
{
	__m512 s = _mm512_maskz_loadu_ps(seen, S), d = _mm512_maskz_loadu_ps(seen, dP);
	*p = exp16(_mm512_fmsub_ps(scale, s, _mm512_maskz_loadu_ps(seen, lse)));
	d = _mm512_sub_ps(d, _mm512_maskz_loadu_ps(seen, delta));
	return _mm512_mul_ps(_mm512_mul_ps(scale, *p), d);
}

AVX512 void
attn_gradient_row_avx512(uint16_t *P, uint16_t *dS, const float *S, const float *dP, float scale, const float *lse,
	const float *delta, int from, int to, int n)
{
	const __m512 by = _mm512_set1_ps(scale);
	for (int j = 0; j < n; j += STEP) {
		__mmask32 seen = visible(j, from, to);
		__m512 p0, p1;
		__m512 d0 = gradient16(&p0, (__mmask16)seen, S + j, dP + j, by, lse + j, delta + j);
		__m512 d1 = gradient16(&p1, (__mmask16)(seen >> 16), S + j + 16, dP + j + 16, by, lse + j + 16, delta + j + 16);
		_mm512_storeu_si512(P + j, _mm512_maskz_mov_epi16(seen, bf16_pair(p0, p1)));
		_mm512_storeu_si512(dS + j, _mm512_maskz_mov_epi16(seen, bf16_pair(d0, d1)));
	}
}

AVX512 float
attn_dot_avx512(const uint16_t *a, const uint16_t *b, int n)
{
	__m512 sum = _mm512_setzero_ps();
	for (int i = 0; i < n; i += 16) {
		__mmask16 m = lanes16(n - i);
		sum = _mm512_fmadd_ps(bf16_widen(_mm256_maskz_loadu_epi16(m, a + i)), bf16_widen(_mm256_maskz_loadu_epi16(m, b + i)), sum);
	}
	return _mm512_reduce_add_ps(sum);
}

#endif

/* Logits in bf16, with AVX-512 and its instructions for that. */
#include "math/loss_int.h"

#ifdef __x86_64__

#include "math/exp_avx512.h"

enum { STEP = 32 };  /* logits at a time: one vector of bf16, two of fp32 */

AVX512 static float
largest(const void *logits, int n)
{
	const uint16_t *x = logits;
	__m512 low = _mm512_set1_ps(-__builtin_inff()), high = low;
	for (int i = 0; i < n; i += STEP) {
		__mmask32 m = lanes32(n - i);
		struct halves a = bf16_halves(m, x + i);
		low = _mm512_mask_max_ps(low, (__mmask16)m, a.low, low);  /* of a NaN and another number the second, which is the other */
		high = _mm512_mask_max_ps(high, (__mmask16)(m >> 16), a.high, high);
	}
	return _mm512_reduce_max_ps(_mm512_max_ps(low, high));
}

AVX512_INLINE __m512
exponential(__m512 x, __m512 max)
{
	return exp2_16(_mm512_mul_ps(_mm512_set1_ps(LOG2_E), _mm512_sub_ps(x, max)));
}

AVX512 static float
sum_exp(const void *logits, float max, int n)
{
	const uint16_t *x = logits;
	const __m512 less = _mm512_set1_ps(max);
	__m512 low = _mm512_setzero_ps(), high = low;
	for (int i = 0; i < n; i += STEP) {
		__mmask32 m = lanes32(n - i);
		struct halves a = bf16_halves(m, x + i);
		low = _mm512_mask_add_ps(low, (__mmask16)m, low, exponential(a.low, less));
		high = _mm512_mask_add_ps(high, (__mmask16)(m >> 16), high, exponential(a.high, less));
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(low, high));
}

AVX512 static void
scaled_exp(void *logits, float max, float by, int n)
{
	uint16_t *x = logits;
	const __m512 less = _mm512_set1_ps(max), factor = _mm512_set1_ps(by);
	for (int i = 0; i < n; i += STEP) {
		__mmask32 m = lanes32(n - i);
		struct halves a = bf16_halves(m, x + i);
		__m512 low = _mm512_mul_ps(factor, exponential(a.low, less)), high = _mm512_mul_ps(factor, exponential(a.high, less));
		_mm512_mask_storeu_epi16(x + i, m, bf16_pair(low, high));
	}
}

const struct loss_kernel loss_bf16_avx512 = {largest, sum_exp, scaled_exp};

#endif

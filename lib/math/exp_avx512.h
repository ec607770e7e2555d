/* Powers of two of sixteen numbers. Internal to lib/math. */
#ifndef HONE_MATH_EXP_AVX512_H
#define HONE_MATH_EXP_AVX512_H

#include "math/avx512.h"

#define LOG2_E 1.44269504088896341f

/* 2^x within 2e-7 relative; 1 at 0, infinity and zero far above and below, NaN of a NaN. What is left of x above the
 * whole number below it goes through the polynomial of fifth degree that is 1 at 0 and next to 2^r on [0, 1] by Remez, whose
 * relative error is 9e-8; that number becomes the exponent. */
AVX512_INLINE __m512
exp2_16(__m512 x)
{
	__m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
	__m512 p = _mm512_set1_ps(0.00186713005f);
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.00901703071f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.0557999127f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.240164444f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693151295f));
	p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
	return _mm512_scalef_ps(p, x);
}

#endif

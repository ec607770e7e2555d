/* Gates with AVX-512 and its bf16. */
#include "math/activation_int.h"

#ifdef __x86_64__

#include <stdbool.h>

#include "math/exp_avx512.h"

enum { STEP = 32 };  /* elements at a time: one vector of bf16, two of fp32 */

struct curve {
	__m512 value, slope;
};

/* 1 / x, x of a magnitude between 2^-126 and 2^126: fourteen bits, and once Newton's step. */
AVX512_INLINE __m512
reciprocal(__m512 x)
{
	__m512 r = _mm512_rcp14_ps(x);
	return _mm512_mul_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(2)));
}

/* f and its derivative, as sigmoid_at has them. `bent`: b is not 0, a constant where this is expanded. */
AVX512_INLINE struct curve
curve_at(__m512 x, struct sigmoid f, bool bent)
{
	__m512 of_x = _mm512_set1_ps(f.a), derived = of_x;  /* what s is given, by x, and its derivative */
	if (bent) {
		__m512 square = _mm512_min_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(1e6f)), b = _mm512_set1_ps(f.b);
		of_x = _mm512_fmadd_ps(b, square, _mm512_set1_ps(f.a));
		derived = _mm512_fmadd_ps(_mm512_set1_ps(3 * f.b), square, _mm512_set1_ps(f.a));
	}
	__m512 power = _mm512_mul_ps(x, _mm512_mul_ps(of_x, _mm512_set1_ps(-LOG2_E)));
	__m512 e = exp2_16(_mm512_min_ps(_mm512_set1_ps(125), power));  /* of a NaN, the NaN */
	__m512 s = reciprocal(_mm512_add_ps(_mm512_set1_ps(1), e)), value = _mm512_mul_ps(x, s);
	return (struct curve){value, _mm512_fmadd_ps(_mm512_mul_ps(value, _mm512_mul_ps(e, s)), derived, s)};
}

AVX512_INLINE void
gate_forward(uint16_t *out, const uint16_t *gate, const uint16_t *up, int n, struct sigmoid f, bool bent)
{
	for (int i = 0; i < n; i += STEP) {
		__mmask32 m = lanes32(n - i);
		struct halves x = bf16_halves(m, gate + i), u = bf16_halves(m, up + i);
		__m512 low = _mm512_mul_ps(curve_at(x.low, f, bent).value, u.low);
		__m512 high = _mm512_mul_ps(curve_at(x.high, f, bent).value, u.high);
		_mm512_mask_storeu_epi16(out + i, m, bf16_pair(low, high));
	}
}

AVX512_INLINE void
gate_backward(uint16_t *out, uint16_t *dgate, uint16_t *dup, const uint16_t *dout, const uint16_t *gate, const uint16_t *up,
	int n, struct sigmoid f, bool bent)
{
	for (int i = 0; i < n; i += STEP) {
		__mmask32 m = lanes32(n - i);
		struct halves x = bf16_halves(m, gate + i), u = bf16_halves(m, up + i), d = bf16_halves(m, dout + i);
		struct curve low = curve_at(x.low, f, bent), high = curve_at(x.high, f, bent);
		if (out)
			_mm512_mask_storeu_epi16(out + i, m, bf16_pair(_mm512_mul_ps(low.value, u.low), _mm512_mul_ps(high.value, u.high)));
		_mm512_mask_storeu_epi16(dup + i, m, bf16_pair(_mm512_mul_ps(d.low, low.value), _mm512_mul_ps(d.high, high.value)));
		__m512 by_low = _mm512_mul_ps(u.low, low.slope), by_high = _mm512_mul_ps(u.high, high.slope);
		_mm512_mask_storeu_epi16(dgate + i, m, bf16_pair(_mm512_mul_ps(d.low, by_low), _mm512_mul_ps(d.high, by_high)));
	}
}

AVX512 void
half_gate_avx512(uint16_t *out, const uint16_t *gate, const uint16_t *up, int n, struct sigmoid f)
{
	if (f.b == 0)
		gate_forward(out, gate, up, n, f, false);
	else
		gate_forward(out, gate, up, n, f, true);
}

AVX512 void
half_gate_backward_avx512(uint16_t *out, uint16_t *dgate, uint16_t *dup, const uint16_t *dout, const uint16_t *gate,
	const uint16_t *up, int n, struct sigmoid f)
{
	if (f.b == 0)
		gate_backward(out, dgate, dup, dout, gate, up, n, f, false);
	else
		gate_backward(out, dgate, dup, dout, gate, up, n, f, true);
}

#endif

/* Gates over bf16 as lib/math/activation.c and its kernel for AVX-512 compute them. Internal to lib/math. */
#ifndef HONE_MATH_ACTIVATION_INT_H
#define HONE_MATH_ACTIVATION_INT_H

#include <stdint.h>

/* f(x) = x s(x (a + b x^2)): silu, quick_gelu, and gelu with a tanh, as (1 + tanh u) / 2 = s(2 u). */
struct sigmoid {
	float a, b;
};

/* n elements: out = f(gate) * up, and with it, unless out is NULL, the gradients. */
void half_gate_avx512(uint16_t *out, const uint16_t *gate, const uint16_t *up, int n, struct sigmoid f);
void half_gate_backward_avx512(uint16_t *out, uint16_t *dgate, uint16_t *dup, const uint16_t *dout, const uint16_t *gate,
	const uint16_t *up, int n, struct sigmoid f);

#endif

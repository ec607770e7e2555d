/* SwiGLU (Shazeer 2020): out = silu(gate) * up, silu(x) = x / (1 + e^-x). */
#ifndef HONE_MATH_ACTIVATION_H
#define HONE_MATH_ACTIVATION_H

#include <stddef.h>

/* out[n]; may be gate or up. */
void swiglu_forward(float *out, const float *gate, const float *up, size_t n);

/* dgate[n] and dup[n] are set (not added to); dgate may be dout. */
void swiglu_backward(float *dgate, float *dup, const float *dout, const float *gate, const float *up, size_t n);

#endif

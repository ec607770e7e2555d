/* SwiGLU (Shazeer 2020): out = silu(gate) * up, silu(x) = x / (1 + e^-x). */
#ifndef HONE_MATH_ACTIVATION_H
#define HONE_MATH_ACTIVATION_H

#include "math/rows.h"

/* out[T,F]; may be gate or up. */
void swiglu_forward(struct rows out, struct rows gate, struct rows up, int T, int F);

/* dgate[T,F] and dup[T,F] are set (not added to); dgate may be dout. */
void swiglu_backward(struct rows dgate, struct rows dup, struct rows dout, struct rows gate, struct rows up, int T,
	int F);

#endif

/* The feed-forward's activation f, by itself, out = f(x), or as a gate, out = f(gate) * up (Shazeer 2020).
 *
 * silu(x) = x s(x) with s(x) = 1 / (1 + e^-x); gelu(x) = x Phi(x), Phi the normal distribution (Hendrycks and Gimpel
 * 2016), or with a tanh in its place: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), which transformers calls gelu_new
 * and gelu_pytorch_tanh; quick_gelu(x) = x s(1.702 x). */
#ifndef HONE_MATH_ACTIVATION_H
#define HONE_MATH_ACTIVATION_H

#include "math/rows.h"

enum activation { ACT_SILU, ACT_GELU, ACT_GELU_TANH, ACT_QUICK_GELU, ACT_RELU };

/* out[T,F]; may be x. */
void activation_forward(enum activation f, struct rows out, struct rows x, int T, int F);

/* dx[T,F] is set (not added to); may be dout. out[T,F] becomes what it was forward, unless its data is NULL. */
void activation_backward(enum activation f, struct rows out, struct rows dx, struct rows dout, struct rows x, int T, int F);

/* out[T,F]; may be gate or up. */
void gated_forward(enum activation f, struct rows out, struct rows gate, struct rows up, int T, int F);

/* dgate[T,F] and dup[T,F] are set (not added to); dgate may be dout. out as above. */
void gated_backward(enum activation f, struct rows out, struct rows dgate, struct rows dup, struct rows dout,
	struct rows gate, struct rows up, int T, int F);

#endif

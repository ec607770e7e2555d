/* RMSNorm (Zhang and Sennrich 2019): y = x / rms(x) * w, rms over C elements.
 *
 * A row holds `groups` times C elements, each group normalised by itself with the same w: 1 for the whole row, the
 * number of heads for a norm of each head. */
#ifndef HONE_MATH_NORM_H
#define HONE_MATH_NORM_H

#include "math/rows.h"

/* out[T,groups*C] from x and w[C]; rstd[T,groups] receives 1/sqrt(mean(x^2) + eps) for backward. out may be x. */
void rmsnorm_forward(struct rows out, float *rstd, struct rows x, const float *w, int T, int groups, int C, float eps);

/* The same again from the rstd that forward kept. */
void rmsnorm_again(struct rows out, const float *rstd, struct rows x, const float *w, int T, int groups, int C);

/* dx = beta dx + the gradient at x (dx may be dout when beta is 0 and dw NULL); dw[C] += that at w unless dw is NULL. */
void rmsnorm_backward(struct rows dx, float beta, float *dw, struct rows dout, struct rows x, const float *w,
	const float *rstd, int T, int groups, int C);

#endif

/* RMSNorm (Zhang and Sennrich 2019): y = x / rms(x) * w, rms over the last dimension.
 *
 * A row is C elements; rows lie one after the other, so a tensor [T, H, D] normalised per head is T*H rows of D. */
#ifndef HONE_MATH_NORM_H
#define HONE_MATH_NORM_H

/* out[T,C] from x[T,C] and w[C]; rstd[T] receives 1/sqrt(mean(x^2) + eps) for backward. out may be x. */
void rmsnorm_forward(float *out, float *rstd, const float *x, const float *w, int T, int C, float eps);

/* The same again from the rstd that forward kept. */
void rmsnorm_again(float *out, const float *rstd, const float *x, const float *w, int T, int C);

/* dx[T,C] += the gradient at x; dw[C] += that at w unless dw is NULL. dout is overwritten when dw is given. */
void rmsnorm_backward(float *dx, float *dw, float *dout, const float *x, const float *w, const float *rstd, int T,
	int C);

#endif

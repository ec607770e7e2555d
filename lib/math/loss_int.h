/* What lib/math/loss.c does with a block of logits, of one type and for some processors. Internal to lib/math. */
#ifndef HONE_MATH_LOSS_INT_H
#define HONE_MATH_LOSS_INT_H

struct loss_kernel {
	float (*max)(const void *x, int n);  /* the greatest of x[n] that is no NaN, or -infinity */
	float (*sum_exp)(const void *x, float max, int n);  /* the sum of e^(x - max) */
	void (*scaled_exp)(void *x, float max, float by, int n);  /* x = e^(x - max) by, rounded once */
};

extern const struct loss_kernel loss_bf16_avx512;

#endif

/* Norms of a row: RMSNorm (Zhang and Sennrich 2019), y = x / rms(x) * w; the same with 1 + w in the place of w, as Gemma
 * stores it; and LayerNorm (Ba et al. 2016), y = (x - mean(x)) / deviation(x) * w + b.
 *
 * A row holds `groups` times C elements, each group normalised by itself with the same w: 1 for the whole row, the
 * number of heads for a norm of each head. */
#ifndef HONE_MATH_NORM_H
#define HONE_MATH_NORM_H

#include "math/rows.h"

enum norm_kind { NORM_RMS, NORM_RMS_OFFSET, NORM_LAYER };

struct norm {
	enum norm_kind kind;
	float eps;               /* added to the mean square, or to the variance */
	const float *w;          /* [C] */
	const float *b;          /* [C]; NULL: none */
};

/* What backward needs of a group: y = (x - mean) * rstd * w + b. */
struct norm_stat {
	float mean;              /* 0 for both kinds of RMSNorm */
	float rstd;
};

/* Gradients that backward adds to; NULL: not wanted. */
struct norm_grad {
	float *w, *b;            /* [C] */
};

/* out[T,groups*C] from x; stat[T,groups] is set. out may be x. `copy`, of the same type as out, becomes what x is, unless
 * its data is NULL. */
void norm_forward(struct rows out, struct rows copy, struct norm_stat *stat, struct rows x, const struct norm *n, int T,
	int groups, int C);

/* The same again from the stat that forward kept. */
void norm_again(struct rows out, const struct norm_stat *stat, struct rows x, const struct norm *n, int T, int groups,
	int C);

/* What backward writes besides, of the type of dout, in the same pass over the rows; data NULL: not wanted. */
struct norm_also {
	struct rows out;         /* as norm_again */
	struct rows copy;        /* of dx as it becomes */
};

/* dx = beta dx + the gradient at x (dx may be dout when beta is 0); adds to g. `also` may be NULL. */
void norm_backward(struct rows dx, float beta, const struct norm_grad *g, const struct norm_also *also, struct rows dout,
	struct rows x, const struct norm *n, const struct norm_stat *stat, int T, int groups, int C);

#endif

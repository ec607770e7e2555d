/* A model's norms: the kernels of math/norm.h with the parameters, the kind and the eps of the model. */
#ifndef HONE_MODEL_NORMS_H
#define HONE_MODEL_NORMS_H

#include "model/model.h"

static inline struct norm
norms_of(const struct model *m, const struct norm_params *p)
{
	return (struct norm){m->config.family->norm, (float)m->config.norm_eps, p->w->value, p->b ? p->b->value : NULL};
}

static inline void
norms_forward(const struct model *m, const struct norm_params *p, struct rows out, struct rows copy,
	struct norm_stat *stat, struct rows x, int T, int groups, int n)
{
	struct norm norm = norms_of(m, p);
	norm_forward(out, copy, stat, x, &norm, T, groups, n);
}

static inline void
norms_again(const struct model *m, const struct norm_params *p, struct rows out, const struct norm_stat *stat,
	struct rows x, int T, int groups, int n)
{
	struct norm norm = norms_of(m, p);
	norm_again(out, stat, x, &norm, T, groups, n);
}

static inline void
norms_backward(const struct model *m, const struct norm_params *p, struct rows dx, float beta,
	const struct norm_also *also, struct rows dout, struct rows x, const struct norm_stat *stat, int T, int groups, int n)
{
	struct norm norm = norms_of(m, p);
	const struct norm_grad grad = {p->w->grad, p->b ? p->b->grad : NULL};
	norm_backward(dx, beta, &grad, also, dout, x, &norm, stat, T, groups, n);
}

/* Whether any of a norm is trained. */
static inline bool
norms_trained(const struct norm_params *p)
{
	return p->w->grad || (p->b && p->b->grad);
}

#endif

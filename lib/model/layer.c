#include "model/layer.h"

#include <string.h>

#include "math/activation.h"
#include "math/norm.h"
#include "math/rope.h"
#include "math/vector.h"

static struct attn_shape
shape_of(const struct config *c, const struct layer *l)
{
	return (struct attn_shape){c->H, c->K, c->D, c->attention_scale, l->window};
}

static void
rope(struct model *m, float *x, int heads, const struct batch *b, float sign)
{
	struct workspace *w = &m->work;
	rope_apply(x, w->cos, w->sin, b->pos, b->T, heads, m->config.D, m->config.rope.rotary, sign);
}

/* The rows of the cache that this batch writes; all of them in training. */
static float *
cache_at(const struct model *m, float *cache, const struct batch *b)
{
	return cache + (size_t)b->kv_row * (size_t)m->config.K * (size_t)m->config.D;
}

/* ---- attention ---- */

/* out[T,heads,D] = rmsnorm per head of `raw`, which is `out` itself in inference. */
static void
head_norm(const struct model *m, float *out, float *rstd, const float *raw, const struct param *w, int T, int heads)
{
	rmsnorm_forward(out, rstd, raw, w->value, T * heads, m->config.D, (float)m->config.norm_eps);
}

static void
attention_part(struct model *m, struct layer *l, const struct batch *b)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	float *k = cache_at(m, a->k, b), *v = cache_at(m, a->v, b);
	float *q_raw = a->q_raw ? a->q_raw : a->q, *k_raw = a->k_raw ? a->k_raw : k;

	rmsnorm_forward(w->xn, a->attn_rstd, a->x, l->attn_norm->value, b->T, c->C, (float)c->norm_eps);
	linear_forward(&l->q, q_raw, w->xn, b->T, 0, &w->pass);
	linear_forward(&l->k, k_raw, w->xn, b->T, 0, &w->pass);
	linear_forward(&l->v, v, w->xn, b->T, 0, &w->pass);
	if (l->q_norm) {
		head_norm(m, a->q, a->q_rstd, q_raw, l->q_norm, b->T, c->H);
		head_norm(m, k, a->k_rstd, k_raw, l->k_norm, b->T, c->K);
	}
	rope(m, a->q, c->H, b, 1);
	rope(m, k, c->K, b, 1);
	struct attn_shape s = shape_of(c, l);
	attention_forward(a->att, a->lse, a->q, a->k, a->v, b->docs, b->n_docs, &s, w->max_len, w->attn);
	memcpy(a->mid, a->x, (size_t)b->T * (size_t)c->C * sizeof *a->mid);
	linear_forward(&l->o, a->mid, a->att, b->T, 1, &w->pass);
}

/* dq (in place) from the gradient after the head norm to that before it. */
static void
head_norm_backward(const struct model *m, float *dx, float *dout, const float *raw, const float *rstd, struct param *w,
	int T, int heads)
{
	size_t n = (size_t)T * (size_t)heads * (size_t)m->config.D;
	memcpy(dout, dx, n * sizeof *dout);
	vec_zero(dx, n);
	rmsnorm_backward(dx, w->grad, dout, raw, w->value, rstd, T * heads, m->config.D);
}

static void
attention_part_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	size_t q_size = (size_t)b->T * (size_t)c->H * (size_t)c->D, k_size = (size_t)b->T * (size_t)c->K * (size_t)c->D;
	float *dxn = need_dx ? w->dxn : NULL;

	linear_backward(&l->o, w->datt, w->dx, a->att, b->T, 0, &w->pass);
	vec_zero(w->dq, q_size);
	vec_zero(w->dk, k_size);
	vec_zero(w->dv, k_size);
	struct attn_shape s = shape_of(c, l);
	attention_backward(w->dq, w->dk, w->dv, w->datt, a->att, a->lse, a->q, a->k, a->v, b->docs, b->n_docs, &s,
		w->max_len, w->attn);
	rope(m, w->dq, c->H, b, -1);
	rope(m, w->dk, c->K, b, -1);
	if (l->q_norm) {
		head_norm_backward(m, w->dq, w->datt, a->q_raw, a->q_rstd, l->q_norm, b->T, c->H);
		head_norm_backward(m, w->dk, w->datt, a->k_raw, a->k_rstd, l->k_norm, b->T, c->K);
	}
	rmsnorm_again(w->xn, a->attn_rstd, a->x, l->attn_norm->value, b->T, c->C);
	linear_backward(&l->q, dxn, w->dq, w->xn, b->T, 0, &w->pass);
	linear_backward(&l->k, dxn, w->dk, w->xn, b->T, 1, &w->pass);
	linear_backward(&l->v, dxn, w->dv, w->xn, b->T, 1, &w->pass);
	if (need_dx)
		rmsnorm_backward(w->dx, l->attn_norm->grad, dxn, a->x, l->attn_norm->value, a->attn_rstd, b->T, c->C);
}

/* ---- feed-forward ---- */

static void
mlp_part(struct model *m, struct layer *l, const struct batch *b, float *out)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	rmsnorm_forward(w->xn, a->mlp_rstd, a->mid, l->mlp_norm->value, b->T, c->C, (float)c->norm_eps);
	linear_forward(&l->gate, a->gate, w->xn, b->T, 0, &w->pass);
	linear_forward(&l->up, a->up, w->xn, b->T, 0, &w->pass);
	swiglu_forward(w->act, a->gate, a->up, (size_t)b->T * (size_t)c->F);
	memcpy(out, a->mid, (size_t)b->T * (size_t)c->C * sizeof *out);
	linear_forward(&l->down, out, w->act, b->T, 1, &w->pass);
}

static void
mlp_part_backward(struct model *m, struct layer *l, const struct batch *b)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	size_t n = (size_t)b->T * (size_t)c->F;
	swiglu_forward(w->act, a->gate, a->up, n);
	linear_backward(&l->down, w->dgate, w->dx, w->act, b->T, 0, &w->pass);
	swiglu_backward(w->dgate, w->dup, w->dgate, a->gate, a->up, n);
	rmsnorm_again(w->xn, a->mlp_rstd, a->mid, l->mlp_norm->value, b->T, c->C);
	linear_backward(&l->gate, w->dxn, w->dgate, w->xn, b->T, 0, &w->pass);
	linear_backward(&l->up, w->dxn, w->dup, w->xn, b->T, 1, &w->pass);
	rmsnorm_backward(w->dx, l->mlp_norm->grad, w->dxn, a->mid, l->mlp_norm->value, a->mlp_rstd, b->T, c->C);
}

void
layer_forward(struct model *m, struct layer *l, const struct batch *b, float *out)
{
	attention_part(m, l, b);
	mlp_part(m, l, b, out);
}

void
layer_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	mlp_part_backward(m, l, b);
	attention_part_backward(m, l, b, need_dx);
}

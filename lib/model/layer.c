#include "model/layer.h"

#include "base/worktime.h"
#include "math/activation.h"
#include "math/norm.h"
#include "math/rope.h"
#include "math/vector.h"

static const struct rows none;

/* ---- views ---- */

static struct heads
heads(const struct config *c, struct rows r, int first)
{
	return (struct heads){rows_at(r, 0, first * c->D), c->D};
}

/* Queries, keys and values as attention reads them: out of the layer's rows, or keys and values out of the cache. */
static struct attn
attention_views(const struct model *m, const struct layer *l)
{
	const struct config *c = &m->config;
	const struct activations *a = &l->act;
	struct rows qk = l->q_norm ? a->qk : a->qkv;
	struct attn v = {heads(c, qk, 0), heads(c, qk, c->H), heads(c, a->qkv, c->H + c->K), heads(c, a->att, 0)};
	if (l->cache.data) {
		v.k = heads(c, l->cache, 0);
		v.v = heads(c, l->cache, c->K);
	}
	return v;
}

static struct attn
gradient_views(const struct model *m)
{
	const struct config *c = &m->config;
	struct rows d = m->work.dqkv;
	return (struct attn){heads(c, d, 0), heads(c, d, c->H), heads(c, d, c->H + c->K), heads(c, m->work.datt, 0)};
}

static struct attn_shape
shape_of(const struct config *c, const struct layer *l)
{
	return (struct attn_shape){c->H, c->K, c->D, c->attention_scale, l->window};
}

static void
rope(struct model *m, struct heads x, int n, const struct batch *b, float sign)
{
	struct workspace *w = &m->work;
	rope_apply(x, w->cos, w->sin, b->pos, b->T, n, m->config.rope.rotary, sign);
}

/* Keeps the residual stream for the backward pass of the norm that reads it. */
static void
keep(struct model *m, struct rows to, int T)
{
	if (to.data)
		rows_copy(to, m->work.x, T, m->config.C);
}

/* The gradient of the residual stream as products take it. */
static struct rows
residual_gradient(struct model *m, int T)
{
	struct workspace *w = &m->work;
	if (w->dy.type != w->dx.type)
		rows_copy(w->dy, w->dx, T, m->config.C);
	return w->dy;
}

/* ---- attention ---- */

static void
project_qkv(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	const struct config *c = &m->config;
	struct rows qkv = l->act.qkv;
	linear_forward(l->q, qkv, w->xn, T, 0, &w->pass);
	linear_forward(l->k, rows_at(qkv, 0, c->H * c->D), w->xn, T, 0, &w->pass);
	linear_forward(l->v, rows_at(qkv, 0, (c->H + c->K) * c->D), w->xn, T, 0, &w->pass);
}

/* dxn from dqkv, unless it is not needed. */
static void
project_qkv_backward(struct model *m, struct layer *l, int T, bool need_dx)
{
	struct workspace *w = &m->work;
	const struct config *c = &m->config;
	struct rows dxn = need_dx ? w->dxn : none;
	linear_backward(l->q, dxn, w->dqkv, w->xn, T, 0, &w->pass);
	linear_backward(l->k, dxn, rows_at(w->dqkv, 0, c->H * c->D), w->xn, T, 1, &w->pass);
	linear_backward(l->v, dxn, rows_at(w->dqkv, 0, (c->H + c->K) * c->D), w->xn, T, 1, &w->pass);
}

static void
norm_heads(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct activations *a = &l->act;
	int q = c->H * c->D;
	float eps = (float)c->norm_eps;
	rmsnorm_forward(a->qk, a->q_rstd, a->qkv, l->q_norm->value, T, c->H, c->D, eps);
	rmsnorm_forward(rows_at(a->qk, 0, q), a->k_rstd, rows_at(a->qkv, 0, q), l->k_norm->value, T, c->K, c->D, eps);
}

/* From gradients after the norms of queries and keys to those before, in place. */
static void
norm_heads_backward(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct activations *a = &l->act;
	struct rows dq = m->work.dqkv, dk = rows_at(dq, 0, c->H * c->D), k = rows_at(a->qkv, 0, c->H * c->D);
	rmsnorm_backward(dq, 0, l->q_norm->grad, dq, a->qkv, l->q_norm->value, a->q_rstd, T, c->H, c->D);
	rmsnorm_backward(dk, 0, l->k_norm->grad, dk, k, l->k_norm->value, a->k_rstd, T, c->K, c->D);
}

/* Puts the batch's keys and values behind what the cache holds. */
static void
fill_cache(struct model *m, struct layer *l, const struct batch *b)
{
	const struct config *c = &m->config;
	struct rows qk = l->q_norm ? l->act.qk : l->act.qkv, cache = rows_at(l->cache, b->kv_row, 0);
	rows_copy(cache, rows_at(qk, 0, c->H * c->D), b->T, c->K * c->D);
	rows_copy(rows_at(cache, 0, c->K * c->D), rows_at(l->act.qkv, 0, (c->H + c->K) * c->D), b->T, c->K * c->D);
}

static void
attention_part(struct model *m, struct layer *l, const struct batch *b)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	rmsnorm_forward(w->xn, a->attn_rstd, w->x, l->attn_norm->value, b->T, 1, c->C, (float)c->norm_eps);
	project_qkv(m, l, b->T);
	if (l->q_norm)
		norm_heads(m, l, b->T);
	rope(m, heads(c, l->q_norm ? a->qk : a->qkv, 0), c->H + c->K, b, 1);
	if (l->cache.data)
		fill_cache(m, l, b);
	struct attn v = attention_views(m, l);
	struct attn_shape s = shape_of(c, l);
	enum work before = work_switch(WORK_ATTENTION);
	attention_forward(&v, a->lse, b->docs, b->n_docs, &s, w->max_len, w->attn);
	work_switch(before);
	linear_forward(l->o, w->x, a->att, b->T, 1, &w->pass);
}

static void
attention_part_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	struct attn v = attention_views(m, l), d = gradient_views(m);
	struct attn_shape s = shape_of(c, l);
	linear_backward(l->o, w->datt, residual_gradient(m, b->T), a->att, b->T, 0, &w->pass);
	enum work before = work_switch(WORK_ATTENTION);
	attention_backward(&d, &v, a->lse, b->docs, b->n_docs, &s, w->max_len, w->attn);
	work_switch(before);
	rope(m, d.q, c->H + c->K, b, -1);
	if (l->q_norm)
		norm_heads_backward(m, l, b->T);
	rmsnorm_again(w->xn, a->attn_rstd, a->x, l->attn_norm->value, b->T, 1, c->C);
	project_qkv_backward(m, l, b->T, need_dx);
	if (need_dx)
		rmsnorm_backward(w->dx, 1, l->attn_norm->grad, w->dxn, a->x, l->attn_norm->value, a->attn_rstd, b->T, 1, c->C);
}

/* ---- feed-forward ---- */

static void
mlp_part(struct model *m, struct layer *l, const struct batch *b)
{
	struct workspace *w = &m->work;
	const struct config *c = &m->config;
	struct rows gate = l->act.gate_up, up = rows_at(gate, 0, c->F);
	rmsnorm_forward(w->xn, l->act.mlp_rstd, w->x, l->mlp_norm->value, b->T, 1, c->C, (float)c->norm_eps);
	linear_forward(l->gate, gate, w->xn, b->T, 0, &w->pass);
	linear_forward(l->up, up, w->xn, b->T, 0, &w->pass);
	swiglu_forward(w->act, gate, up, b->T, c->F);
	linear_forward(l->down, w->x, w->act, b->T, 1, &w->pass);
}

static void
mlp_part_backward(struct model *m, struct layer *l, const struct batch *b)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	const struct config *c = &m->config;
	struct rows gate = a->gate_up, up = rows_at(gate, 0, c->F), dgate = w->dgate_up, dup = rows_at(dgate, 0, c->F);
	swiglu_forward(w->act, gate, up, b->T, c->F);
	linear_backward(l->down, dgate, residual_gradient(m, b->T), w->act, b->T, 0, &w->pass);
	swiglu_backward(dgate, dup, dgate, gate, up, b->T, c->F);
	rmsnorm_again(w->xn, a->mlp_rstd, a->mid, l->mlp_norm->value, b->T, 1, c->C);
	linear_backward(l->gate, w->dxn, dgate, w->xn, b->T, 0, &w->pass);
	linear_backward(l->up, w->dxn, dup, w->xn, b->T, 1, &w->pass);
	rmsnorm_backward(w->dx, 1, l->mlp_norm->grad, w->dxn, a->mid, l->mlp_norm->value, a->mlp_rstd, b->T, 1, c->C);
}

void
layer_forward(struct model *m, struct layer *l, const struct batch *b)
{
	keep(m, l->act.x, b->T);
	attention_part(m, l, b);
	keep(m, l->act.mid, b->T);
	mlp_part(m, l, b);
}

void
layer_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	mlp_part_backward(m, l, b);
	attention_part_backward(m, l, b, need_dx);
}

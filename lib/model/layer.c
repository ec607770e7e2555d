#include "model/layer.h"

#include "base/worktime.h"
#include "math/activation.h"
#include "math/norm.h"
#include "math/vector.h"
#include "model/norms.h"

static const struct rows none;

/* ---- views ---- */

/* Heads from column `first` on; `stride` apart. */
static struct heads
heads(struct rows r, int first, int stride)
{
	return (struct heads){rows_at(r, 0, first), stride};
}

/* Queries, keys and values in the rows of the fused projection, whose order of heads is the family's. */
static struct attn
qkv_views(const struct config *c, struct rows qkv)
{
	int D = c->D;
	if (c->family->interleaved)
		return (struct attn){heads(qkv, 0, 3 * D), heads(qkv, D, 3 * D), heads(qkv, 2 * D, 3 * D)};
	return (struct attn){heads(qkv, 0, D), heads(qkv, c->H * D, D), heads(qkv, (c->H + c->K) * D, D)};
}

/* Queries, keys and values of the batch, as they become when normed and turned. */
static struct attn
batch_views(const struct model *m, const struct layer *l)
{
	const struct config *c = &m->config;
	struct attn v = qkv_views(c, l->act.qkv);
	if (l->q_norm.w) {
		v.q = heads(l->act.qk, 0, c->D);
		v.k = heads(l->act.qk, c->H * c->D, c->D);
	}
	v.out = heads(l->act.att, 0, c->D);
	return v;
}

/* The same as attention reads them: in generation, keys and values are those of the cache. */
static struct attn
attention_views(const struct model *m, const struct layer *l)
{
	struct attn v = batch_views(m, l);
	if (l->cache.data) {
		v.k = heads(l->cache, 0, m->config.D);
		v.v = heads(l->cache, m->config.K * m->config.D, m->config.D);
	}
	return v;
}

static struct attn
gradient_views(const struct model *m)
{
	struct attn d = qkv_views(&m->config, m->work.dqkv);
	d.out = heads(m->work.datt, 0, m->config.D);
	return d;
}

static struct attn_shape
shape_of(const struct config *c, const struct layer *l)
{
	const struct config_layer *own = &c->layer[l->index];
	return (struct attn_shape){c->H, c->K, c->D, own->attention_scale, own->window};
}

/* ---- the residual stream ---- */

/* Keeps it for the backward pass of the norm that reads it. */
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

/* work.x += p(in), or += norm(p(in)), for which `out` keeps p(in). */
static void
add_to_stream(struct model *m, const struct projection *p, struct rows in, const struct norm_params *post, struct rows out,
	struct norm_stat *stat, int T)
{
	struct workspace *w = &m->work;
	if (!post->w) {
		projection_forward(p, w->x, in, T, 1, &w->pass);
		return;
	}
	projection_forward(p, out, in, T, 0, &w->pass);
	norms_forward(m, post, w->xn, stat, out, T, 1, m->config.C);
	rows_add(w->x, w->xn, T, m->config.C);
}

/* din from work.dx, which stays as it is. */
static void
add_to_stream_backward(struct model *m, const struct projection *p, struct rows din, struct rows in,
	const struct norm_params *post, struct rows out, const struct norm_stat *stat, int T)
{
	struct workspace *w = &m->work;
	if (!post->w) {
		projection_backward(p, din, residual_gradient(m, T), in, T, &w->pass);
		return;
	}
	norms_backward(m, post, w->dxn, 0, w->dx, out, stat, T, 1, m->config.C);
	projection_backward(p, din, w->dxn, in, T, &w->pass);
}

/* ---- attention ---- */

static void
norm_heads(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct activations *a = &l->act;
	int q = c->H * c->D;
	norms_forward(m, &l->q_norm, a->qk, a->q_stat, a->qkv, T, c->H, c->D);
	norms_forward(m, &l->k_norm, rows_at(a->qk, 0, q), a->k_stat, rows_at(a->qkv, 0, q), T, c->K, c->D);
}

/* From gradients after the norms of queries and keys to those before, in place. */
static void
norm_heads_backward(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct activations *a = &l->act;
	struct rows dq = m->work.dqkv, dk = rows_at(dq, 0, c->H * c->D), k = rows_at(a->qkv, 0, c->H * c->D);
	norms_backward(m, &l->q_norm, dq, 0, dq, a->qkv, a->q_stat, T, c->H, c->D);
	norms_backward(m, &l->k_norm, dk, 0, dk, k, a->k_stat, T, c->K, c->D);
}

/* By each row's position; sign +1 forward, -1 backward. */
static void
turn(struct model *m, struct layer *l, const struct attn *v, const struct batch *b, float sign)
{
	int rope = m->config.layer[l->index].rope;
	if (rope < 0)
		return;
	rotary_apply(&m->work.rotary[rope], v->q, b, m->config.H, sign);
	rotary_apply(&m->work.rotary[rope], v->k, b, m->config.K, sign);
}

/* Puts the batch's keys and values behind what the cache holds. */
static void
fill_cache(struct model *m, struct layer *l, const struct batch *b)
{
	const struct config *c = &m->config;
	struct attn v = batch_views(m, l);
	struct rows cache = rows_at(l->cache, b->kv_row, 0);
	heads_copy(cache, v.k, b->T, c->K, c->D);
	heads_copy(rows_at(cache, 0, c->K * c->D), v.v, b->T, c->K, c->D);
}

/* act.att from work.x. */
static void
attend(struct model *m, struct layer *l, const struct batch *b)
{
	struct workspace *w = &m->work;
	norms_forward(m, &l->attn_norm, w->xn, l->act.attn_stat, w->x, b->T, 1, m->config.C);
	projection_forward(&l->qkv, l->act.qkv, w->xn, b->T, 0, &w->pass);
	if (l->q_norm.w)
		norm_heads(m, l, b->T);
	struct attn v = batch_views(m, l);
	turn(m, l, &v, b, 1);
	if (l->cache.data)
		fill_cache(m, l, b);
	v = attention_views(m, l);
	struct attn_shape s = shape_of(&m->config, l);
	enum work before = work_switch(WORK_ATTENTION);
	attention_forward(&v, l->act.lse, b->docs, b->n_docs, &s, w->max_len, w->attn);
	work_switch(before);
}

/* Adds to work.dx from work.datt. */
static void
attend_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	struct attn v = attention_views(m, l), d = gradient_views(m);
	struct attn_shape s = shape_of(&m->config, l);
	enum work before = work_switch(WORK_ATTENTION);
	attention_backward(&d, &v, a->lse, b->docs, b->n_docs, &s, w->max_len, w->attn);
	work_switch(before);
	turn(m, l, &d, b, -1);
	if (l->q_norm.w)
		norm_heads_backward(m, l, b->T);
	norms_again(m, &l->attn_norm, w->xn, a->attn_stat, a->x, b->T, 1, m->config.C);
	projection_backward(&l->qkv, need_dx ? w->dxn : none, w->dqkv, w->xn, b->T, &w->pass);
	if (need_dx)
		norms_backward(m, &l->attn_norm, w->dx, 1, w->dxn, a->x, a->attn_stat, b->T, 1, m->config.C);
}

/* ---- feed-forward ---- */

/* work.act from act.up. */
static void
activate(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct rows up = l->act.up;
	if (c->family->gated)
		gated_forward(c->activation, m->work.act, up, rows_at(up, 0, c->F), T, c->F);
	else
		activation_forward(c->activation, m->work.act, up, T, c->F);
}

/* work.dup holds, in its first F columns, the gradient at work.act, and then that at act.up. */
static void
activate_backward(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct rows d = m->work.dup, up = l->act.up;
	if (c->family->gated)
		gated_backward(c->activation, d, rows_at(d, 0, c->F), d, up, rows_at(up, 0, c->F), T, c->F);
	else
		activation_backward(c->activation, d, d, up, T, c->F);
}

/* work.act from work.x. */
static void
feed(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	norms_forward(m, &l->mlp_norm, w->xn, l->act.mlp_stat, w->x, T, 1, m->config.C);
	projection_forward(&l->up, l->act.up, w->xn, T, 0, &w->pass);
	activate(m, l, T);
}

/* Adds to work.dx from work.dup. */
static void
feed_backward(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	struct rows x = m->config.parallel ? a->x : a->mid;
	activate_backward(m, l, T);
	norms_again(m, &l->mlp_norm, w->xn, a->mlp_stat, x, T, 1, m->config.C);
	projection_backward(&l->up, w->dxn, w->dup, w->xn, T, &w->pass);
	norms_backward(m, &l->mlp_norm, w->dx, 1, w->dxn, x, a->mlp_stat, T, 1, m->config.C);
}

/* ---- the block ---- */

/* x += attention(norm(x)), then x += mlp(norm(x)); parallel: x += attention(norm(x)) + mlp(norm(x)). */
void
layer_forward(struct model *m, struct layer *l, const struct batch *b)
{
	struct activations *a = &l->act;
	bool parallel = m->config.parallel;
	keep(m, a->x, b->T);
	attend(m, l, b);
	if (parallel)
		feed(m, l, b->T);
	add_to_stream(m, &l->o, a->att, &l->attn_post_norm, a->attn_out, a->attn_post_stat, b->T);
	if (!parallel) {
		keep(m, a->mid, b->T);
		feed(m, l, b->T);
	}
	add_to_stream(m, &l->down, m->work.act, &l->mlp_post_norm, a->mlp_out, a->mlp_post_stat, b->T);
}

void
layer_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	struct activations *a = &l->act;
	struct workspace *w = &m->work;
	bool parallel = m->config.parallel;
	activate(m, l, b->T);
	add_to_stream_backward(m, &l->down, w->dup, w->act, &l->mlp_post_norm, a->mlp_out, a->mlp_post_stat, b->T);
	if (!parallel)
		feed_backward(m, l, b->T);
	add_to_stream_backward(m, &l->o, w->datt, a->att, &l->attn_post_norm, a->attn_out, a->attn_post_stat, b->T);
	if (parallel)
		feed_backward(m, l, b->T);
	attend_backward(m, l, b, need_dx);
}

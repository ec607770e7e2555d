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
	norms_forward(m, post, w->xn, none, stat, out, T, 1, m->config.C);
	rows_add(w->x, w->xn, T, m->config.C);
}

/* The gradient at what a projection adds to the stream. */
static struct rows
stream_gradient(struct model *m, const struct norm_params *post, struct rows out, const struct norm_stat *stat, int T)
{
	struct workspace *w = &m->work;
	if (!post->w)
		return w->dy;
	norms_backward(m, post, w->dxn, 0, NULL, w->dx, out, stat, T, 1, m->config.C);
	return w->dxn;
}

/* work.xn = norm(work.x), of which x keeps what backward reads. */
static void
norm_stream(struct model *m, const struct norm_params *norm, struct rows x, struct norm_stat *stat, int T)
{
	norms_forward(m, norm, m->work.xn, x, stat, m->work.x, T, 1, m->config.C);
}

/* Adds to work.dx from work.dxn, the gradient at what the norm gave and p read; that is work.xn again for p's weights. */
static void
norm_stream_backward(struct model *m, const struct norm_params *norm, const struct projection *p, struct rows x,
	const struct norm_stat *stat, int T)
{
	struct workspace *w = &m->work;
	const struct norm_also also = {projection_reads_input(p) ? w->xn : none, w->dy.type != w->dx.type ? w->dy : none};
	norms_backward(m, norm, w->dx, 1, &also, w->dxn, x, stat, T, 1, m->config.C);
}

/* ---- attention ---- */

static void
norm_heads(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct activations *a = &l->act;
	int q = c->H * c->D;
	norms_forward(m, &l->q_norm, a->qk, none, a->q_stat, a->qkv, T, c->H, c->D);
	norms_forward(m, &l->k_norm, rows_at(a->qk, 0, q), none, a->k_stat, rows_at(a->qkv, 0, q), T, c->K, c->D);
}

/* From gradients after the norms of queries and keys to those before, in place. */
static void
norm_heads_backward(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct activations *a = &l->act;
	struct rows dq = m->work.dqkv, dk = rows_at(dq, 0, c->H * c->D), k = rows_at(a->qkv, 0, c->H * c->D);
	norms_backward(m, &l->q_norm, dq, 0, NULL, dq, a->qkv, a->q_stat, T, c->H, c->D);
	norms_backward(m, &l->k_norm, dk, 0, NULL, dk, k, a->k_stat, T, c->K, c->D);
}

/* By each row's position; sign +1 forward, -1 backward. Keys lie behind queries unless the heads are interleaved. */
static void
turn(struct model *m, struct layer *l, const struct attn *v, const struct batch *b, float sign)
{
	const struct config *c = &m->config;
	int rope = c->layer[l->index].rope;
	bool apart = c->family->interleaved;
	if (rope < 0)
		return;
	rotary_apply(&m->work.rotary[rope], v->q, b, apart ? c->H : c->H + c->K, sign);
	if (apart)
		rotary_apply(&m->work.rotary[rope], v->k, b, c->K, sign);
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
	norm_stream(m, &l->attn_norm, l->act.x, l->act.attn_stat, b->T);
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
	projection_backward(&l->qkv, need_dx ? w->dxn : none, w->dqkv, b->T, &w->pass);
	if (need_dx)
		norm_stream_backward(m, &l->attn_norm, &l->qkv, a->x, a->attn_stat, b->T);
	else
		norms_again(m, &l->attn_norm, w->xn, a->attn_stat, a->x, b->T, 1, m->config.C);
	projection_weights(&l->qkv, w->dqkv, w->xn, b->T, &w->pass);
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

/* work.dup holds, in its first F columns, the gradient at work.act, and then that at act.up; work.act is again what it was
 * for the weights of `down`. */
static void
activate_backward(struct model *m, struct layer *l, int T)
{
	const struct config *c = &m->config;
	struct rows d = m->work.dup, up = l->act.up, out = projection_reads_input(&l->down) ? m->work.act : none;
	if (c->family->gated)
		gated_backward(c->activation, out, d, rows_at(d, 0, c->F), d, up, rows_at(up, 0, c->F), T, c->F);
	else
		activation_backward(c->activation, out, d, d, up, T, c->F);
}

/* work.act from work.x. */
static void
feed(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	norm_stream(m, &l->mlp_norm, l->act.mid, l->act.mlp_stat, T);
	projection_forward(&l->up, l->act.up, w->xn, T, 0, &w->pass);
	activate(m, l, T);
}

/* Adds to work.dx from work.dup. */
static void
feed_backward(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	struct activations *a = &l->act;
	projection_backward(&l->up, w->dxn, w->dup, T, &w->pass);
	norm_stream_backward(m, &l->mlp_norm, &l->up, m->config.parallel ? a->x : a->mid, a->mlp_stat, T);
	projection_weights(&l->up, w->dup, w->xn, T, &w->pass);
}

/* ---- the block ---- */

/* x += attention(norm(x)), then x += mlp(norm(x)); parallel: x += attention(norm(x)) + mlp(norm(x)). */
void
layer_forward(struct model *m, struct layer *l, const struct batch *b)
{
	struct activations *a = &l->act;
	bool parallel = m->config.parallel;
	attend(m, l, b);
	if (parallel)
		feed(m, l, b->T);
	add_to_stream(m, &l->o, a->att, &l->attn_post_norm, a->attn_out, a->attn_post_stat, b->T);
	if (!parallel)
		feed(m, l, b->T);
	add_to_stream(m, &l->down, m->work.act, &l->mlp_post_norm, a->mlp_out, a->mlp_post_stat, b->T);
}

/* work.dup from the stream's gradient. */
static void
down_backward(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	struct rows dy = stream_gradient(m, &l->mlp_post_norm, l->act.mlp_out, l->act.mlp_post_stat, T);
	projection_backward(&l->down, w->dup, dy, T, &w->pass);
	activate_backward(m, l, T);
	projection_weights(&l->down, dy, w->act, T, &w->pass);
}

/* work.datt, likewise. */
static void
o_backward(struct model *m, struct layer *l, int T)
{
	struct workspace *w = &m->work;
	struct rows dy = stream_gradient(m, &l->attn_post_norm, l->act.attn_out, l->act.attn_post_stat, T);
	projection_backward(&l->o, w->datt, dy, T, &w->pass);
	projection_weights(&l->o, dy, l->act.att, T, &w->pass);
}

void
layer_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx)
{
	bool parallel = m->config.parallel;
	down_backward(m, l, b->T);
	if (!parallel)
		feed_backward(m, l, b->T);
	o_backward(m, l, b->T);
	if (parallel)
		feed_backward(m, l, b->T);
	attend_backward(m, l, b, need_dx);
}

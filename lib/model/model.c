/* Working memory, and the passes over the whole stack. */
#include "model/model.h"

#include <math.h>

#include "math/gemm.h"
#include "math/loss.h"
#include "math/norm.h"
#include "math/rope.h"
#include "math/vector.h"
#include "model/layer.h"

/* ---- working memory ---- */

enum { LOGITS_MAX = 1 << 24 };  /* floats of logits held at once: 64 MiB */

/* Rows of the head's chunks: few enough that rows x V stays small, enough that the products are efficient. */
static int
head_rows(const struct config *c, int T)
{
	int rows = LOGITS_MAX / c->V;
	rows = rows < 32 ? 32 : rows > 1024 ? 1024 : rows;
	return rows < T ? rows : T;
}

static int
largest_rank(const struct model *m)
{
	int r = 0;
	for (int i = 0; i <= m->config.L; i++) {
		const struct layer *l = &m->layer[i < m->config.L ? i : 0];
		const struct linear *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down, &m->head};
		for (size_t j = 0; j < sizeof all / sizeof *all; j++)
			if (all[j]->lora && all[j]->lora->r > r)
				r = all[j]->lora->r;
	}
	return r;
}

static void
take_activations(struct arena *a, const struct config *c, struct activations *act, size_t T, enum keep keep)
{
	size_t C = (size_t)c->C, HD = (size_t)c->H * (size_t)c->D, KD = (size_t)c->K * (size_t)c->D, F = (size_t)c->F;
	act->mid = ARENA_TAKE(a, float, T * C);
	act->attn_rstd = ARENA_TAKE(a, float, T);
	act->mlp_rstd = ARENA_TAKE(a, float, T);
	act->q = ARENA_TAKE(a, float, T * HD);
	act->att = ARENA_TAKE(a, float, T * HD);
	act->lse = ARENA_TAKE(a, float, T * (size_t)c->H);
	act->gate = ARENA_TAKE(a, float, T * F);
	act->up = ARENA_TAKE(a, float, T * F);
	if (c->qk_norm) {
		act->q_rstd = ARENA_TAKE(a, float, T * (size_t)c->H);
		act->k_rstd = ARENA_TAKE(a, float, T * (size_t)c->K);
		act->q_raw = keep != KEEP_NOTHING ? ARENA_TAKE(a, float, T * HD) : NULL;
		act->k_raw = keep != KEEP_NOTHING ? ARENA_TAKE(a, float, T * KD) : NULL;
	}
}

static void
take_adapters(struct arena *a, struct layer *l, size_t T)
{
	struct linear *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
	for (size_t j = 0; j < sizeof all / sizeof *all; j++)
		if (all[j]->lora)
			all[j]->lora->xA = ARENA_TAKE(a, float, T * (size_t)all[j]->lora->r);
}

/* Keys and values are a layer's own in inference too, where they are the cache. */
static void
take_layers(struct model *m, struct arena *a)
{
	const struct config *c = &m->config;
	enum keep keep = m->work.keep;
	size_t T = (size_t)m->work.T, cache = (size_t)m->work.cache_rows * (size_t)c->K * (size_t)c->D;
	for (int i = 0; i < c->L; i++) {
		struct layer *l = &m->layer[i];
		if (i == 0 || keep == KEEP_ALL)
			take_activations(a, c, &l->act, T, keep);
		else
			l->act = m->layer[0].act;
		if (i == 0 || keep != KEEP_NOTHING)
			l->act.x = ARENA_TAKE(a, float, T * (size_t)c->C);
		if (i == 0 || keep != KEEP_INPUTS) {
			l->act.k = ARENA_TAKE(a, float, cache);
			l->act.v = ARENA_TAKE(a, float, cache);
		}
		take_adapters(a, l, T);
	}
}

static void
take_workspace(struct model *m, struct arena *a)
{
	struct workspace *w = &m->work;
	const struct config *c = &m->config;
	size_t T = (size_t)w->T, R = (size_t)w->head_rows, C = (size_t)c->C, F = (size_t)c->F;
	size_t HD = (size_t)c->H * (size_t)c->D, KD = (size_t)c->K * (size_t)c->D, half = (size_t)c->rope.rotary / 2;
	size_t rank = (size_t)largest_rank(m), widest = F > HD ? F : HD;
	if (widest < C)
		widest = C;
	w->freq = ARENA_TAKE(a, float, half);
	w->cos = ARENA_TAKE(a, float, (size_t)w->max_len * half);
	w->sin = ARENA_TAKE(a, float, (size_t)w->max_len * half);
	w->x = ARENA_TAKE(a, float, T * C);
	w->xn = ARENA_TAKE(a, float, T * C);
	w->act = ARENA_TAKE(a, float, T * F);
	w->hidden = ARENA_TAKE(a, float, R * C);
	w->hidden_x = ARENA_TAKE(a, float, R * C);
	w->rstd = ARENA_TAKE(a, float, R);
	w->logits = ARENA_TAKE(a, float, R * (size_t)c->V);
	w->attn = ARENA_TAKE(a, float, attention_scratch(w->max_len, math_threads()));
	w->pass.dxA = ARENA_TAKE(a, float, T * rank);
	if (m->head.lora)
		m->head.lora->xA = ARENA_TAKE(a, float, R * rank);
	if (w->keep == KEEP_NOTHING)
		return;
	w->pass.dropped = ARENA_TAKE(a, float, rank ? T * widest : 0);
	w->dx = ARENA_TAKE(a, float, T * C);
	w->dxn = ARENA_TAKE(a, float, T * C);
	w->row_key = ARENA_TAKE(a, uint64_t, R);
	w->dhidden = ARENA_TAKE(a, float, R * C);
	w->dhidden_x = ARENA_TAKE(a, float, R * C);
	w->coef = ARENA_TAKE(a, float, R);
	w->dgate = ARENA_TAKE(a, float, T * F);
	w->dup = ARENA_TAKE(a, float, T * F);
	w->dq = ARENA_TAKE(a, float, T * HD);
	w->datt = ARENA_TAKE(a, float, T * HD);
	w->dk = ARENA_TAKE(a, float, T * KD);
	w->dv = ARENA_TAKE(a, float, T * KD);
}

void
model_reserve(struct model *m, int T, int max_len, int cache_rows, enum keep keep)
{
	arena_release(&m->work_memory);
	m->work = (struct workspace){.T = T, .max_len = max_len, .cache_rows = cache_rows ? cache_rows : T, .keep = keep};
	m->work.head_rows = head_rows(&m->config, T);
	for (int pass = 0; pass < 2; pass++) {
		take_layers(m, &m->work_memory);
		take_workspace(m, &m->work_memory);
		if (pass == 0)
			arena_make(&m->work_memory);
	}
	rope_frequencies(m->work.freq, &m->config.rope);
	rope_table(m->work.cos, m->work.sin, m->work.freq, max_len, m->config.rope.rotary);
}

size_t
model_work_bytes(const struct model *m)
{
	return m->work_memory.size;
}

/* ---- the stack ---- */

void
model_forward(struct model *m, const struct batch *b)
{
	int L = m->config.L;
	m->work.pass.row_key = b->row_key;
	embedding_forward(m->layer[0].act.x, m->embed->value, b->ids, b->T, m->config.C);
	for (int i = 0; i < L; i++)
		layer_forward(m, &m->layer[i], b, i + 1 < L ? m->layer[i + 1].act.x : m->work.x);
}

void
model_backward(struct model *m, const struct batch *b)
{
	for (int i = m->config.L - 1; i >= 0 && i >= m->lowest; i--) {
		if (m->work.keep == KEEP_INPUTS)
			layer_forward(m, &m->layer[i], b, m->work.x);
		layer_backward(m, &m->layer[i], b, i > m->lowest || m->layer[i].attn_norm->grad);
	}
	if (m->embed->grad)
		embedding_backward(m->embed->grad, m->work.dx, b->ids, b->T, m->config.C);
}

/* ---- the head, on chosen rows only and in chunks, so that rows x V never exists ---- */

/* The pass's masks for the chosen rows. */
static struct linear_pass
head_pass(struct model *m, const int32_t *rows, int n)
{
	struct linear_pass pass = m->work.pass;
	if (!pass.row_key)
		return pass;
	for (int i = 0; i < n; i++)
		m->work.row_key[i] = pass.row_key[rows[i]];
	pass.row_key = m->work.row_key;
	return pass;
}

/* Logits of n rows of the residual stream, into work.logits. */
static void
head_forward(struct model *m, const int32_t *rows, int n)
{
	struct workspace *w = &m->work;
	int C = m->config.C;
	struct linear_pass pass = head_pass(m, rows, n);
	rows_gather(w->hidden_x, w->x, rows, n, C);
	rmsnorm_forward(w->hidden, w->rstd, w->hidden_x, m->norm->value, n, C, (float)m->config.norm_eps);
	linear_forward(&m->head, w->logits, w->hidden, n, 0, &pass);
}

/* From the gradient at work.logits to that at the rows of the residual stream. */
static void
head_backward(struct model *m, const int32_t *rows, int n)
{
	struct workspace *w = &m->work;
	int C = m->config.C;
	struct linear_pass pass = head_pass(m, rows, n);
	linear_backward(&m->head, w->dhidden, w->logits, w->hidden, n, 0, &pass);
	vec_zero(w->dhidden_x, (size_t)n * (size_t)C);
	rmsnorm_backward(w->dhidden_x, m->norm->grad, w->dhidden, w->hidden_x, m->norm->value, w->rstd, n, C);
	rows_scatter_add(w->dx, w->dhidden_x, rows, n, C);
}

void
model_logits(struct model *m, const int32_t *rows, int n, logits_fn *f, void *ctx)
{
	for (int at = 0; at < n; at += m->work.head_rows) {
		int k = n - at < m->work.head_rows ? n - at : m->work.head_rows;
		head_forward(m, rows + at, k);
		f(ctx, at, k, m->work.logits);
	}
}

void
model_loss(struct model *m, const struct batch *b, float coef_scale, float *nll, int32_t *best)
{
	struct workspace *w = &m->work;
	if (coef_scale != 0)
		vec_zero(w->dx, (size_t)b->T * (size_t)m->config.C);
	for (int at = 0; at < b->n_targets; at += w->head_rows) {
		int n = b->n_targets - at < w->head_rows ? b->n_targets - at : w->head_rows;
		head_forward(m, b->target_row + at, n);
		for (int i = 0; i < n && coef_scale != 0; i++)
			w->coef[i] = coef_scale * b->target_weight[at + i];
		cross_entropy(w->logits, nll + at, best + at, b->target_id + at, coef_scale != 0 ? w->coef : NULL, n,
			m->config.V);
		if (coef_scale != 0)
			head_backward(m, b->target_row + at, n);
	}
}

/* ---- trained parameters ---- */

void
model_zero_grad(struct model *m)
{
	for (size_t i = 0; i < m->n_trained; i++)
		vec_zero(m->trained[i]->grad, param_size(m->trained[i]));
}

double
model_grad_norm(const struct model *m)
{
	double sum = 0;
	for (size_t i = 0; i < m->n_trained; i++)
		sum += vec_sum_squares(m->trained[i]->grad, param_size(m->trained[i]));
	return sqrt(sum);
}

size_t
model_trained_parameters(const struct model *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n_trained; i++)
		n += param_size(m->trained[i]);
	return n;
}

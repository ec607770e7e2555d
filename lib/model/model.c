/* Working memory, and the passes over the whole stack. */
#include "model/model.h"

#include <math.h>

#include "base/isa.h"
#include "base/worktime.h"
#include "math/gemm.h"
#include "math/loss.h"
#include "math/vector.h"
#include "model/embed.h"
#include "model/layer.h"
#include "model/norms.h"

static const struct rows none;

/* ---- working memory ---- */

enum { LOGITS_MAX = 1 << 28, COLUMN_MAX = 1536 };  /* bytes of logits held at once, and of a column of them */

/* Rows of the head's chunks, most: few enough that rows x V stays small, enough that packing the head for each takes
 * little beside multiplying by it. */
static int
head_rows(const struct config *c, enum num type, int T)
{
	int size = (int)num_size(type), most = COLUMN_MAX / size, rows = LOGITS_MAX / size / c->V;
	rows = rows < 32 ? 32 : rows > most ? most : rows;
	return rows < T ? rows : T < 2 ? 2 : T;
}

struct linear *
model_linear(const struct model *m, size_t i)
{
	const struct layer *l = m->layer, *end = l + m->config.L;
	for (; l < end && i >= (size_t)l->n_linears; l++)
		i -= (size_t)l->n_linears;
	if (l < end)
		return (struct linear *)&l->linear[i];
	return i == 0 ? (struct linear *)&m->head : NULL;
}

struct linear *
model_module(const struct model *m, size_t i)
{
	if (i == 0)
		return (struct linear *)&m->embed_table;
	if (m->positions && i == 1)
		return (struct linear *)&m->position_table;
	return model_linear(m, i - (m->positions ? 2 : 1));
}

bool
model_is_table(const struct model *m, const struct linear *l)
{
	return l == &m->embed_table || l == &m->position_table;
}

static struct rows
take_rows(struct arena *a, enum num type, size_t T, int n)
{
	return (struct rows){arena_take(a, T * (size_t)n, num_size(type)), n, type};
}

/* Rows that a product reads, with room behind them for what adapters add. Where they would lie so far apart that all of a
 * tile's meet in a few sets of a cache, they get a line more: the product would have to pack them. */
static struct rows
take_left(struct arena *a, enum num type, size_t T, int n, int room)
{
	enum { LINE = 64, APART = 2048 };
	const size_t size = num_size(type);
	if ((size_t)(n + room) * size % APART == 0)
		room += (int)(LINE / size);
	return take_rows(a, type, T, n + room);
}

/* Rows that a projection reads, forward or backward. */
static struct rows
take_roomy(struct arena *a, const struct workspace *w, int n)
{
	return take_left(a, w->type, (size_t)w->T, n, w->room);
}

/* Columns of what the feed-forward's projections give. */
static int
up_columns(const struct config *c)
{
	return c->family->gated ? 2 * c->F : c->F;
}

static void
take_activations(struct model *m, struct arena *a, const struct layer *l, struct activations *act)
{
	const struct config *c = &m->config;
	const struct workspace *w = &m->work;
	size_t T = (size_t)w->T;
	bool kept = w->keep != KEEP_NOTHING;
	act->x = kept ? take_rows(a, w->type, T, c->C) : (struct rows){0};
	act->mid = kept && !c->parallel ? take_rows(a, w->type, T, c->C) : (struct rows){0};
	act->attn_stat = ARENA_TAKE(a, struct norm_stat, T);
	act->mlp_stat = ARENA_TAKE(a, struct norm_stat, T);
	act->qkv = take_rows(a, w->type, T, (c->H + 2 * c->K) * c->D);
	act->att = take_roomy(a, w, c->H * c->D);
	act->lse = ARENA_TAKE(a, float, T * (size_t)c->H);
	act->up = take_rows(a, w->type, T, up_columns(c));
	if (l->q_norm.w) {
		act->qk = take_rows(a, w->type, T, (c->H + c->K) * c->D);
		act->q_stat = ARENA_TAKE(a, struct norm_stat, T * (size_t)c->H);
		act->k_stat = ARENA_TAKE(a, struct norm_stat, T * (size_t)c->K);
	}
	if (l->attn_post_norm.w) {
		act->attn_out = take_rows(a, w->type, T, c->C);
		act->mlp_out = take_rows(a, w->type, T, c->C);
		act->attn_post_stat = ARENA_TAKE(a, struct norm_stat, T);
		act->mlp_post_stat = ARENA_TAKE(a, struct norm_stat, T);
	}
}

enum { PROJECTIONS = 4 };

static struct projection *
projection_of(const struct layer *l, size_t i)
{
	const struct projection *const all[PROJECTIONS] = {&l->qkv, &l->o, &l->up, &l->down};
	return (struct projection *)all[i];
}

static bool
keeps_packed(const struct model *m)
{
	return m->keep_packed && m->work.keep != KEEP_NOTHING;
}

static void
take_layers(struct model *m, struct arena *a)
{
	const struct config *c = &m->config;
	const struct workspace *w = &m->work;
	struct rows shared[PROJECTIONS][MAX_PROJECTED] = {{{0}}};  /* of the projections, what layers keep one after the other */
	for (int i = 0; i < c->L; i++) {
		struct layer *l = &m->layer[i];
		if (i == 0 || w->keep == KEEP_ALL)
			take_activations(m, a, l, &l->act);
		else
			l->act = m->layer[0].act;
		if (w->keep == KEEP_INPUTS)
			l->act.input = take_rows(a, NUM_F32, (size_t)w->T, c->C);
		l->cache = w->cache_rows ? take_rows(a, w->type, (size_t)w->cache_rows, 2 * c->K * c->D) : (struct rows){0};
		for (size_t j = 0; j < PROJECTIONS; j++)
			projection_take(projection_of(l, j), a, w->type, w->T, w->keep == KEEP_ALL ? NULL : shared[j], keeps_packed(m));
	}
}

static int
larger(int a, int b)
{
	return a > b ? a : b;
}

/* The most ranks of adapters that a projection of any layer has together. */
static int
most_ranks(const struct model *m)
{
	int most = 0;
	for (int i = 0; i < m->config.L; i++) {
		for (size_t j = 0; j < PROJECTIONS; j++)
			most = larger(most, projection_rank(projection_of(&m->layer[i], j)));
	}
	return most;
}

/* What the passes lend the linear layers and the tables: as deep as the largest ranks, as wide as the widest that needs
 * it. The head has fewer rows. */
static void
take_pass(struct model *m, struct arena *a)
{
	struct workspace *w = &m->work;
	int rank = most_ranks(m), in = 0, out = 0, head = 0;
	size_t B = 0;
	const struct linear *l;
	for (size_t i = 0; (l = model_module(m, i)); i++) {
		if (!l->lora)
			continue;
		rank = larger(rank, l->lora->r);
		in = l->lora->dropout > 0 && !model_is_table(m, l) ? larger(in, l->in) : in;
		B = param_size(&l->lora->B) > B ? param_size(&l->lora->B) : B;
		int *widest = l == &m->head ? &head : &out;
		*widest = lora_is_dora(l->lora) ? larger(*widest, l->out) : *widest;
	}
	w->pass.dxA = take_rows(a, w->type, (size_t)w->T, rank);
	w->pass.dropped = take_rows(a, w->type, (size_t)w->T, in);
	w->pass.turned = ARENA_TAKE(a, float, B);
	size_t gained = (size_t)w->T * (size_t)out, of_head = (size_t)w->head_rows * (size_t)head;
	w->pass.gained = take_rows(a, w->type, gained > of_head ? gained : of_head, 1);
}

static void
take_workspace(struct model *m, struct arena *a)
{
	struct workspace *w = &m->work;
	const struct config *c = &m->config;
	size_t T = (size_t)w->T, R = (size_t)w->head_rows;
	for (int i = 0; i < c->n_ropes; i++)
		rotary_take(&w->rotary[i], a, &c->rope[i], w->T, w->max_len);
	w->x = take_rows(a, NUM_F32, T, c->C);
	w->xn = take_roomy(a, w, c->C);
	w->act = take_roomy(a, w, c->F);
	const int room = projection_room(projection_rank(&m->to_logits));
	w->hidden = take_left(a, w->type, R, c->C, room);
	w->hidden_x = take_rows(a, NUM_F32, R, c->C);
	w->stat = ARENA_TAKE(a, struct norm_stat, R);
	w->logits = take_left(a, w->type, R, c->V, room);
	const struct attn_shape shape = {.H = c->H, .K = c->K, .D = c->D};
	int backward = w->keep == KEEP_NOTHING ? 0 : w->T;
	w->attn = ARENA_TAKE(a, float, attention_scratch(&shape, w->type, backward, w->max_len, math_threads()));
	projection_take(&m->to_logits, a, w->type, (int)R, NULL, keeps_packed(m));
	linear_take(&m->embed_table, a, w->type, NUM_F32, w->T, &(struct rows){0});
	linear_take(&m->position_table, a, w->type, NUM_F32, w->T, &(struct rows){0});
	if (w->keep == KEEP_NOTHING)
		return;
	take_pass(m, a);
	w->dx = take_rows(a, NUM_F32, T, w->type == NUM_F32 ? c->C + w->room : c->C);
	w->dy = w->type == NUM_F32 ? w->dx : take_roomy(a, w, c->C);
	w->dxn = take_roomy(a, w, c->C);
	w->row_key = ARENA_TAKE(a, uint64_t, R);
	w->dhidden = take_rows(a, w->type, R, c->C);
	w->dhidden_x = take_rows(a, NUM_F32, R, c->C);
	w->coef = ARENA_TAKE(a, float, R);
	w->dup = take_roomy(a, w, up_columns(c));
	w->datt = take_rows(a, w->type, T, c->H * c->D);
	w->dqkv = take_roomy(a, w, (c->H + 2 * c->K) * c->D);
}

static void
pack_weights(struct model *m)
{
	projection_pack(&m->to_logits, m->work.type);
	for (int i = 0; i < m->config.L; i++)
		for (size_t j = 0; j < PROJECTIONS; j++)
			projection_pack(projection_of(&m->layer[i], j), m->work.type);
}

void
model_reserve(struct model *m, int T, int max_len, int cache_rows, enum keep keep)
{
	arena_release(&m->work_memory);
	m->work = (struct workspace){.T = T, .max_len = max_len, .cache_rows = cache_rows, .keep = keep,
		.type = m->compute};
	m->work.head_rows = head_rows(&m->config, m->compute, T);
	m->work.room = projection_room(most_ranks(m));
	for (int pass = 0; pass < 2; pass++) {
		take_layers(m, &m->work_memory);
		take_workspace(m, &m->work_memory);
		if (pass == 0)
			arena_make(&m->work_memory);
	}
	for (int i = 0; i < m->config.n_ropes; i++)
		rotary_start(&m->work.rotary[i], T, max_len);
	pack_weights(m);
}

size_t
model_work_bytes(const struct model *m)
{
	return m->work_memory.size;
}

size_t
model_kept_bytes(const struct model *m)
{
	size_t bytes = projection_kept_bytes(&m->to_logits, m->compute);
	for (int i = 0; i < m->config.L; i++)
		for (size_t j = 0; j < PROJECTIONS; j++)
			bytes += projection_kept_bytes(projection_of(&m->layer[i], j), m->compute);
	return bytes;
}

bool
model_should_keep(const struct model *m)
{
	enum { MOST = 1 << 30 };
	return m->compute == NUM_BF16 && isa_best() == ISA_AMX && model_kept_bytes(m) <= MOST;
}

/* ---- the stack ---- */

void
model_forward(struct model *m, const struct batch *b)
{
	struct workspace *w = &m->work;
	enum work before = work_switch(WORK_ELEMENTS);
	w->pass.row_key = b->row_key;
	embed_forward(m, b);
	for (int i = 0; i < m->config.n_ropes; i++)
		rotary_batch(&w->rotary[i], b);
	for (int i = 0; i < m->config.L; i++) {
		if (w->keep == KEEP_INPUTS)
			rows_copy(m->layer[i].act.input, w->x, b->T, m->config.C);
		layer_forward(m, &m->layer[i], b);
	}
	work_switch(before);
}

/* Computes again what the layer did not keep. */
static void
recompute(struct model *m, struct layer *l, const struct batch *b)
{
	rows_copy(m->work.x, l->act.input, b->T, m->config.C);
	layer_forward(m, l, b);
}

void
model_backward(struct model *m, const struct batch *b)
{
	struct workspace *w = &m->work;
	enum work before = work_switch(WORK_ELEMENTS);
	if (w->dy.type != w->dx.type)
		rows_copy(w->dy, w->dx, b->T, m->config.C);
	for (int i = m->config.L - 1; i >= 0 && i >= m->lowest; i--) {
		struct layer *l = &m->layer[i];
		if (w->keep == KEEP_INPUTS)
			recompute(m, l, b);
		layer_backward(m, l, b, i > m->lowest || norms_trained(&l->attn_norm));
	}
	if (m->lowest < 0)
		embed_backward(m, b);
	work_switch(before);
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

/* Logits of n rows of the residual stream. */
static void
head_forward(struct model *m, struct rows logits, const int32_t *rows, int n)
{
	struct workspace *w = &m->work;
	int C = m->config.C;
	struct linear_pass pass = head_pass(m, rows, n);
	rows_gather(w->hidden_x, w->x, rows, n, C);
	norms_forward(m, &m->norm, w->hidden, none, w->stat, w->hidden_x, n, 1, C);
	projection_forward(&m->to_logits, logits, w->hidden, n, 0, &pass);
}

/* From the gradient at work.logits to that at the rows of the residual stream. */
static void
head_backward(struct model *m, const int32_t *rows, int n)
{
	struct workspace *w = &m->work;
	int C = m->config.C;
	struct linear_pass pass = head_pass(m, rows, n);
	projection_backward(&m->to_logits, w->dhidden, w->logits, n, &pass);
	projection_weights(&m->to_logits, w->logits, w->hidden, n, &pass);
	norms_backward(m, &m->norm, w->dhidden_x, 0, NULL, w->dhidden, w->hidden_x, w->stat, n, 1, C);
	rows_scatter_add(w->dx, w->dhidden_x, rows, n, C);
}

void
model_logits(struct model *m, const int32_t *rows, int n, logits_fn *f, void *ctx)
{
	struct rows logits = rows_f32(m->work.logits.data, m->config.V);
	int most = m->work.head_rows * (int)num_size(m->work.type) / (int)sizeof(float);
	most = most < 1 ? 1 : most;
	for (int at = 0; at < n; at += most) {
		int k = n - at < most ? n - at : most;
		head_forward(m, logits, rows + at, k);
		f(ctx, at, k, logits.data);
	}
}

/* Rows of chunks that are about equal: the last should not be a few, for which the head is packed all the same. */
static int
even_rows(int n, int most)
{
	int chunks = (n + most - 1) / most;
	return chunks > 0 ? (n + chunks - 1) / chunks : 0;
}

void
model_loss(struct model *m, const struct batch *b, float coef_scale, float *nll, int32_t *best)
{
	struct workspace *w = &m->work;
	enum work before = work_switch(WORK_LOSS);
	const int rows = even_rows(b->n_targets, w->head_rows);
	if (coef_scale != 0)
		vec_zero(w->dx.data, (size_t)b->T * (size_t)w->dx.ld);
	for (int at = 0; at < b->n_targets; at += rows) {
		int n = b->n_targets - at < rows ? b->n_targets - at : rows;
		head_forward(m, w->logits, b->target_row + at, n);
		for (int i = 0; i < n && coef_scale != 0; i++)
			w->coef[i] = coef_scale * b->target_weight[at + i];
		cross_entropy(w->logits, nll + at, best + at, b->target_id + at, coef_scale != 0 ? w->coef : NULL, n,
			m->config.V);
		if (coef_scale != 0)
			head_backward(m, b->target_row + at, n);
	}
	work_switch(before);
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
model_parameters(const struct model *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n_params; i++)
		n += param_size(&m->param[i]);
	return n;
}

int
model_check_length(const struct model *m, int length, struct err *e)
{
	if (!m->positions || length <= m->config.max_position)
		return 0;
	return err_set(e, ERR_DATA, "%d tokens are too many: this %s model has learned positions for %d", length,
		m->config.family->model_type, m->config.max_position);
}

bool
model_length_matters(const struct model *m)
{
	for (int i = 0; i < m->config.n_ropes; i++)
		if (m->work.rotary[i].varies)
			return true;
	return false;
}

bool
model_may_share(const struct model *m)
{
	const struct linear *l;
	for (int i = 0; i < m->config.L; i++)
		if (m->config.layer[i].window && m->config.layer[i].window < m->work.max_len)
			return false;
	for (size_t i = 0; (l = model_module(m, i)); i++)
		if (l->lora && l->lora->dropout > 0)
			return false;
	return !model_length_matters(m);
}

size_t
model_trained_parameters(const struct model *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n_trained; i++)
		n += param_size(m->trained[i]);
	return n;
}

#include "model/embed.h"

#include <math.h>

#include "math/product.h"
#include "math/vector.h"

/* Of the noise among what is drawn by the same keys. */
static const uint64_t noise_salt = 0x6e656674756e65;

/* work.x = the rows of a table, adapted, or with `add` += them. As a matrix of one-hot rows the table is stored
 * [in,out], and the adapter's product begins with columns of A. Dropout does not reach it. */
static void
look_up(struct model *m, struct linear *l, const int32_t *ids, int T, bool add)
{
	struct lora *a = l->lora;
	bool dora = a && lora_is_dora(a);
	struct rows x = m->work.x, to = dora ? a->u : x;
	if (add && !dora)
		embedding_add(to, &l->w->matrix, ids, T);
	else
		embedding_forward(to, &l->w->matrix, ids, T);
	if (!a)
		return;
	columns_forward(a->xA, a->A.value, ids, T, a->r, l->in);
	product_forward(to, a->xA, &a->B.matrix, T, a->scale, 1);
	if (!dora)
		return;
	lora_set_gain(a);
	rows_gain(x, a->u, a->gain, 0, add, T, l->out);
}

/* Adds to the gradients of a table and of its adapter; the row `skip` gets none. */
static void
look_up_backward(struct model *m, const struct linear *l, const int32_t *ids, int skip, int T)
{
	const struct lora *a = l->lora;
	struct workspace *w = &m->work;
	if (l->w->grad)
		embedding_backward(l->w->grad, w->dx, ids, skip, T, l->out);
	if (!a || !a->A.grad)
		return;
	struct rows dxA = {w->pass.dxA.data, a->r, w->pass.dxA.type}, dy = w->dy, gained = dy;
	if (dy.type != w->dx.type)
		rows_copy(dy, w->dx, T, l->out);
	if (lora_is_dora(a)) {
		gained = (struct rows){w->pass.gained.data, l->out, w->pass.gained.type};
		rows_gain(gained, dy, a->gain, 0, 0, T, l->out);
	}
	lora_backward_B(a, dxA, dy, gained, T);
	columns_backward(a->A.grad, dxA, ids, skip, T, a->r, l->in);
}

/* Uniform noise of alpha / sqrt(L C) for each document of L tokens (Jain et al. 2023, NEFTune). The length is the
 * document's own, as in the paper's code; transformers, which pads, takes that of the batch. */
static void
add_noise(struct model *m, const struct batch *b)
{
	int C = m->config.C;
	for (int d = 0; d < b->n_docs; d++) {
		int row = b->docs[d].q, n = b->docs[d].n;
		float amplitude = b->noise / sqrtf((float)n * (float)C);
		rows_noise(rows_at(m->work.x, row, 0), n, C, amplitude, b->row_key + row, noise_salt);
	}
}

void
embed_forward(struct model *m, const struct batch *b)
{
	look_up(m, &m->embed_table, b->ids, b->T, false);
	if (m->embedding_scale != 1)
		rows_scale(m->work.x, m->embedding_scale, b->T, m->config.C);
	if (b->noise > 0 && b->row_key)
		add_noise(m, b);
	if (m->positions)
		look_up(m, &m->position_table, b->pos, b->T, true);
}

void
embed_backward(struct model *m, const struct batch *b)
{
	if (m->positions)
		look_up_backward(m, &m->position_table, b->pos, -1, b->T);
	if (m->embedding_scale != 1)
		rows_scale(m->work.dx, m->embedding_scale, b->T, m->config.C);
	look_up_backward(m, &m->embed_table, b->ids, m->config.pad_id, b->T);
}

#include "model/embed.h"

#include <math.h>

#include "math/product.h"
#include "math/vector.h"

/* Of the noise among what is drawn by the same keys. */
static const uint64_t noise_salt = 0x6e656674756e65;

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

/* The update's rows are the columns of A times B: the table is a matrix of one-hot rows. Dropout does not reach it. */
static void
adapt(struct model *m, const struct batch *b)
{
	struct lora *a = m->table.lora;
	struct rows x = m->work.x;
	columns_forward(a->xA, a->A.value, b->ids, b->T, a->r, m->table.in);
	product_forward(x, a->xA, &a->B.matrix, b->T, a->scale, 1);
	if (!lora_is_dora(a))
		return;
	lora_set_gain(a);
	rows_copy(a->u, x, b->T, m->table.out);
	rows_gain(x, a->u, a->gain, 0, 0, b->T, m->table.out);
}

void
embed_forward(struct model *m, const struct batch *b)
{
	embedding_forward(m->work.x, &m->embed->matrix, b->ids, b->T);
	if (m->table.lora)
		adapt(m, b);
	if (b->noise > 0 && b->row_key)
		add_noise(m, b);
}

static void
adapter_backward(struct model *m, const struct batch *b)
{
	const struct lora *a = m->table.lora;
	const struct linear_pass *pass = &m->work.pass;
	struct rows dxA = {pass->dxA.data, a->r, pass->dxA.type}, dx = m->work.dx, gained = dx;
	if (lora_is_dora(a)) {
		gained = (struct rows){pass->gained.data, m->table.out, pass->gained.type};
		rows_gain(gained, dx, a->gain, 0, 0, b->T, m->table.out);
	}
	lora_backward_B(a, dxA, dx, gained, b->T);
	columns_backward(a->A.grad, dxA, b->ids, m->config.pad_id, b->T, a->r, m->table.in);
}

void
embed_backward(struct model *m, const struct batch *b)
{
	if (m->embed->grad)
		embedding_backward(m->embed->grad, m->work.dx, b->ids, m->config.pad_id, b->T, m->config.C);
	if (m->table.lora && m->table.lora->A.grad)
		adapter_backward(m, b);
}

#include "model/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
batch_clear(struct batch_builder *b)
{
	b->T = b->n_docs = b->n_targets = 0;
}

void
batch_release(struct batch_builder *b)
{
	free(b->ids);
	free(b->pos);
	free(b->target_row);
	free(b->target_id);
	free(b->target_weight);
	free(b->docs);
	free(b->row_key);
	free(b->alike);
	*b = (struct batch_builder){0};
}

/* Rows of a document that is still to be described, whose first token has position `pos`; returns the first row. */
static int
add_rows(struct batch_builder *b, int pos, const int32_t *ids, int n)
{
	int row = b->T;
	size_t need = (size_t)(row + n);
	GROW(b->ids, b->ids_cap, need);
	GROW(b->pos, b->pos_cap, need);
	GROW(b->row_key, b->key_cap, need);
	GROW(b->docs, b->docs_cap, (size_t)b->n_docs + 1);
	memcpy(b->ids + row, ids, (size_t)n * sizeof *ids);
	for (int i = 0; i < n; i++) {
		b->pos[row + i] = pos + i;
		b->row_key[row + i] = 0;
	}
	b->T += n;
	return row;
}

int
batch_add_document(struct batch_builder *b, const int32_t *ids, int n)
{
	int row = add_rows(b, 0, ids, n);
	b->docs[b->n_docs++] = (struct attn_doc){.q = row, .n = n, .k = row};
	return row;
}

int
batch_add_twig(struct batch_builder *b, int parent, int prefix, const int32_t *ids, int n)
{
	int row = add_rows(b, prefix, ids, n);
	b->docs[b->n_docs] = (struct attn_doc){.q = row, .n = n, .k = row, .n_prefix = prefix, .back = b->n_docs - parent};
	b->n_docs++;
	return row;
}

int
batch_row(const struct batch_builder *b, int doc, int t)
{
	const struct attn_doc *d = &b->docs[doc];
	while (t < d->n_prefix)
		d -= d->back;
	return d->q + t - d->n_prefix;
}

/* How many of the n tokens document d begins with. What it continues has been asked before. */
static int
alike(const struct batch_builder *b, int d, const int32_t *ids, int n)
{
	const struct attn_doc *doc = &b->docs[d];
	int t = doc->n_prefix, end = t + doc->n < n ? t + doc->n : n;
	if (doc->back && b->alike[d - doc->back] < t)
		return b->alike[d - doc->back];
	while (t < end && b->ids[doc->q + t - doc->n_prefix] == ids[t])
		t++;
	return t;
}

static int
twigs(const struct batch_builder *b, int doc)
{
	int n = 0;
	for (; b->docs[doc].back; doc -= b->docs[doc].back)
		n++;
	return n;
}

int
batch_find(struct batch_builder *b, const int32_t *ids, int n, int *doc)
{
	int most = 0;
	GROW(b->alike, b->alike_cap, (size_t)b->n_docs);
	for (int d = 0; d < b->n_docs && most < n; d++) {
		b->alike[d] = alike(b, d, ids, n);
		if (b->alike[d] > most)
			most = b->alike[*doc = d];
	}
	while (most && twigs(b, *doc) > BATCH_TWIGS) {
		most = b->docs[*doc].n_prefix;
		*doc -= b->docs[*doc].back;
	}
	return most;
}

void
batch_add_target(struct batch_builder *b, int row, int32_t id, float weight)
{
	size_t need = (size_t)b->n_targets + 1;
	GROW(b->target_row, b->row_cap, need);
	GROW(b->target_id, b->id_cap, need);
	GROW(b->target_weight, b->weight_cap, need);
	b->target_row[b->n_targets] = row;
	b->target_id[b->n_targets] = id;
	b->target_weight[b->n_targets++] = weight;
}

void
batch_count_below(struct batch_builder *b)
{
	for (int d = b->n_docs - 1; d >= 0; d--)
		if (b->docs[d].back)
			b->docs[d - b->docs[d].back].below += b->docs[d].n + b->docs[d].below;
}

int
example_fits(const struct example *x, int V, size_t i, struct err *e)
{
	for (uint32_t t = 0; t < x->n; t++)
		if (x->ids[t] < 0 || x->ids[t] >= V)
			return err_set(e, ERR_DATA, "example %zu has token %d, the model's vocabulary ends at %d: was it made with "
				"another tokenizer?", i, (int)x->ids[t], V - 1);
	return 0;
}

struct batch
batch_view(const struct batch_builder *b)
{
	return (struct batch){.T = b->T, .ids = b->ids, .pos = b->pos, .docs = b->docs, .n_docs = b->n_docs,
		.n_targets = b->n_targets, .target_row = b->target_row, .target_id = b->target_id,
		.target_weight = b->target_weight};
}

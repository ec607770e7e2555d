/* Building a micro-batch: documents put one after the other, with positions and targets. */
#ifndef HONE_MODEL_BATCH_H
#define HONE_MODEL_BATCH_H

#include "fmt/example.h"
#include "model/model.h"

struct batch_builder {
	int32_t *ids, *pos, *target_row, *target_id;
	float *target_weight;
	uint64_t *row_key;
	struct attn_doc *docs;
	int *alike;                /* [n_docs] batch_find's: how many tokens each document begins alike */
	int T, n_docs, n_targets;
	size_t ids_cap, pos_cap, row_cap, id_cap, weight_cap, docs_cap, key_cap, alike_cap;
};

/* Twigs in a row that batch_find lets go before another: a batch is not to become a chain of documents of a token each. */
enum { BATCH_TWIGS = 8 };

void batch_clear(struct batch_builder *b);      /* empties it and keeps its memory */
void batch_release(struct batch_builder *b);

/* Appends a document of n tokens that sees itself only; returns its first row. */
int batch_add_document(struct batch_builder *b, const int32_t *ids, int n);

/* Appends n tokens that continue the first `prefix` tokens of what document number `parent` of the batch has and sees; that
 * may be a twig itself. Returns the first row. */
int batch_add_twig(struct batch_builder *b, int parent, int prefix, const int32_t *ids, int n);

/* How many of the n tokens some document of the batch begins with, what it continues counted: the most that a twig can
 * leave out. *doc gets that document's number, the first such one; it is left alone when there is none (0). */
int batch_find(struct batch_builder *b, const int32_t *ids, int n, int *doc);

/* The row of token number t of a document, what it continues counted. */
int batch_row(const struct batch_builder *b, int doc, int t);

/* The output of `row` should predict `id`. Rows must come in ascending order. */
void batch_add_target(struct batch_builder *b, int row, int32_t id, float weight);

/* Backward's: every twig continues all of what its parent has and sees, and its rows follow those of the twigs before it
 * that do, without another document between. Call it when all documents are in. */
void batch_count_below(struct batch_builder *b);

/* ERR_DATA when example number i has a token that a vocabulary of V lacks: data of another tokenizer. */
int example_fits(const struct example *x, int V, size_t i, struct err *e);

/* A view for the passes, without dropout (row_key NULL); valid until the builder changes. */
struct batch batch_view(const struct batch_builder *b);

#endif

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
	int T, n_docs, n_targets;
	size_t ids_cap, pos_cap, row_cap, id_cap, weight_cap, docs_cap, key_cap;
};

void batch_clear(struct batch_builder *b);      /* empties it and keeps its memory */
void batch_release(struct batch_builder *b);

/* Appends a document of n tokens that sees itself only; returns its first row. */
int batch_add_document(struct batch_builder *b, const int32_t *ids, int n);

/* Appends n tokens that continue the first `prefix` tokens of a document already in the batch (rows
 * from prefix_row on); returns the first row. For evaluation only. */
int batch_add_branch(struct batch_builder *b, int prefix_row, int prefix, const int32_t *ids, int n);

/* The same, behind the first `prefix` tokens of what document number `parent` of the batch has and sees; that may be a
 * branch itself. */
int batch_add_twig(struct batch_builder *b, int parent, int prefix, const int32_t *ids, int n);

/* The output of `row` should predict `id`. Rows must come in ascending order. */
void batch_add_target(struct batch_builder *b, int row, int32_t id, float weight);

/* A whole training example: a document, and a target for each token of weight > 0 but the first. `key` names the
 * example within the run: its dropout masks follow from it, however it is packed. */
void batch_add_example(struct batch_builder *b, const struct example *x, uint64_t key);

/* ERR_DATA when example number i has a token that a vocabulary of V lacks: data of another tokenizer. */
int example_fits(const struct example *x, int V, size_t i, struct err *e);

/* A view for the passes, without dropout (row_key NULL); valid until the builder changes. */
struct batch batch_view(const struct batch_builder *b);

#endif

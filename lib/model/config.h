/* config.json of a Hub model directory as the facts that the kernels need: what the file says, where it is silent what
 * its family has (model/family.h). */
#ifndef HONE_MODEL_CONFIG_H
#define HONE_MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "math/activation.h"
#include "math/rope.h"
#include "model/family.h"

enum { MAX_ROPES = 2 };

/* What differs from layer to layer. */
struct config_layer {
	int window;                 /* sliding window, the token itself counted; 0: none */
	int rope;                   /* which of the ropes turns its queries and keys; -1: none */
	float attention_scale;      /* of the products q.k: as a rule 1/sqrt(D) */
};

/* Letters used in shapes everywhere: T tokens (rows), C hidden size, L layers, H query heads, K key heads,
 * D head size, F feed-forward size, V vocabulary. */
struct config {
	const struct family *family;
	int V, C, L, H, K, D, F;
	int max_position;           /* a limit with learned positions; otherwise only warned about */
	double norm_eps;
	enum activation activation;
	bool tied;                  /* the head is the table of embeddings */
	bool parallel;              /* attention and feed-forward read the same residual stream */
	bool qkv_bias, o_bias, mlp_bias;
	double embedding_scale;     /* 1: none */
	struct config_layer *layer; /* [L]; owned */
	struct rope rope[MAX_ROPES];
	int n_ropes;                /* 0 with learned positions */
	double initializer_range;   /* standard deviation of random weights */
	int bos_id, eos_id;         /* -1 when absent; the first when the file lists several */
	int pad_id;                 /* whose embedding is not trained; -1: none */
	json_t *root;               /* the whole file; owned */
};

/* Reads and checks DIR/config.json. ERR_CONFIG for an architecture or a feature that is not supported, by name. */
int config_read(struct config *c, const char *dir, struct err *e);
void config_release(struct config *c);

/* config_rope.c: the rotary embeddings, c->rope and c->n_ropes. */
int config_read_ropes(struct config *c, const json_t *o, struct err *e);

#endif

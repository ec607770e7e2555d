/* config.json of a Hub model directory as the facts that the kernels need. One architecture is one table of
 * such facts; docs/architecture.md and CONTRIBUTING say how to add the next. */
#ifndef HONE_MODEL_CONFIG_H
#define HONE_MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "math/rope.h"

/* Letters used in shapes everywhere: T tokens (rows), C hidden size, L layers, H query heads, K key heads,
 * D head size, F feed-forward size, V vocabulary. */
struct config {
	char model_type[32];
	int V, C, L, H, K, D, F;
	int max_position;           /* max_position_embeddings: a limit that is warned about, not enforced */
	double norm_eps;
	bool tied;                  /* lm_head is embed_tokens */
	bool qkv_bias, o_bias, mlp_bias;
	bool qk_norm;               /* RMSNorm per head on q and k, before rope */
	float attention_scale;      /* of the products q.k: 1/sqrt(D) */
	int *window;                /* [L] each layer's sliding window, the token itself counted; 0: none. Owned */
	struct rope rope;
	double initializer_range;   /* standard deviation of random weights */
	int bos_id, eos_id;         /* -1 when absent; the first when the file lists several */
	int pad_id;                 /* -1 when absent: its embedding is not trained, as in torch */
	json_t *root;               /* the whole file; owned */
};

/* Reads and checks DIR/config.json. ERR_CONFIG for an architecture or a feature that is not supported, by name. */
int config_read(struct config *c, const char *dir, struct err *e);
void config_release(struct config *c);

/* Parameters of the whole model, embeddings once when tied. */
size_t config_parameters(const struct config *c);

#endif

/* Low-rank adapters on a model's linear layers and embeddings, in and out of PEFT directories. What is computed is in
 * model/linear.h; here is who has one. */
#ifndef HONE_MODEL_LORA_H
#define HONE_MODEL_LORA_H

#include <stdbool.h>

#include "fmt/adapter.h"
#include "model/model.h"

/* Puts a new adapter on every layer that the configuration chooses, A ~ U(-1/sqrt(in), 1/sqrt(in)), or N(0, 1/r²) with
 * `gaussian`, B = 0 (embeddings: A = 0, B ~ N(0,1)), gives the modules of modules_to_save and the biases of `bias` a
 * copy of their own; with `train` all these get gradients and make up m->trained. Call before model_reserve.
 * ERR_CONFIG when nothing is chosen, a name means nothing in this model, or something cannot be adapted. */
int lora_attach(struct model *m, const struct adapter_config *c, uint64_t seed, bool train, struct err *e);

enum {
	LORA_TRAIN = 1,       /* it gets gradients */
	LORA_OTHER_BASE = 2,  /* it may have been trained on another base */
};

/* Reads a PEFT directory: attaches its configuration and loads its values. Every tensor must fit and be used, and the base
 * be the one that the adapter notes. *c is the caller's to release. */
int lora_open(struct model *m, const char *dir, unsigned flags, struct adapter_config *c, struct err *e);

/* Call when A or B have other values than before, and before the next pass: the norms that DoRA divides by. */
void lora_refresh(struct model *m);

/* The names that "all-linear" stands for, which is what PEFT writes: every linear layer but the head; a new reference. */
json_t *lora_all_linear(const struct model *m);

/* Writes adapter_config.json and adapter_model.safetensors into an existing directory. */
int lora_save(const struct model *m, const struct adapter_config *c, const char *dir, struct err *e);

/* The key of a trained parameter in adapter_model.safetensors; new. */
char *lora_key(const struct model *m, const struct param *p);

#endif

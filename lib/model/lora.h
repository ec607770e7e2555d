/* Low-rank adapters on a model's linear layers, in and out of PEFT directories. */
#ifndef HONE_MODEL_LORA_H
#define HONE_MODEL_LORA_H

#include <stdbool.h>

#include "fmt/adapter.h"
#include "model/model.h"

/* Puts an adapter on every linear layer that the configuration chooses, A ~ U(-1/sqrt(in), 1/sqrt(in)), B = 0, and
 * gives those of modules_to_save a copy of their own; with `train` all these get gradients and make up m->trained.
 * Call before model_reserve. ERR_CONFIG when nothing is chosen, or something that cannot be adapted. */
int lora_attach(struct model *m, const struct adapter_config *c, uint64_t seed, bool train, struct err *e);

/* Reads a PEFT directory: attaches its configuration and loads its values. Every tensor must fit and be used.
 * *c is the caller's to release; *unknown as of adapter_config_read. */
int lora_open(struct model *m, const char *dir, bool train, struct adapter_config *c, char **unknown, struct err *e);

/* The names that "all-linear" stands for, which is what PEFT writes: every linear layer but the head; a new reference. */
json_t *lora_all_linear(const struct model *m);

/* Writes adapter_config.json and adapter_model.safetensors into an existing directory. */
int lora_save(const struct model *m, const struct adapter_config *c, const char *dir, struct err *e);

/* The key of a trained parameter in adapter_model.safetensors; new. */
char *lora_key(const struct model *m, const struct param *p);

#endif

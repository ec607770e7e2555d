/* PEFT LoRA adapter directories: adapter_config.json and adapter_model.safetensors. */
#ifndef HONE_FMT_ADAPTER_H
#define HONE_FMT_ADAPTER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/hash.h"
#include "fmt/safetensors.h"

/* What adapter_config.json says, in PEFT's names; every string and json_t lives as long as the struct. */
struct adapter_config {
	int r;
	double lora_alpha, lora_dropout;
	bool use_rslora, use_dora, fan_in_fan_out;
	const char *bias;               /* "none", "all", "lora_only" */
	const char *base_model;         /* base_model_name_or_path; may be NULL */
	const json_t *target_modules;   /* a list of names, or a string: a regex, or "all-linear" */
	const json_t *exclude_modules;  /* likewise, or NULL */
	const json_t *modules_to_save;  /* a list, or NULL */
	const json_t *rank_pattern, *alpha_pattern;  /* objects, or NULL */
	const json_t *layers_to_transform;           /* a number, a list, or NULL */
	bool gaussian;                  /* init_lora_weights */
	json_t *root;                   /* the whole file; owned */
	char *unknown;                  /* keys of the file that are not known, comma-separated; NULL: none; owned */
};

/* Reads adapter_config.json of a directory. ERR_CONFIG names anything that a plain LoRA would get wrong
 * (another peft_type, PiSSA-like initialisation, layer_replication, ...). */
int adapter_config_read(struct adapter_config *c, const char *dir, struct err *e);
void adapter_config_release(struct adapter_config *c);

/* Makes *c a new configuration out of the settings in *want, whose json_t and strings are borrowed and whose
 * root and `unknown` are not looked at (bias NULL: "none"). It has every key that PEFT 0.21 writes, with PEFT's defaults for
 * all that *want does not hold. */
void adapter_config_new(struct adapter_config *c, const struct adapter_config *want);

/* Writes adapter_config.json as PEFT does: indent 2, sorted keys. `dir` exists. */
int adapter_config_write(const struct adapter_config *c, const char *dir, struct err *e);

/* r and scale (alpha/r, or alpha/sqrt(r) with use_rslora) of one module, by PEFT's rules for the patterns
 * (a key of rank_pattern is a regex that the module's name, or its end after a dot, must match). */
int adapter_rank(const struct adapter_config *c, const char *module, int *r, double *scale, struct err *e);

/* Whether target_modules, exclude_modules and layers_to_transform choose this module ("model.layers.0.mlp.up_proj").
 * `output_head` is the module "all-linear" leaves out. 1, 0, or -1 when a pattern is not a regex. */
int adapter_targets(const struct adapter_config *c, const char *module, bool output_head, struct err *e);

/* ---- the tensors ---- */

/* What adapts one module. Linear: A [r, in], B [out, r]; embedding: A [r, vocabulary], B [dim, r]. */
struct adapter_module {
	const char *name;             /* as the base model calls it, "model.layers.0.mlp.up_proj" */
	bool embedding;
	const struct st_tensor *A, *B;
	const struct st_tensor *magnitude;  /* DoRA: [out], or [dim] of an embedding; else NULL */
	int r;
	double scale;
};

/* A tensor that takes the place of the base's: modules_to_save, trained biases. */
struct adapter_saved {
	const char *name;             /* as the base model calls it, "lm_head.weight" */
	const struct st_tensor *tensor;
};

/* An adapter directory as a whole. */
struct adapter {
	struct adapter_config config;
	struct st_file *file;
	struct adapter_module *module;  /* [n_modules] in order of name */
	size_t n_modules;
	struct adapter_saved *saved;    /* [n_saved] in order of name */
	size_t n_saved;
};

/* Opens a directory: the configuration, and every tensor of adapter_model.safetensors in its place. A key that
 * is nowhere at home, a missing half, or a rank that is not the configuration's is ERR_DATA with the key named.
 * Whether shapes fit the base is the caller's to check. */
int adapter_open(struct adapter *a, const char *dir, struct err *e);
void adapter_close(struct adapter *a);

/* The key in the metadata of adapter_model.safetensors under which hone notes the base's weights_fingerprint. */
#define ADAPTER_BASE_KEY "hone.base"

/* ERR_CONFIG when the adapter notes another base than the one of this fingerprint. One that notes none, as PEFT's, passes:
 * base_model_name_or_path is a name, and says nothing of weights. */
int adapter_check_base(const struct adapter *a, const char *fingerprint, struct err *e);
bool adapter_notes_base(const struct adapter *a);

/* What tells an adapter from others: the hash of its tensors' file. */
int adapter_fingerprint(const char *dir, char hex[HASH_HEX], struct err *e);

/* The key of a module's tensor in adapter_model.safetensors; new. `part` is "lora_A.weight", "lora_B.weight",
 * "lora_magnitude_vector", "lora_embedding_A", "lora_embedding_B", or "weight" of a saved module. */
char *adapter_key(const char *module, const char *part);

#endif

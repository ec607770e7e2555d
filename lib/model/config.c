#include "model/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_kind.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "math/attention.h"

enum { CONFIG_MAX_BYTES = 1 << 20, MAX_DIM = 1 << 24, MAX_HIDDEN = 1 << 17, MAX_LAYERS = 1 << 12 };

/* ---- reading ---- */

/* A dimension that must be there (dflt 0) or has a default; within [1, max]. */
static int
get_dim(const json_t *o, const char *key, int dflt, int max, int *out, struct err *e)
{
	int64_t v = dflt;
	if (json_get_int(o, key, 1, max, &v, e) < 0)
		return -1;
	if (v == 0)
		return err_set(e, ERR_CONFIG, "'%s' is missing", key);
	*out = (int)v;
	return 0;
}

/* A head size where the file gives none. */
static int
read_head_dim(struct config *c, const json_t *o, struct err *e)
{
	const struct family *f = c->family;
	if (!f->head_dim && !json_is_integer(json_object_get(o, "head_dim")) && c->C % c->H != 0)
		return err_set(e, ERR_CONFIG, "%s %d is not a multiple of %s %d", f->keys->hidden, c->C, f->keys->heads, c->H);
	return get_dim(o, "head_dim", f->head_dim ? f->head_dim : c->C / c->H, MAX_DIM, &c->D, e);
}

static int
read_dims(struct config *c, const json_t *o, struct err *e)
{
	const struct family_keys *k = c->family->keys;
	if (get_dim(o, "vocab_size", 0, MAX_DIM, &c->V, e) < 0 || get_dim(o, k->hidden, 0, MAX_HIDDEN, &c->C, e) < 0 ||
		get_dim(o, k->layers, 0, MAX_LAYERS, &c->L, e) < 0 || get_dim(o, k->heads, 0, MAX_DIM, &c->H, e) < 0 ||
		get_dim(o, k->feed_forward, c->family->names->positions ? 4 * c->C : 0, MAX_DIM, &c->F, e) < 0 ||
		get_dim(o, k->max_position, 2048, 1 << 30, &c->max_position, e) < 0 || read_head_dim(c, o, e) < 0)
		return -1;
	c->K = c->H;
	if (k->kv_heads && get_dim(o, k->kv_heads, c->H, MAX_DIM, &c->K, e) < 0)
		return -1;
	if (c->H % c->K != 0)
		return err_set(e, ERR_CONFIG, "%s %d is not a multiple of %s %d", k->heads, c->H, k->kv_heads, c->K);
	if ((int64_t)c->H * c->D > MAX_DIM)
		return err_set(e, ERR_CONFIG, "%d heads of %d are more than %d", c->H, c->D, MAX_DIM);
	if (c->D > ATTN_HEAD_MAX)
		return err_set(e, ERR_CONFIG, "a head of %d is more than %d", c->D, ATTN_HEAD_MAX);
	return 0;
}

static int
read_activation(struct config *c, const json_t *o, struct err *e)
{
	static const struct {
		const char *name;
		enum activation f;
	} known[] = {{"silu", ACT_SILU}, {"swish", ACT_SILU}, {"gelu", ACT_GELU}, {"gelu_python", ACT_GELU},
		{"gelu_new", ACT_GELU_TANH}, {"gelu_pytorch_tanh", ACT_GELU_TANH}, {"gelu_fast", ACT_GELU_TANH},
		{"quick_gelu", ACT_QUICK_GELU}, {"relu", ACT_RELU}};
	const char *key = c->family->keys->activation, *name = c->family->activation;
	if (json_get_string(o, key, &name, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(name, known[i].name) == 0) {
			c->activation = known[i].f;
			return 0;
		}
	return err_set(e, ERR_CONFIG, "'%s' is '%s', which is not supported (silu, gelu, gelu_new, gelu_pytorch_tanh, "
		"gelu_fast, quick_gelu, relu are)", key, name);
}

/* What a file may ask for and we do not compute. */
static int
refuse(const json_t *o, struct err *e)
{
	static const char *const keys[] = {"quantization_config", "attn_logit_softcapping", "final_logit_softcapping",
		"use_bidirectional_attention", "add_cross_attention"};
	if (json_object_get(o, keys[0]))
		return err_set(e, ERR_CONFIG, "the checkpoint is quantised ('%s'); use the original one", keys[0]);
	for (size_t i = 1; i < sizeof keys / sizeof *keys; i++) {
		const json_t *v = json_object_get(o, keys[i]);
		if (v && !json_is_null(v) && !json_is_false(v))
			return err_set(e, ERR_CONFIG, "'%s' is set, which is not supported", keys[i]);
	}
	return 0;
}

static int
read_switches(struct config *c, const json_t *o, struct err *e)
{
	const struct family *f = c->family;
	bool attention_bias = f->attention_bias, mlp_bias = false;
	c->tied = f->tied;
	c->parallel = f->parallel;
	c->norm_eps = f->norm_eps;
	c->embedding_scale = f->scaled_embedding ? sqrt(c->C) : 1;
	c->initializer_range = 0.02;
	if (json_get_bool(o, "attention_bias", &attention_bias, e) < 0 || json_get_bool(o, "mlp_bias", &mlp_bias, e) < 0 ||
		json_get_bool(o, "tie_word_embeddings", &c->tied, e) < 0 ||
		(f->parallel && json_get_bool(o, "use_parallel_residual", &c->parallel, e) < 0) ||
		json_get_double(o, f->keys->norm_eps, &c->norm_eps, e) < 0 ||
		json_get_double(o, "initializer_range", &c->initializer_range, e) < 0)
		return -1;
	c->qkv_bias = f->qkv_bias == BIAS_ALWAYS || (f->qkv_bias == BIAS_ASKED && attention_bias);
	c->o_bias = f->o_bias == BIAS_ALWAYS || (f->o_bias == BIAS_ASKED && attention_bias);
	c->mlp_bias = f->mlp_bias == BIAS_ALWAYS || (f->mlp_bias == BIAS_ASKED && mlp_bias);
	return 0;
}

/* ---- what differs from layer to layer ---- */

/* The score of a query and a key is their product times this. */
static int
read_scale(struct config *c, const json_t *o, struct err *e)
{
	bool scaled = true, by_layer = false;
	int scalar = c->D;
	if (json_get_bool(o, "scale_attn_weights", &scaled, e) < 0 ||
		json_get_bool(o, "scale_attn_by_inverse_layer_idx", &by_layer, e) < 0 ||
		(c->family->score_scalar &&
			get_dim(o, "query_pre_attn_scalar", c->family->score_scalar, MAX_DIM, &scalar, e) < 0))
		return -1;
	for (int l = 0; l < c->L; l++)
		c->layer[l].attention_scale = (scaled ? 1.0f / sqrtf((float)scalar) : 1) / (float)(by_layer ? l + 1 : 1);
	return 0;
}

/* Whether layer_types, which new files have, calls this layer sliding; `dflt` where there is no such list. */
static int
is_sliding(const json_t *types, int layer, bool dflt, bool *out, struct err *e)
{
	*out = dflt;
	if (!json_is_array(types))
		return 0;
	const char *type = json_text(json_array_get(types, (size_t)layer));
	if (!type || (strcmp(type, "full_attention") != 0 && strcmp(type, "sliding_attention") != 0))
		return err_set(e, ERR_CONFIG, "'layer_types' has %s for layer %d (full_attention and sliding_attention are known)",
			type ? type : "nothing", layer);
	*out = strcmp(type, "sliding_attention") == 0;
	return 0;
}

/* The window of layers that slide, and, where these turn by a rope of their own, which. */
static int
read_window(struct config *c, const json_t *o, struct err *e)
{
	const struct family *f = c->family;
	bool on = f->window != WINDOW_SWITCH;
	int64_t window = f->window_size, from = 28, pattern = 6;
	if (f->window == WINDOW_NEVER)
		return 0;
	if (json_get_bool(o, "use_sliding_window", &on, e) < 0 ||
		json_get_int(o, "max_window_layers", 0, MAX_LAYERS, &from, e) < 0 ||
		json_get_int(o, "sliding_window_pattern", 1, MAX_LAYERS, &pattern, e) < 0 ||
		json_get_int(o, "sliding_window", 1, 1 << 30, &window, e) < 0)
		return -1;
	if (json_is_null(json_object_get(o, "sliding_window")))
		window = 0;
	for (int l = 0; l < c->L && on; l++) {
		bool dflt = f->window == WINDOW_ALWAYS || (f->window == WINDOW_PATTERN ? (l + 1) % pattern != 0 : l >= from);
		bool sliding;
		if (is_sliding(json_object_get(o, "layer_types"), l, dflt, &sliding, e) < 0)
			return -1;
		c->layer[l].window = sliding ? (int)window : 0;
		c->layer[l].rope = sliding && f->local_theta ? 1 : 0;
	}
	return 0;
}

/* Layers without rotary embedding: those of a list of 0 and 1, or every fourth. */
static int
read_no_rope(struct config *c, const json_t *o, struct err *e)
{
	const json_t *list = json_object_get(o, "no_rope_layers");
	int64_t interval = 4;
	if (c->family->names->positions)
		for (int l = 0; l < c->L; l++)
			c->layer[l].rope = -1;
	if (!c->family->no_rope_layers)
		return 0;
	if (json_get_int(o, "no_rope_layer_interval", 1, MAX_LAYERS, &interval, e) < 0)
		return -1;
	if (json_is_array(list) && json_array_size(list) != (size_t)c->L)
		return err_set(e, ERR_CONFIG, "'no_rope_layers' has %zu members, the model has %d layers", json_array_size(list),
			c->L);
	for (int l = 0; l < c->L; l++) {
		bool turns = (l + 1) % interval != 0;
		if (json_is_array(list))
			turns = json_integer_value(json_array_get(list, (size_t)l)) != 0;
		if (!turns)
			c->layer[l].rope = -1;
	}
	return 0;
}

static int
read_layers(struct config *c, const json_t *o, struct err *e)
{
	c->layer = xcalloc((size_t)c->L, sizeof *c->layer);
	return read_scale(c, o, e) < 0 || read_window(c, o, e) < 0 || read_no_rope(c, o, e) < 0 ? -1 : 0;
}

/* An id, or a list of ids of which the first counts. */
static int
token_id(const json_t *o, const char *key, int V)
{
	const json_t *v = json_object_get(o, key);
	if (json_is_array(v))
		v = json_array_get(v, 0);
	return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < V
		? (int)json_integer_value(v)
		: -1;
}

static int
read_all(struct config *c, const json_t *o, struct err *e)
{
	const char *type = NULL;
	if (!json_is_object(o))
		return err_set(e, ERR_CONFIG, "not a JSON object");
	if (json_get_string(o, "model_type", &type, e) < 0)
		return -1;
	if (!type)
		return err_set(e, ERR_CONFIG, "'model_type' is missing");
	c->family = family_find(type);
	if (!c->family)
		return err_set(e, ERR_CONFIG, "model_type '%s' is not supported (%s are)", type, family_list());
	if (refuse(o, e) < 0 || read_dims(c, o, e) < 0 || read_switches(c, o, e) < 0 || read_activation(c, o, e) < 0 ||
		read_layers(c, o, e) < 0 || config_read_ropes(c, o, e) < 0)
		return -1;
	c->bos_id = token_id(o, "bos_token_id", c->V);
	c->eos_id = token_id(o, "eos_token_id", c->V);
	c->pad_id = c->family->padded ? token_id(o, "pad_token_id", c->V) : -1;
	return 0;
}

int
config_read(struct config *c, const char *dir, struct err *e)
{
	*c = (struct config){0};
	if (dir_check(dir, DIR_MODEL, e) < 0)
		return -1;
	char *path = path_join(dir, "config.json");
	c->root = json_read_file(path, CONFIG_MAX_BYTES, e);
	int rc = c->root ? 0 : -1;
	if (rc == 0 && read_all(c, c->root, e) < 0)
		rc = err_prefix(e, "'%s': ", path);
	if (rc < 0)
		config_release(c);
	free(path);
	return rc;
}

void
config_release(struct config *c)
{
	json_decref(c->root);
	free(c->layer);
	for (int i = 0; i < c->n_ropes; i++) {
		free((void *)(uintptr_t)c->rope[i].short_factor);
		free((void *)(uintptr_t)c->rope[i].long_factor);
	}
	*c = (struct config){0};
}

#include "model/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { CONFIG_MAX_BYTES = 1 << 20, MAX_DIM = 1 << 24, MAX_HIDDEN = 1 << 17, MAX_LAYERS = 1 << 12 };

/* What differs between families; what is not here is in config.json. -1: the file says, with the default given
 * by read_switches. */
struct family {
	const char *model_type;
	int qkv_bias, o_bias, mlp_bias;
	bool qk_norm;
	enum { WINDOW_NEVER, WINDOW_ALWAYS, WINDOW_SWITCH } window;  /* SWITCH: only with use_sliding_window */
	int window_default;
};

static const struct family families[] = {
	{"llama", -1, -1, -1, false, WINDOW_NEVER, 0},
	{"mistral", 0, 0, 0, false, WINDOW_ALWAYS, 4096},
	{"qwen2", 1, 0, 0, false, WINDOW_SWITCH, 4096},
	{"qwen3", -1, -1, 0, true, WINDOW_SWITCH, 4096},
};

static const struct family *
find_family(const char *model_type)
{
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (strcmp(families[i].model_type, model_type) == 0)
			return &families[i];
	return NULL;
}

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

static int
read_dims(struct config *c, const json_t *o, struct err *e)
{
	if (get_dim(o, "vocab_size", 0, MAX_DIM, &c->V, e) < 0 || get_dim(o, "hidden_size", 0, MAX_HIDDEN, &c->C, e) < 0 ||
		get_dim(o, "num_hidden_layers", 0, MAX_LAYERS, &c->L, e) < 0 ||
		get_dim(o, "num_attention_heads", 0, MAX_DIM, &c->H, e) < 0 ||
		get_dim(o, "num_key_value_heads", c->H, MAX_DIM, &c->K, e) < 0 ||
		get_dim(o, "intermediate_size", 0, MAX_DIM, &c->F, e) < 0 ||
		get_dim(o, "max_position_embeddings", 2048, 1 << 30, &c->max_position, e) < 0)
		return -1;
	if (!json_is_integer(json_object_get(o, "head_dim")) && c->C % c->H != 0)
		return err_set(e, ERR_CONFIG, "hidden_size %d is not a multiple of num_attention_heads %d", c->C, c->H);
	if (get_dim(o, "head_dim", c->C / c->H, MAX_DIM, &c->D, e) < 0)
		return -1;
	if (c->H % c->K != 0)
		return err_set(e, ERR_CONFIG, "num_attention_heads %d is not a multiple of num_key_value_heads %d", c->H,
			c->K);
	if (c->D % 2 != 0)
		return err_set(e, ERR_CONFIG, "head_dim %d is odd; rotary embedding turns pairs", c->D);
	if ((int64_t)c->H * c->D > MAX_DIM)
		return err_set(e, ERR_CONFIG, "%d heads of %d are more than %d", c->H, c->D, MAX_DIM);
	return 0;
}

static int
read_switches(struct config *c, const json_t *o, const struct family *f, struct err *e)
{
	bool attention_bias = false, mlp_bias = false;
	if (json_get_bool(o, "attention_bias", &attention_bias, e) < 0 || json_get_bool(o, "mlp_bias", &mlp_bias, e) < 0 ||
		json_get_bool(o, "tie_word_embeddings", &c->tied, e) < 0)
		return -1;
	c->qkv_bias = f->qkv_bias < 0 ? attention_bias : f->qkv_bias;
	c->o_bias = f->o_bias < 0 ? attention_bias : f->o_bias;
	c->mlp_bias = f->mlp_bias < 0 ? mlp_bias : f->mlp_bias;
	c->qk_norm = f->qk_norm;
	c->attention_scale = 1.0f / sqrtf((float)c->D);
	const char *act = "silu";
	if (json_get_string(o, "hidden_act", &act, e) < 0)
		return -1;
	if (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
		return err_set(e, ERR_CONFIG, "'hidden_act' is '%s'; only 'silu' is supported", act);
	return 0;
}

/* Whether layer_types, which new files have, calls this layer sliding; `dflt` where there is no such list. */
static int
is_sliding(const json_t *types, int layer, bool dflt, bool *out, struct err *e)
{
	*out = dflt;
	if (!json_is_array(types))
		return 0;
	const char *type = json_string_value(json_array_get(types, (size_t)layer));
	if (!type || (strcmp(type, "full_attention") != 0 && strcmp(type, "sliding_attention") != 0))
		return err_set(e, ERR_CONFIG, "'layer_types' has %s for layer %d (full_attention and sliding_attention are known)",
			type ? type : "nothing", layer);
	*out = strcmp(type, "sliding_attention") == 0;
	return 0;
}

/* mistral: every layer, unless sliding_window is null. qwen: with use_sliding_window, layers from
 * max_window_layers on. */
static int
read_window(struct config *c, const json_t *o, const struct family *f, struct err *e)
{
	bool on = f->window == WINDOW_ALWAYS;
	int64_t window = f->window_default, from = f->window == WINDOW_SWITCH ? 28 : 0;
	c->window = xcalloc((size_t)c->L, sizeof *c->window);
	if (f->window == WINDOW_NEVER)
		return 0;
	if (json_get_bool(o, "use_sliding_window", &on, e) < 0 ||
		json_get_int(o, "max_window_layers", 0, MAX_LAYERS, &from, e) < 0 ||
		json_get_int(o, "sliding_window", 1, 1 << 30, &window, e) < 0)
		return -1;
	if (!on || json_is_null(json_object_get(o, "sliding_window")))
		return 0;
	for (int l = 0; l < c->L; l++) {
		bool sliding;
		if (is_sliding(json_object_get(o, "layer_types"), l, l >= from, &sliding, e) < 0)
			return -1;
		c->window[l] = sliding ? (int)window : 0;
	}
	return 0;
}

static int
read_rope_scaling(struct rope *r, const json_t *o, int max_position, struct err *e)
{
	const char *type = "default";
	if (json_get_string(o, "type", &type, e) < 0 || json_get_string(o, "rope_type", &type, e) < 0)
		return -1;
	if (strcmp(type, "default") == 0)
		return 0;
	if (strcmp(type, "linear") != 0 && strcmp(type, "llama3") != 0)
		return err_set(e, ERR_CONFIG, "rope scaling '%s' is not supported (default, linear, llama3 are)", type);
	r->type = strcmp(type, "linear") == 0 ? ROPE_LINEAR : ROPE_LLAMA3;
	int64_t original = max_position;
	if (json_get_double(o, "factor", &r->factor, e) < 0 ||
		json_get_double(o, "low_freq_factor", &r->low_freq_factor, e) < 0 ||
		json_get_double(o, "high_freq_factor", &r->high_freq_factor, e) < 0 ||
		json_get_int(o, "original_max_position_embeddings", 1, 1 << 30, &original, e) < 0)
		return -1;
	r->original_max_position = (int)original;
	if (!(r->factor >= 1) ||
		(r->type == ROPE_LLAMA3 && !(r->low_freq_factor > 0 && r->high_freq_factor > r->low_freq_factor)))
		return err_set(e, ERR_CONFIG, "rope scaling '%s' lacks a sensible factor, low_freq_factor or high_freq_factor",
			type);
	return 0;
}

/* Old files have rope_theta and rope_scaling, new ones rope_parameters with both. */
static int
read_rope(struct config *c, const json_t *o, struct err *e)
{
	c->rope = (struct rope){.type = ROPE_DEFAULT, .theta = 10000, .rotary = c->D, .factor = 1};
	const json_t *scaling = json_object_get(o, "rope_parameters");
	if (!json_is_object(scaling))
		scaling = json_object_get(o, "rope_scaling");
	if (json_get_double(o, "rope_theta", &c->rope.theta, e) < 0)
		return -1;
	if (json_is_object(scaling) &&
		(json_get_double(scaling, "rope_theta", &c->rope.theta, e) < 0 ||
			read_rope_scaling(&c->rope, scaling, c->max_position, e) < 0))
		return -1;
	double partial = 1;
	if (json_get_double(o, "partial_rotary_factor", &partial, e) < 0)
		return -1;
	if (partial != 1)
		return err_set(e, ERR_CONFIG, "'partial_rotary_factor' %g is not supported", partial);
	if (!(c->rope.theta > 0))
		return err_set(e, ERR_CONFIG, "'rope_theta' is %g", c->rope.theta);
	return 0;
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
	const struct family *f = find_family(type);
	if (!f)
		return err_set(e, ERR_CONFIG, "model_type '%s' is not supported (llama, mistral, qwen2, qwen3 are)", type);
	if (json_object_get(o, "quantization_config"))
		return err_set(e, ERR_CONFIG, "the checkpoint is quantised ('quantization_config'); use the original one");
	memcpy(c->model_type, type, strlen(type) + 1);
	c->norm_eps = 1e-6;
	c->initializer_range = 0.02;
	if (read_dims(c, o, e) < 0 || read_switches(c, o, f, e) < 0 || read_window(c, o, f, e) < 0 ||
		read_rope(c, o, e) < 0 || json_get_double(o, "rms_norm_eps", &c->norm_eps, e) < 0 ||
		json_get_double(o, "initializer_range", &c->initializer_range, e) < 0)
		return -1;
	c->bos_id = token_id(o, "bos_token_id", c->V);
	c->eos_id = token_id(o, "eos_token_id", c->V);
	c->pad_id = token_id(o, "pad_token_id", c->V);
	return 0;
}

int
config_read(struct config *c, const char *dir, struct err *e)
{
	*c = (struct config){0};
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
	free(c->window);
	c->root = NULL;
	c->window = NULL;
}

size_t
config_parameters(const struct config *c)
{
	size_t C = (size_t)c->C, HD = (size_t)c->H * (size_t)c->D, KD = (size_t)c->K * (size_t)c->D, F = (size_t)c->F;
	size_t layer = 2 * C + C * (HD + 2 * KD) + HD * C + 3 * C * F;
	layer += (c->qkv_bias ? HD + 2 * KD : 0) + (c->o_bias ? C : 0) + (c->mlp_bias ? 2 * F + C : 0);
	layer += c->qk_norm ? 2 * (size_t)c->D : 0;
	return (size_t)c->V * C * (c->tied ? 1 : 2) + C + (size_t)c->L * layer;
}

/* adapter_config.json: reading with every check, and writing as PEFT does. */
#include "fmt/adapter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/dir_kind.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { CONFIG_MAX = 1 << 26, RANK_MAX = 1 << 20 };

static const char config_name[] = "adapter_config.json";

/* Every key that is known: what PEFT 0.21 writes for a plain LoRA (NULL: it does not write the key), and
 * whether the adapter is something else than a plain LoRA when the key is set. */
static const struct {
	const char *name, *plain;
	bool refuse;
} keys[] = {
	{"alora_invocation_tokens", "null", true},
	{"alpha_pattern", "{}", false},
	{"arrow_config", "null", true},
	{"auto_mapping", "null", false},
	{"base_model_name_or_path", "null", false},
	{"bias", "\"none\"", false},
	{"corda_config", "null", false},
	{"ensure_weight_tying", "false", false},
	{"eva_config", "null", false},
	{"exclude_modules", "null", false},
	{"fan_in_fan_out", "false", false},
	{"inference_mode", "true", false},
	{"init_lora_weights", "true", false},
	{"kasa_config", "null", true},
	{"layer_replication", "null", true},
	{"layers_pattern", "null", false},
	{"layers_to_transform", "null", false},
	{"loftq_config", "{}", false},
	{"lora_alpha", "8", false},
	{"lora_bias", "false", true},
	{"lora_dropout", "0.0", false},
	{"lora_ga_config", "null", true},
	{"megatron_config", "null", false},
	{"megatron_core", "\"megatron.core\"", false},
	{"modules_to_save", "null", false},
	{"monteclora_config", "null", true},
	{"peft_type", "\"LORA\"", false},
	{"peft_version", "\"0.21.0\"", false},
	{"qalora_group_size", "16", false},
	{"r", "8", false},
	{"rank_pattern", "{}", false},
	{"revision", "null", false},
	{"runtime_config", NULL, false},
	{"target_modules", "null", false},
	{"target_parameters", "null", true},
	{"task_type", "\"CAUSAL_LM\"", false},
	{"trainable_token_indices", "null", true},
	{"use_alora", NULL, true},
	{"use_bdlora", "null", true},
	{"use_dora", "false", false},
	{"use_qalora", "false", true},
	{"use_rslora", "false", false},
	{"velora_config", "null", true},
};

enum { N_KEYS = sizeof keys / sizeof *keys };

/* ---- reading ---- */

static bool
is_set(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_NULL:
	case JSON_FALSE:
		return false;
	case JSON_OBJECT:
		return json_object_size(v) > 0;
	case JSON_ARRAY:
		return json_array_size(v) > 0;
	case JSON_STRING:
		return json_string_length(v) > 0;
	default:
		return true;
	}
}

/* Initialisations that leave the base as it is; of all others it cannot be known. */
static int
check_init(const json_t *v, struct err *e)
{
	static const char *const harmless[] = {"gaussian", "eva", "orthogonal"};
	const char *s = json_text(v);
	if (!v || json_is_null(v) || json_is_boolean(v))
		return 0;
	for (size_t i = 0; s && i < sizeof harmless / sizeof *harmless; i++)
		if (strcasecmp(s, harmless[i]) == 0)
			return 0;
	return err_set(e, ERR_CONFIG, "'init_lora_weights' is '%s', which changes the base model; "
		"convert the adapter to a plain LoRA with PEFT first", s ? s : "not a name");
}

static int
check_kind(const json_t *root, struct err *e)
{
	const char *type = NULL;
	if (json_get_string(root, "peft_type", &type, e) < 0)
		return -1;
	if (!type || strcmp(type, "LORA") != 0)
		return err_set(e, ERR_CONFIG, "'peft_type' is '%s'; only LORA is supported",
			type ? type : "missing");
	for (int i = 0; i < N_KEYS; i++) {
		const json_t *v = json_object_get(root, keys[i].name);
		if (keys[i].refuse && v && is_set(v))
			return err_set(e, ERR_CONFIG, "'%s' is set, which is not supported", keys[i].name);
	}
	return check_init(json_object_get(root, "init_lora_weights"), e);
}

static bool
is_integer(const json_t *v)
{
	return json_is_integer(v);
}

/* An empty name would be the end of every module's. */
static bool
is_name(const json_t *v)
{
	return json_text(v) && *json_text(v);
}

static bool
is_list_of(const json_t *v, bool is_item(const json_t *))
{
	size_t i;
	json_t *item;
	if (!json_is_array(v))
		return false;
	json_array_foreach((json_t *)v, i, item)
		if (!is_item(item))
			return false;
	return true;
}

/* A member that is not null, or NULL. */
static const json_t *
member(const json_t *root, const char *key)
{
	const json_t *v = json_object_get(root, key);
	return v && !json_is_null(v) ? v : NULL;
}

static int
get_names(const json_t *root, const char *key, bool or_string, const json_t **out, struct err *e)
{
	*out = member(root, key);
	if (!*out || is_list_of(*out, is_name) || (or_string && json_text(*out)))
		return 0;
	return err_set(e, ERR_CONFIG, "'%s' is not a list of names%s", key, or_string ? " or a string" : "");
}

/* An object of positive numbers: whole ones for ranks. */
static int
get_pattern(const json_t *root, const char *key, bool whole, const json_t **out, struct err *e)
{
	const char *name;
	json_t *v;
	*out = member(root, key);
	if (*out && !json_is_object(*out))
		return err_set(e, ERR_CONFIG, "'%s' is not an object", key);
	json_object_foreach((json_t *)*out, name, v) {
		json_int_t rank = json_integer_value(v);
		if (whole ? rank < 1 || rank > RANK_MAX : !json_is_number(v))
			return err_set(e, ERR_CONFIG, "'%s': the value of '%s' is not a %s", key, name,
				whole ? "rank" : "number");
	}
	return 0;
}

static int
get_settings(struct adapter_config *c, struct err *e)
{
	int64_t r = 8;
	c->lora_alpha = 8;
	c->bias = "none";
	if (json_get_int(c->root, "r", 1, RANK_MAX, &r, e) < 0 ||
		json_get_double(c->root, "lora_alpha", &c->lora_alpha, e) < 0 ||
		json_get_double(c->root, "lora_dropout", &c->lora_dropout, e) < 0 ||
		json_get_bool(c->root, "use_rslora", &c->use_rslora, e) < 0 ||
		json_get_bool(c->root, "use_dora", &c->use_dora, e) < 0 ||
		json_get_bool(c->root, "fan_in_fan_out", &c->fan_in_fan_out, e) < 0 ||
		json_get_string(c->root, "bias", &c->bias, e) < 0 ||
		json_get_string(c->root, "base_model_name_or_path", &c->base_model, e) < 0)
		return -1;
	const char *init = json_string_value(json_object_get(c->root, "init_lora_weights"));
	c->r = (int)r;
	c->gaussian = init && strcasecmp(init, "gaussian") == 0;
	if (!(c->lora_dropout >= 0 && c->lora_dropout < 1))
		return err_set(e, ERR_CONFIG, "'lora_dropout' is %g, not within [0, 1)", c->lora_dropout);
	if (strcmp(c->bias, "none") != 0 && strcmp(c->bias, "all") != 0 && strcmp(c->bias, "lora_only") != 0)
		return err_set(e, ERR_CONFIG, "'bias' is '%s', not none, all or lora_only", c->bias);
	return 0;
}

static int
get_modules(struct adapter_config *c, struct err *e)
{
	const json_t *layers_pattern;
	if (get_names(c->root, "target_modules", true, &c->target_modules, e) < 0 ||
		get_names(c->root, "exclude_modules", true, &c->exclude_modules, e) < 0 ||
		get_names(c->root, "modules_to_save", false, &c->modules_to_save, e) < 0 ||
		get_names(c->root, "layers_pattern", true, &layers_pattern, e) < 0 ||
		get_pattern(c->root, "rank_pattern", true, &c->rank_pattern, e) < 0 ||
		get_pattern(c->root, "alpha_pattern", false, &c->alpha_pattern, e) < 0)
		return -1;
	c->layers_to_transform = member(c->root, "layers_to_transform");
	if (c->layers_to_transform && !json_is_integer(c->layers_to_transform) &&
		!is_list_of(c->layers_to_transform, is_integer))
		return err_set(
			e, ERR_CONFIG, "'layers_to_transform' is neither a number nor a list of numbers");
	return 0;
}

static bool
is_known(const char *key)
{
	for (int i = 0; i < N_KEYS; i++)
		if (strcmp(key, keys[i].name) == 0)
			return true;
	return false;
}

/* The names of keys that are not known, comma-separated; NULL when there are none. */
static char *
unknown_keys(const json_t *root)
{
	struct buf b = {0};
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)root, key, v)
		if (!is_known(key))
			buf_printf(&b, "%s%s", b.len ? ", " : "", key);
	return b.data;
}

int
adapter_config_read(struct adapter_config *c, const char *dir, struct err *e)
{
	*c = (struct adapter_config){0};
	if (dir_check(dir, DIR_ADAPTER, e) < 0)
		return -1;
	char *path = path_join(dir, config_name);
	c->root = json_read_file(path, CONFIG_MAX, e);
	int rc = c->root ? 0 : -1;
	if (rc == 0 && !json_is_object(c->root))
		rc = err_set(e, ERR_DATA, "not an object");
	if (rc == 0)
		rc = check_kind(c->root, e);
	if (rc == 0)
		rc = get_settings(c, e);
	if (rc == 0)
		rc = get_modules(c, e);
	if (rc < 0 && c->root)
		err_prefix(e, "'%s': ", path);
	if (rc == 0)
		c->unknown = unknown_keys(c->root);
	else
		adapter_config_release(c);
	free(path);
	return rc;
}

void
adapter_config_release(struct adapter_config *c)
{
	json_decref(c->root);
	free(c->unknown);
	*c = (struct adapter_config){0};
}

/* ---- making and writing ---- */

static json_t *
plain_root(void)
{
	json_t *root = json_object();
	for (int i = 0; i < N_KEYS; i++)
		if (keys[i].plain)
			json_object_set_new(
				root, keys[i].name, json_loads(keys[i].plain, JSON_DECODE_ANY, NULL));
	return root;
}

/* alpha is a whole number in nearly every file, and readers may expect one. */
static json_t *
number(double x)
{
	return x == floor(x) && fabs(x) < 1e15 ? json_integer((json_int_t)x) : json_real(x);
}

static void
set_if(json_t *root, const char *key, const json_t *v)
{
	if (v)
		json_object_set_new(root, key, json_deep_copy(v));
}

void
adapter_config_new(struct adapter_config *c, const struct adapter_config *want)
{
	json_t *root = plain_root();
	json_object_set_new(root, "r", json_integer(want->r));
	json_object_set_new(root, "lora_alpha", number(want->lora_alpha));
	json_object_set_new(root, "lora_dropout", json_real(want->lora_dropout));
	json_object_set_new(root, "use_rslora", json_boolean(want->use_rslora));
	json_object_set_new(root, "use_dora", json_boolean(want->use_dora));
	json_object_set_new(root, "fan_in_fan_out", json_boolean(want->fan_in_fan_out));
	json_object_set_new(root, "bias", json_string(want->bias ? want->bias : "none"));
	if (want->gaussian)
		json_object_set_new(root, "init_lora_weights", json_string("gaussian"));
	if (want->base_model)
		json_object_set_new(root, "base_model_name_or_path", json_string(want->base_model));
	set_if(root, "target_modules", want->target_modules);
	set_if(root, "exclude_modules", want->exclude_modules);
	set_if(root, "modules_to_save", want->modules_to_save);
	set_if(root, "rank_pattern", want->rank_pattern);
	set_if(root, "alpha_pattern", want->alpha_pattern);
	set_if(root, "layers_to_transform", want->layers_to_transform);
	*c = *want;
	c->root = root;
	c->unknown = NULL;
	c->bias = json_string_value(json_object_get(root, "bias"));
	c->base_model = json_string_value(json_object_get(root, "base_model_name_or_path"));
	c->target_modules = member(root, "target_modules");
	c->exclude_modules = member(root, "exclude_modules");
	c->modules_to_save = member(root, "modules_to_save");
	c->rank_pattern = member(root, "rank_pattern");
	c->alpha_pattern = member(root, "alpha_pattern");
	c->layers_to_transform = member(root, "layers_to_transform");
}

int
adapter_config_write(const struct adapter_config *c, const char *dir, struct err *e)
{
	char *path = path_join(dir, config_name);
	int rc = json_write_file(
		path, true, c->root, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENSURE_ASCII, "", e);
	free(path);
	return rc;
}

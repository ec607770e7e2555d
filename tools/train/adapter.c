/* The adapter that is trained: a new one by the settings, or one to go on with. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/lora.h"
#include "train.h"

/* ---- values of options ---- */

/* A list of names out of "q_proj,v_proj"; a new reference. */
static json_t *
name_list(const char *text)
{
	json_t *list = json_array();
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, ", ");
		if (n)
			json_array_append_new(list, json_stringn(p, n));
		p += n + (p[n] != '\0');
	}
	return list;
}

/* Names hold letters, digits, '_', '-' and '.'; what has anything else but commas between them is a regular expression. */
static bool
is_regex(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_-., ", *text))
			return true;
	return false;
}

/* A string, which PEFT takes for a regular expression, or a list of names; NULL for NULL. */
static json_t *
names_or_regex(const char *text)
{
	return !text ? NULL : is_regex(text) ? json_string(text) : name_list(text);
}

/* A whole number of at most six digits at *p, which is moved behind it; -1 when there is none. */
static int
take_number(const char **p)
{
	int n = 0, digits = 0;
	for (; isdigit((unsigned char)**p) && digits < 6; (*p)++, digits++)
		n = 10 * n + (**p - '0');
	return digits ? n : -1;
}

/* "4", or "4-7", at *p, which is moved behind it, onto the list; false when it is not that. */
static bool
take_range(const char **p, json_t *list)
{
	int first = take_number(p), last = first;
	if (**p == '-') {
		++*p;
		last = take_number(p);
	}
	if (first < 0 || last < first)
		return false;
	for (; first <= last; first++)
		json_array_append_new(list, json_integer(first));
	return true;
}

/* "0,2,4-7"; a new reference, or NULL when it is not that. */
static json_t *
number_list(const char *text)
{
	json_t *list = json_array();
	bool good = take_range(&text, list);
	while (good && *text == ',') {
		text++;
		good = take_range(&text, list);
	}
	if (good && !*text)
		return list;
	json_decref(list);
	return NULL;
}

/* "q_proj=8,.*down_proj=4": a value for each pattern; a new reference, or NULL when it is not that. */
static json_t *
pattern_object(const char *text, bool whole)
{
	json_t *o = json_object();
	while (*text) {
		size_t n = strcspn(text, ",");
		char *pair = xstrndup(text, n), *eq = strrchr(pair, '='), *end = eq;
		double x = eq ? strtod(eq + 1, &end) : 0;
		bool good = eq && eq > pair && end > eq + 1 && !*end && x > 0 && x <= 1 << 20 && (!whole || x == (int)x);
		if (good) {
			*eq = '\0';
			json_object_set_new(o, pair, x == (int)x ? json_integer((int)x) : json_real(x));
		}
		free(pair);
		if (!good) {
			json_decref(o);
			return NULL;
		}
		text += n + (text[n] == ',');
	}
	return o;
}

/* ---- what needs no model ---- */

/* The first option that a new adapter is described by and nothing else would heed; NULL: there is none. */
static const char *
described_by(const struct settings *s)
{
	const struct {
		bool given;
		const char *name;
	} options[] = {{s->use_dora, "use-dora"}, {s->use_rslora, "use-rslora"}, {s->lora_dropout > 0, "lora-dropout"},
		{s->exclude_modules, "exclude-modules"}, {s->layers_to_transform, "layers-to-transform"},
		{s->rank_pattern, "rank-pattern"}, {s->alpha_pattern, "alpha-pattern"},
		{s->modules_to_save, "modules-to-save"}, {strcmp(s->lora_bias, "none") != 0, "lora-bias"},
		{strcmp(s->init_lora_weights, "default") != 0, "init-lora-weights"}};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].given)
			return options[i].name;
	return NULL;
}

void
adapter_check(const struct settings *s)
{
	const char *option = described_by(s);
	if (option && s->init_adapter)
		die_usage("--%s is not for --init-adapter, whose own configuration counts", option);
	if (option && strcmp(s->method, "full") == 0)
		die_usage("--%s is for an adapter, and --method full trains all weights", option);
	json_t *layers = s->layers_to_transform ? number_list(s->layers_to_transform) : json_array();
	json_t *ranks = s->rank_pattern ? pattern_object(s->rank_pattern, true) : json_object();
	json_t *alphas = s->alpha_pattern ? pattern_object(s->alpha_pattern, false) : json_object();
	if (!layers)
		die_usage("--layers-to-transform: '%s' is not a list of numbers such as 0,2,4-7", s->layers_to_transform);
	if (!ranks)
		die_usage("--rank-pattern: '%s' is not a list such as q_proj=8,down_proj=4", s->rank_pattern);
	if (!alphas)
		die_usage("--alpha-pattern: '%s' is not a list such as q_proj=32,down_proj=8", s->alpha_pattern);
	if (s->layers_to_transform && is_regex(s->target_modules))
		die_usage("--layers-to-transform goes with names in --target-modules: a regular expression can name layers itself");
	json_decref(layers);
	json_decref(ranks);
	json_decref(alphas);
}

/* ---- attaching ---- */

static int
attach_new(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	bool all = strcmp(s->target_modules, "all-linear") == 0;
	json_t *targets = all ? lora_all_linear(&r->model) : names_or_regex(s->target_modules);
	json_t *excluded = names_or_regex(s->exclude_modules);
	json_t *saved = s->modules_to_save ? name_list(s->modules_to_save) : NULL;
	json_t *layers = s->layers_to_transform ? number_list(s->layers_to_transform) : NULL;
	json_t *ranks = s->rank_pattern ? pattern_object(s->rank_pattern, true) : NULL;
	json_t *alphas = s->alpha_pattern ? pattern_object(s->alpha_pattern, false) : NULL;
	const struct adapter_config want = {.r = s->lora_r, .lora_alpha = s->lora_alpha, .lora_dropout = s->lora_dropout,
		.use_rslora = s->use_rslora, .use_dora = s->use_dora, .bias = s->lora_bias,
		.gaussian = strcmp(s->init_lora_weights, "gaussian") == 0, .fan_in_fan_out = r->model.config.family->conv1d,
		.base_model = s->model, .target_modules = targets, .exclude_modules = excluded, .modules_to_save = saved,
		.layers_to_transform = layers, .rank_pattern = ranks, .alpha_pattern = alphas};
	adapter_config_new(&r->adapter, &want);
	json_t *given[] = {targets, excluded, saved, layers, ranks, alphas};
	for (size_t i = 0; i < sizeof given / sizeof *given; i++)
		json_decref(given[i]);
	return lora_attach(&r->model, &r->adapter, (uint64_t)s->seed, true, e);
}

int
adapter_attach(struct run *r, struct err *e)
{
	if (!r->set->init_adapter)
		return attach_new(r, e);
	if (lora_open(&r->model, r->set->init_adapter, LORA_TRAIN | (r->set->other_base ? LORA_OTHER_BASE : 0), &r->adapter, e) < 0 ||
		adapter_fingerprint(r->set->init_adapter, r->init_adapter, e) < 0)
		return -1;
	log_unknown_keys(r->set->init_adapter, r->adapter.unknown);
	return 0;
}

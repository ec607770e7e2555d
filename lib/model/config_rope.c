/* Rotary embeddings as config.json spells them. Old files have rope_theta and rope_scaling, new ones rope_parameters with
 * both, or one such object for each type of layer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "model/config.h"

static const struct {
	const char *name;
	enum rope_type type;
} types[] = {
	{"default", ROPE_DEFAULT}, {"linear", ROPE_LINEAR}, {"dynamic", ROPE_DYNAMIC}, {"llama3", ROPE_LLAMA3},
	{"yarn", ROPE_YARN}, {"longrope", ROPE_LONGROPE},
};

enum { N_TYPES = sizeof types / sizeof *types };

static int
read_type(struct rope *r, const struct config *c, const json_t *o, const char **name, struct err *e)
{
	*name = "default";
	if (json_get_string(o, "type", name, e) < 0 || json_get_string(o, "rope_type", name, e) < 0)
		return -1;
	/* Phi-3's first files call longrope so. */
	if (strcmp(c->family->model_type, "phi3") == 0 && (strcmp(*name, "su") == 0 || strcmp(*name, "yarn") == 0))
		*name = "longrope";
	for (int i = 0; i < N_TYPES; i++)
		if (strcmp(*name, types[i].name) == 0) {
			r->type = types[i].type;
			return 0;
		}
	return err_set(e, ERR_CONFIG,
		"rope scaling '%s' is not supported (default, linear, dynamic, llama3, yarn, longrope are)", *name);
}

/* The context before it was extended: the file's own member first, as transformers has it. */
static int
read_original(struct rope *r, const struct config *c, const json_t *root, const json_t *o, struct err *e)
{
	int64_t n = c->family->original_max_position ? c->family->original_max_position : c->max_position;
	if (json_get_int(o, "original_max_position_embeddings", 1, 1 << 30, &n, e) < 0 ||
		json_get_int(root, "original_max_position_embeddings", 1, 1 << 30, &n, e) < 0)
		return -1;
	r->original_max_position = r->type == ROPE_DYNAMIC ? c->max_position : (int)n;
	return 0;
}

/* 0.1 m ln(factor) + 1 (Peng et al. 2023, section 3.4). */
static double
yarn_scale(double factor, double m)
{
	return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

static int
read_yarn(struct rope *r, const json_t *o, struct err *e)
{
	double mscale = 0, all = 0, attention = 0;
	if (json_get_double(o, "beta_fast", &r->beta_fast, e) < 0 || json_get_double(o, "beta_slow", &r->beta_slow, e) < 0 ||
		json_get_double(o, "mscale", &mscale, e) < 0 || json_get_double(o, "mscale_all_dim", &all, e) < 0 ||
		json_get_double(o, "attention_factor", &attention, e) < 0 || json_get_bool(o, "truncate", &r->truncate, e) < 0)
		return -1;
	if (!(r->beta_fast > 0 && r->beta_slow > 0 && r->theta > 1))
		return err_set(e, ERR_CONFIG, "rope scaling 'yarn' lacks a sensible beta_fast, beta_slow or rope_theta");
	if (attention == 0)
		attention = mscale != 0 && all != 0 ? yarn_scale(r->factor, mscale) / yarn_scale(r->factor, all)
						    : yarn_scale(r->factor, 1);
	r->attention_factor = (float)attention;
	return 0;
}

/* A list of as many positive numbers as there are frequencies; new. */
static float *
factor_list(const struct rope *r, const json_t *o, const char *key, struct err *e)
{
	const json_t *list = json_object_get(o, key);
	size_t n = (size_t)r->rotary / 2;
	if (json_array_size(list) != n) {
		err_set(e, ERR_CONFIG, "'%s' has %zu factors, %zu are wanted", key, json_array_size(list), n);
		return NULL;
	}
	float *v = xcalloc(n, sizeof *v);
	for (size_t i = 0; i < n; i++) {
		v[i] = (float)json_number_value(json_array_get(list, i));
		if (!(v[i] > 0)) {
			free(v);
			err_set(e, ERR_CONFIG, "factor %zu of '%s' is not a positive number", i, key);
			return NULL;
		}
	}
	return v;
}

static int
read_longrope(struct rope *r, const struct config *c, const json_t *o, struct err *e)
{
	double original = r->original_max_position, factor = c->max_position / original, attention = 0;
	if (json_get_double(o, "factor", &factor, e) < 0 || json_get_double(o, "attention_factor", &attention, e) < 0)
		return -1;
	if (attention == 0)
		attention = factor <= 1 ? 1 : sqrt(1 + log(factor) / log(original));
	if (!isfinite(attention) || !(attention > 0))
		return err_set(e, ERR_CONFIG,
			"rope scaling 'longrope' lacks a sensible factor, attention factor or original context");
	r->attention_factor = (float)attention;
	r->short_factor = factor_list(r, o, "short_factor", e);
	r->long_factor = r->short_factor ? factor_list(r, o, "long_factor", e) : NULL;
	return r->long_factor ? 0 : -1;
}

static int
read_scaling(struct rope *r, const struct config *c, const json_t *root, const json_t *o, struct err *e)
{
	const char *name;
	if (read_type(r, c, o, &name, e) < 0 || read_original(r, c, root, o, e) < 0)
		return -1;
	if (r->type == ROPE_DEFAULT)
		return 0;
	if (r->type == ROPE_LONGROPE)
		return read_longrope(r, c, o, e);
	if (r->type == ROPE_YARN)
		r->factor = (double)c->max_position / r->original_max_position;
	if (json_get_double(o, "factor", &r->factor, e) < 0 ||
		json_get_double(o, "low_freq_factor", &r->low_freq_factor, e) < 0 ||
		json_get_double(o, "high_freq_factor", &r->high_freq_factor, e) < 0)
		return -1;
	if (!(r->factor >= 1) || (r->type == ROPE_DYNAMIC && r->rotary <= 2) ||
		(r->type == ROPE_LLAMA3 && !(r->low_freq_factor > 0 && r->high_freq_factor > r->low_freq_factor)))
		return err_set(e, ERR_CONFIG, "rope scaling '%s' lacks a sensible factor, low_freq_factor or high_freq_factor",
			name);
	return r->type == ROPE_YARN ? read_yarn(r, o, e) : 0;
}

/* How many dimensions of a head turn. */
static int
read_rotary(struct rope *r, const struct config *c, const json_t *root, const json_t *o, struct err *e)
{
	const char *key = c->family->keys->partial_rotary;
	double partial = c->family->partial ? c->family->partial : 1;
	if (json_get_double(root, key, &partial, e) < 0 ||
		(o && json_get_double(o, "partial_rotary_factor", &partial, e) < 0))
		return -1;
	if (c->family->partial == 0 && partial != 1)
		return err_set(e, ERR_CONFIG, "'%s' is %g, and a %s model turns whole heads", key, partial,
			c->family->model_type);
	r->rotary = partial > 0 && partial <= 1 ? (int)(c->D * partial) : 0;
	if (r->rotary < 2 || r->rotary % 2)
		return err_set(e, ERR_CONFIG, "'%s' %g of a head of %d is not an even number of dimensions", key, partial, c->D);
	return 0;
}

/* One embedding: `o`, unless NULL, has its own theta and scaling. */
static int
read_rope(struct config *c, const json_t *root, const json_t *o, double theta, struct err *e)
{
	struct rope *r = &c->rope[c->n_ropes++];
	*r = (struct rope){.theta = theta, .factor = 1, .beta_fast = 32, .beta_slow = 1, .truncate = true,
		.attention_factor = 1};
	if (read_rotary(r, c, root, o, e) < 0 || (o && json_get_double(o, "rope_theta", &r->theta, e) < 0))
		return -1;
	if (!(r->theta > 0))
		return err_set(e, ERR_CONFIG, "'rope_theta' is %g", r->theta);
	return o ? read_scaling(r, c, root, o, e) : 0;
}

int
config_read_ropes(struct config *c, const json_t *o, struct err *e)
{
	const struct family *f = c->family;
	const json_t *all = json_object_get(o, "rope_parameters"), *full = json_object_get(all, "full_attention"),
		*sliding = json_object_get(all, "sliding_attention");
	double theta = f->theta, local = f->local_theta;
	if (f->names->positions)
		return 0;
	if (!full && !sliding)
		full = json_is_object(all) ? all : json_object_get(o, "rope_scaling");
	full = json_is_object(full) ? full : NULL;
	sliding = json_is_object(sliding) ? sliding : NULL;
	if (json_get_double(o, f->keys->rope_theta, &theta, e) < 0 ||
		json_get_double(o, "rope_local_base_freq", &local, e) < 0 || read_rope(c, o, full, theta, e) < 0)
		return -1;
	return f->local_theta ? read_rope(c, o, sliding, local, e) : 0;
}

/* Which modules an adapter is put on, and which are trained whole. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/near.h"
#include "model/lora_int.h"

struct linear *
lora_find_module(const struct model *m, const char *name, size_t length)
{
	struct linear *l;
	for (size_t i = 0; (l = model_module(m, i)); i++)
		if (strlen(l->name) == length && memcmp(l->name, name, length) == 0)
			return l;
	return NULL;
}

size_t
lora_module_length(const struct param *p)
{
	return (size_t)(strrchr(p->name, '.') - p->name);
}

/* ---- modules_to_save ---- */

/* Whether a name of modules_to_save means this module or one that it is within. Like PEFT we take any module whose name
 * ends with it, without a dot before: "norm" is also "input_layernorm". */
static bool
saves(const char *name, const char *module, size_t length)
{
	size_t n = strlen(name);
	for (size_t end = n; end <= length; end++)
		if ((end == length || module[end] == '.') && memcmp(module + end - n, name, n) == 0)
			return true;
	return false;
}

static const char *
saved_name(const struct adapter_config *c, size_t i)
{
	const char *name = json_string_value(json_array_get(c->modules_to_save, i));
	return name ? name : "";
}

static bool
is_saved(const struct adapter_config *c, const char *module, size_t length)
{
	for (size_t i = 0; i < json_array_size(c->modules_to_save); i++)
		if (saves(saved_name(c, i), module, length))
			return true;
	return false;
}

static bool
ends_with(const char *s, size_t n, const char *end)
{
	size_t k = strlen(end);
	return n >= k && memcmp(s + n - k, end, k) == 0;
}

/* Whether p is a bias of a layer that has an adapter. */
static bool
is_adapted_bias(const struct model *m, const struct param *p)
{
	const struct linear *l = lora_find_module(m, p->name, lora_module_length(p));
	return l && l->lora && l->b == p;
}

bool
lora_replaces(const struct model *m, const struct adapter_config *c, const struct param *p)
{
	if (is_saved(c, p->name, lora_module_length(p)))
		return true;
	if (strcmp(c->bias, "all") == 0)
		return ends_with(p->name, strlen(p->name), ".bias");
	return strcmp(c->bias, "lora_only") == 0 && is_adapted_bias(m, p);
}

/* PEFT copies a tied module that it saves: the other of the two stays as it was. */
static void
untie(struct model *m, const struct adapter_config *c)
{
	bool tied = m->head.w == m->embed;
	if (tied && (is_saved(c, m->head.name, strlen(m->head.name)) || is_saved(c, m->embed_table.name, strlen(m->embed_table.name))))
		model_untie(m);
}

/* ---- names that mean nothing ---- */

static bool
is_name_of(const char *name, const char *module, size_t length)
{
	size_t n = strlen(name);
	return ends_with(module, length, name) && (n == length || module[length - n - 1] == '.');
}

/* The last part of a module's name. */
static const char *
last_part(const char *module)
{
	const char *dot = strrchr(module, '.');
	return dot ? dot + 1 : module;
}

/* Tells that a name means nothing, what else there is, and what is nearest to it. */
static int
tell_unknown(const struct model *m, const char *key, const char *name, struct err *e)
{
	const char *near = NULL;
	struct buf list = {0};
	const struct linear *l;
	int least = 4;
	for (size_t i = 0; (l = model_module(m, i)); i++) {
		const char *part = last_part(l->name);
		int d = near_distance(last_part(name), part);
		if (d < least && d < (int)strlen(part)) {
			least = d;
			near = part;
		}
		if (!list.data || !strstr(list.data, part))
			buf_printf(&list, "%s%s", list.len ? ", " : "", part);
	}
	err_set(e, ERR_CONFIG, "%s has '%s', which this model does not have%s%s%s; it has %s", key, name,
		near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list.data);
	buf_release(&list);
	return -1;
}

/* Every name of a list is that of something. */
static int
check_list(const struct model *m, const char *key, const json_t *list, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		bool found = false;
		for (size_t p = 0; p < m->n_params && !found; p++)
			found = is_name_of(name, m->param[p].name, lora_module_length(&m->param[p]));
		if (!found && !is_name_of(name, m->head.name, strlen(m->head.name)))
			return tell_unknown(m, key, name, e);
	}
	return 0;
}

static int
check_saved(const struct model *m, const struct adapter_config *c, struct err *e)
{
	for (size_t i = 0; i < json_array_size(c->modules_to_save); i++) {
		bool found = false;
		for (size_t p = 0; p < m->n_params && !found; p++)
			found = saves(saved_name(c, i), m->param[p].name, lora_module_length(&m->param[p]));
		if (!found)
			return tell_unknown(m, "modules_to_save", saved_name(c, i), e);
	}
	return 0;
}

static int
check_layers(const struct model *m, const struct adapter_config *c, struct err *e)
{
	for (size_t i = 0; i < json_array_size(c->layers_to_transform); i++) {
		json_int_t layer = json_integer_value(json_array_get(c->layers_to_transform, i));
		if (layer < 0 || layer >= m->config.L)
			return err_set(e, ERR_CONFIG, "layers_to_transform has %lld, this model's layers are 0 to %d", (long long)layer,
				m->config.L - 1);
	}
	return 0;
}

/* ---- choosing ---- */

static int
attach_one(const struct adapter_config *c, struct linear *l, bool table, struct err *e)
{
	int r;
	double scale;
	if (adapter_rank(c, l->name, &r, &scale, e) < 0)
		return -1;
	l->lora = xcalloc(1, sizeof *l->lora);
	*l->lora = (struct lora){.r = r, .scale = (float)scale, .dropout = (float)c->lora_dropout,
		.A = {.name = adapter_key(l->name, table ? "lora_embedding_A" : "lora_A.weight"), .rank = 2, .rows = r,
			.columns = l->in},
		.B = {.name = adapter_key(l->name, table ? "lora_embedding_B" : "lora_B.weight"), .rank = 2, .rows = l->out,
			.columns = r}};
	if (c->use_dora)
		l->lora->magnitude = (struct param){.name = adapter_key(l->name, "lora_magnitude_vector"), .rank = 1,
			.rows = l->out, .columns = 1, .scales = true};
	return 0;
}

/* Norms are chosen only by mistake; PEFT refuses them, too. */
static int
check_others(const struct model *m, const struct adapter_config *c, struct err *e)
{
	for (size_t i = 0; i < m->n_params; i++) {
		size_t n = lora_module_length(&m->param[i]);
		if (lora_find_module(m, m->param[i].name, n) || is_saved(c, m->param[i].name, n))
			continue;
		char *module = xstrndup(m->param[i].name, n);
		int on = adapter_targets(c, module, true, e);
		if (on > 0)
			err_set(e, ERR_CONFIG, "target_modules chooses '%s', which is neither a linear layer nor an embedding", module);
		free(module);
		if (on != 0)
			return -1;
	}
	return 0;
}

static int
choose_modules(struct model *m, const struct adapter_config *c, struct err *e)
{
	struct linear *l;
	size_t chosen = 0;
	for (size_t i = 0; (l = model_module(m, i)); i++) {
		bool table = model_is_table(m, l);
		if (is_saved(c, l->name, strlen(l->name)))
			continue;
		int on = adapter_targets(c, l->name, table || l == &m->head, e);
		if (on < 0 || (on && attach_one(c, l, table, e) < 0))
			return -1;
		chosen += on > 0;
	}
	if (!chosen)
		return err_set(e, ERR_CONFIG, "target_modules chooses no layer of this model (its layers are named like '%s')",
			m->layer[0].linear[0].name);
	return 0;
}

/* With ensure_weight_tying, PEFT keeps head and embeddings the same; we do not. */
static int
check_tying(const struct model *m, const struct adapter_config *c, struct err *e)
{
	const struct linear *both[] = {&m->embed_table, &m->head};
	if (m->head.w != m->embed || !json_is_true(json_object_get(c->root, "ensure_weight_tying")))
		return 0;
	for (int i = 0; i < 2; i++)
		if (both[i]->lora || is_saved(c, both[i]->name, strlen(both[i]->name)))
			return err_set(e, ERR_CONFIG, "'ensure_weight_tying' with an adapter on '%s' is not supported", both[i]->name);
	return 0;
}

int
lora_choose(struct model *m, const struct adapter_config *c, bool strict, struct err *e)
{
	if (strict && (check_list(m, "target_modules", c->target_modules, e) < 0 ||
			      check_list(m, "exclude_modules", c->exclude_modules, e) < 0 || check_layers(m, c, e) < 0))
		return -1;
	if (choose_modules(m, c, e) < 0 || check_others(m, c, e) < 0 || check_tying(m, c, e) < 0)
		return -1;
	untie(m, c);
	return check_saved(m, c, e);
}

#include "model/lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

/* ---- modules_to_save ---- */

/* The module of a parameter: its name without ".weight" or ".bias". */
static size_t
module_length(const struct param *p)
{
	return (size_t)(strrchr(p->name, '.') - p->name);
}

/* Whether a name of modules_to_save means this module: the whole of it, or its end after a dot. */
static bool
names_module(const char *name, const char *module, size_t length)
{
	size_t n = strlen(name);
	return n <= length && memcmp(module + length - n, name, n) == 0 && (n == length || module[length - n - 1] == '.');
}

static bool
is_saved(const struct adapter_config *c, const struct param *p)
{
	for (size_t i = 0; i < json_array_size(c->modules_to_save); i++) {
		const char *name = json_string_value(json_array_get(c->modules_to_save, i));
		if (name && names_module(name, p->name, module_length(p)))
			return true;
	}
	return false;
}

static int
check_saved(const struct model *m, const struct adapter_config *c, struct err *e)
{
	for (size_t i = 0; i < json_array_size(c->modules_to_save); i++) {
		const char *name = json_string_value(json_array_get(c->modules_to_save, i));
		bool found = false;
		for (size_t p = 0; name && p < m->n_params && !found; p++)
			found = names_module(name, m->param[p].name, module_length(&m->param[p]));
		if (m->config.tied && name && (strcmp(name, m->head.name) == 0 || (found && is_saved(c, m->embed))))
			return err_set(e, ERR_CONFIG, "modules_to_save has '%s', which this model ties to another module", name);
		if (!found)
			return err_set(e, ERR_CONFIG, "modules_to_save has '%s', which this model does not have",
				name ? name : "something that is not a name");
	}
	return 0;
}

/* ---- attaching ---- */

static int
attach_one(const struct adapter_config *c, struct linear *l, struct err *e)
{
	int r;
	double scale;
	if (adapter_rank(c, l->name, &r, &scale, e) < 0)
		return -1;
	l->lora = xcalloc(1, sizeof *l->lora);
	*l->lora = (struct lora){.r = r, .scale = (float)scale, .dropout = (float)c->lora_dropout,
		.A = {.name = adapter_key(l->name, "lora_A.weight"), .rank = 2, .rows = r, .columns = l->in},
		.B = {.name = adapter_key(l->name, "lora_B.weight"), .rank = 2, .rows = l->out, .columns = r}};
	return 0;
}

static int
choose(struct model *m, const struct adapter_config *c, struct err *e)
{
	size_t chosen = 0;
	char *embed = xstrndup(m->embed->name, module_length(m->embed));
	int on = adapter_targets(c, embed, true, e);
	if (on > 0)
		err_set(e, ERR_CONFIG, "target_modules chooses '%s': adapters on embeddings are not supported", embed);
	free(embed);
	if (on != 0)
		return -1;
	for (size_t i = 0; model_linear(m, i); i++) {
		struct linear *l = model_linear(m, i);
		on = adapter_targets(c, l->name, l == &m->head, e);
		if (on < 0 || (on && attach_one(c, l, e) < 0))
			return -1;
		chosen += on > 0;
	}
	if (!chosen)
		return err_set(e, ERR_CONFIG,
			"target_modules chooses no layer of this model (its layers are named like '%s')", m->layer[0].linear[0].name);
	return 0;
}

/* Hands out the memory of one adapter parameter. */
static void
place(struct model *m, struct param *p, bool train)
{
	param_place(p, ARENA_TAKE(&m->trained_memory, float, param_size(p)));
	p->grad = train ? ARENA_TAKE(&m->grad_memory, float, param_size(p)) : NULL;
}

/* The adapters' parameters, and those of modules_to_save, whose values are copied out of the base when there is
 * memory: `base` is the table as it was. */
static void
place_all(struct model *m, const struct adapter_config *c, bool train, const struct param *base)
{
	/* Every A behind the one before: so those of a projection can be read as one (model/projection.h). */
	for (size_t i = 0; model_linear(m, i); i++)
		if (model_linear(m, i)->lora)
			place(m, &model_linear(m, i)->lora->A, train);
	for (size_t i = 0; model_linear(m, i); i++)
		if (model_linear(m, i)->lora)
			place(m, &model_linear(m, i)->lora->B, train);
	for (size_t i = 0; i < m->n_params; i++) {
		struct param *p = &m->param[i];
		if (!is_saved(c, p))
			continue;
		place(m, p, train);
		if (p->value)
			param_read_exact(&base[i], 0, param_size(p), p->value);
	}
}

static void
init_A(struct lora *a, int in, uint64_t seed, uint64_t stream)
{
	struct rng r;
	double bound = 1 / sqrt((double)in);
	rng_init(&r, seed, stream);
	for (size_t j = 0; j < param_size(&a->A); j++)
		a->A.value[j] = (float)((2 * rng_uniform(&r) - 1) * bound);
}

/* Something of this layer is trained. */
static void
lower(struct model *m, int layer)
{
	if (layer < m->lowest)
		m->lowest = layer;
}

/* The list of what is trained, in the order of the layers, and the lowest layer that has any of it. */
static void
list_trained(struct model *m)
{
	m->trained = xcalloc(2 * (size_t)(m->config.L * MAX_LINEARS + 1) + m->n_params, sizeof *m->trained);
	m->lowest = m->config.L;
	for (size_t i = 0; model_linear(m, i); i++) {
		struct lora *a = model_linear(m, i)->lora;
		if (!a)
			continue;
		m->trained[m->n_trained++] = &a->A;
		m->trained[m->n_trained++] = &a->B;
		lower(m, model_linear(m, i) == &m->head ? m->config.L : model_linear(m, i)->w->layer);
	}
	for (size_t i = 0; i < m->n_params; i++) {
		if (!m->param[i].grad)
			continue;
		m->trained[m->n_trained++] = &m->param[i];
		lower(m, m->param[i].layer);
	}
}

static int
check_config(const struct model *m, const struct adapter_config *c, struct err *e)
{
	if (c->use_dora)
		return err_set(e, ERR_CONFIG, "DoRA adapters are not supported here (hone-merge merges them)");
	if (strcmp(c->bias, "none") != 0)
		return err_set(e, ERR_CONFIG, "adapters with bias '%s' are not supported", c->bias);
	return check_saved(m, c, e);
}

/* Memory for what was chosen. */
static void
take_memory(struct model *m, const struct adapter_config *c, bool train)
{
	struct param *base = xcalloc(m->n_params, sizeof *base);
	memcpy(base, m->param, m->n_params * sizeof *base);
	place_all(m, c, train, base);
	arena_make(&m->trained_memory);
	arena_make(&m->grad_memory);
	place_all(m, c, train, base);
	free(base);
	if (train)
		list_trained(m);
}

int
lora_attach(struct model *m, const struct adapter_config *c, uint64_t seed, bool train, struct err *e)
{
	if (check_config(m, c, e) < 0 || choose(m, c, e) < 0)
		return -1;
	take_memory(m, c, train);
	for (size_t i = 0; model_linear(m, i); i++) {
		struct linear *l = model_linear(m, i);
		if (l->lora)
			init_A(l->lora, l->in, seed, RNG_STREAM(RNG_ADAPTER, i));
	}
	return 0;
}

/* ---- reading and writing ---- */

static int
check_tensor(const struct param *p, const struct st_tensor *t, struct err *e)
{
	bool fits = t->rank == p->rank && t->shape[0] == p->rows && (p->rank == 1 || t->shape[1] == p->columns);
	if (!fits || !st_is_float(t->dtype))
		return err_set(e, ERR_CONFIG, "tensor '%s' does not fit this model, which wants %d x %d", t->name, p->rows,
			p->columns);
	return 0;
}

static void
load_tensor(struct param *p, const struct st_tensor *t)
{
	st_to_f32(t, 0, param_size(p), p->value);
}

static struct linear *
find_linear(const struct model *m, const char *name)
{
	for (size_t i = 0; model_linear(m, i); i++)
		if (strcmp(model_linear(m, i)->name, name) == 0)
			return model_linear(m, i);
	return NULL;
}

/* Every module of the file is chosen and fits, and every chosen one is in the file. */
static int
check_modules(const struct model *m, const struct adapter *a, struct err *e)
{
	size_t adapted = 0;
	for (size_t i = 0; i < a->n_modules; i++) {
		const struct linear *l = find_linear(m, a->module[i].name);
		if (!l || !l->lora)
			return err_set(e, ERR_CONFIG, "the adapter has '%s', which %s", a->module[i].name,
				l ? "its target_modules does not choose" : "this model does not have");
		if (check_tensor(&l->lora->A, a->module[i].A, e) < 0 || check_tensor(&l->lora->B, a->module[i].B, e) < 0)
			return -1;
	}
	for (size_t i = 0; model_linear(m, i); i++)
		adapted += model_linear(m, i)->lora != NULL;
	if (adapted != a->n_modules)
		return err_set(e, ERR_CONFIG, "the adapter has tensors for %zu layers, its target_modules chooses %zu of this model",
			a->n_modules, adapted);
	return 0;
}

static struct param *
find_param(const struct model *m, const char *name)
{
	for (size_t i = 0; i < m->n_params; i++)
		if (strcmp(m->param[i].name, name) == 0)
			return &m->param[i];
	return NULL;
}

static int
check_saved_tensors(const struct model *m, const struct adapter *a, struct err *e)
{
	for (size_t i = 0; i < a->n_saved; i++) {
		const struct param *p = find_param(m, a->saved[i].name);
		if (!p || !is_saved(&a->config, p))
			return err_set(e, ERR_CONFIG, "the adapter has '%s', which its modules_to_save does not name or this model lacks",
				a->saved[i].name);
		if (check_tensor(p, a->saved[i].tensor, e) < 0)
			return -1;
	}
	return 0;
}

static void
load_values(struct model *m, const struct adapter *a)
{
	for (size_t i = 0; i < a->n_modules; i++) {
		struct lora *l = find_linear(m, a->module[i].name)->lora;
		load_tensor(&l->A, a->module[i].A);
		load_tensor(&l->B, a->module[i].B);
	}
	for (size_t i = 0; i < a->n_saved; i++)
		load_tensor(find_param(m, a->saved[i].name), a->saved[i].tensor);
}

/* What the configuration chooses is held against the file before memory is taken for it. */
static int
attach_file(struct model *m, const struct adapter *a, bool train, struct err *e)
{
	if (check_config(m, &a->config, e) < 0 || choose(m, &a->config, e) < 0 || check_modules(m, a, e) < 0 ||
		check_saved_tensors(m, a, e) < 0)
		return -1;
	take_memory(m, &a->config, train);
	load_values(m, a);
	return 0;
}

int
lora_open(struct model *m, const char *dir, bool train, struct adapter_config *c, char **unknown, struct err *e)
{
	struct adapter a;
	if (adapter_open(&a, dir, unknown, e) < 0)
		return -1;
	int rc = attach_file(m, &a, train, e);
	if (rc < 0)
		err_prefix(e, "'%s': ", dir);
	*c = a.config;
	a.config = (struct adapter_config){0};
	if (rc < 0)
		adapter_config_release(c);
	adapter_close(&a);
	return rc;
}

/* An adapter's own name, or that of a module saved whole. */
char *
lora_key(const struct model *m, const struct param *p)
{
	if (p < m->param || p >= m->param + m->n_params)
		return xstrdup(p->name);
	char *module = xstrndup(p->name, module_length(p)), *key = adapter_key(module, p->name + module_length(p) + 1);
	free(module);
	return key;
}

/* The base that the adapter belongs to, for hone-merge to check. */
static json_t *
base_metadata(const struct model *m)
{
	char hex[HASH_HEX];
	json_t *o = json_object();
	if (m->weights) {
		weights_fingerprint(m->weights, hex);
		json_object_set_new(o, ADAPTER_BASE_KEY, json_string(hex));
	}
	return o;
}

static bool
has_string(const json_t *list, const char *s)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), s) == 0)
			return true;
	return false;
}

json_t *
lora_all_linear(const struct model *m)
{
	json_t *names = json_array();
	for (int i = 0; m->config.L > 0 && i < m->layer[0].n_linears; i++) {
		const char *name = strrchr(m->layer[0].linear[i].name, '.') + 1;
		if (!has_string(names, name))
			json_array_append_new(names, json_string(name));
	}
	return names;
}

int
lora_save(const struct model *m, const struct adapter_config *c, const char *dir, struct err *e)
{
	struct st_tensor *decl = xcalloc(m->n_trained, sizeof *decl);
	for (size_t i = 0; i < m->n_trained; i++) {
		const struct param *p = m->trained[i];
		decl[i] = (struct st_tensor){.name = lora_key(m, p), .dtype = ST_F32, .rank = p->rank,
			.shape = {p->rows, p->columns}};
	}
	char *path = path_join(dir, "adapter_model.safetensors");
	json_t *metadata = base_metadata(m);
	struct st_writer *w = st_create_with(path, true, decl, m->n_trained, metadata, e);
	json_decref(metadata);
	for (size_t i = 0; w && i < m->n_trained; i++)
		st_write(w, m->trained[i]->value, param_size(m->trained[i]) * sizeof(float));
	int rc = w ? st_finish(w, e) : -1;
	for (size_t i = 0; i < m->n_trained; i++)
		free((char *)decl[i].name);
	free(decl);
	free(path);
	return rc < 0 ? rc : adapter_config_write(c, dir, e);
}

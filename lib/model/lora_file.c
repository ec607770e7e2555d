/* Adapters in and out of PEFT directories. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/lora_int.h"

/* ---- reading ---- */

static int
check_tensor(const struct param *p, const struct st_tensor *t, struct err *e)
{
	bool fits = t->rank == p->rank && t->shape[0] == p->rows && (p->rank == 1 || t->shape[1] == p->columns);
	if (!fits || !st_is_float(t->dtype))
		return err_set(e, ERR_CONFIG, "tensor '%s' does not fit this model, which wants %d x %d", t->name, p->rows,
			p->columns);
	return 0;
}

static int
check_module(const struct model *m, const struct adapter_module *a, struct err *e)
{
	const struct linear *l = lora_find_module(m, a->name, strlen(a->name));
	if (!l || !l->lora)
		return err_set(e, ERR_CONFIG, "the adapter has '%s', which %s", a->name,
			l ? "its target_modules does not choose" : "this model does not have");
	if (a->embedding != model_is_table(m, l))
		return err_set(e, ERR_CONFIG, "tensor '%s' is not what an adapter of '%s' has", a->A->name, a->name);
	if (check_tensor(&l->lora->A, a->A, e) < 0 || check_tensor(&l->lora->B, a->B, e) < 0)
		return -1;
	return a->magnitude ? check_tensor(&l->lora->magnitude, a->magnitude, e) : 0;
}

/* Every module of the file is chosen and fits, and every chosen one is in the file. */
static int
check_modules(const struct model *m, const struct adapter *a, struct err *e)
{
	size_t adapted = 0;
	const struct linear *l;
	for (size_t i = 0; i < a->n_modules; i++)
		if (check_module(m, &a->module[i], e) < 0)
			return -1;
	for (size_t i = 0; (l = model_module(m, i)); i++)
		adapted += l->lora != NULL;
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

/* Whether a tensor has the values of a parameter, rounded to its type. Of a quantised one it cannot be told. */
static bool
same_values(const struct param *p, const struct st_tensor *t)
{
	enum { CHUNK = 1024 };
	float ours[CHUNK], theirs[CHUNK];
	uint8_t rounded[CHUNK * sizeof(float)];
	size_t size = st_dtype_size(t->dtype), n = param_size(p);
	if (p->matrix.form != MATRIX_F32 && p->matrix.form != MATRIX_BF16 && p->matrix.form != MATRIX_F16)
		return true;
	for (size_t i = 0; i < n; i += CHUNK) {
		size_t k = n - i < CHUNK ? n - i : CHUNK;
		param_read(p, i, k, ours);
		st_to_f32(t, i, k, theirs);
		st_from_f32(t->dtype, ours, k, rounded);
		if (size <= sizeof(float) && memcmp(rounded, (const uint8_t *)t->data + i * size, k * size) != 0)
			return false;
		for (size_t j = 0; size > sizeof(float) && j < k; j++)
			if (ours[j] != theirs[j])
				return false;
	}
	return true;
}

/* PEFT puts the matrix of an adapted embedding or head into the file, too: it must be this model's. */
static int
check_base(const struct model *m, const struct adapter_saved *s, struct err *e)
{
	const char *dot = strrchr(s->name, '.');
	const struct linear *l = dot ? lora_find_module(m, s->name, (size_t)(dot - s->name)) : NULL;
	if (!l || !l->lora || strcmp(dot, ".weight") != 0)
		return err_set(e, ERR_CONFIG, "the adapter has '%s', which its modules_to_save does not name or this model lacks",
			s->name);
	if (check_tensor(l->w, s->tensor, e) < 0)
		return -1;
	if (!same_values(l->w, s->tensor))
		return err_set(e, ERR_CONFIG, "tensor '%s' has other values than this model: the adapter is of another one",
			s->tensor->name);
	return 0;
}

static struct param *
replaced_by(const struct model *m, const struct adapter *a, const struct adapter_saved *s)
{
	struct param *p = find_param(m, s->name);
	return p && lora_replaces(m, &a->config, p) ? p : NULL;
}

static int
check_saved(const struct model *m, const struct adapter *a, struct err *e)
{
	for (size_t i = 0; i < a->n_saved; i++) {
		const struct param *p = replaced_by(m, a, &a->saved[i]);
		if (p ? check_tensor(p, a->saved[i].tensor, e) < 0 : check_base(m, &a->saved[i], e) < 0)
			return -1;
	}
	return 0;
}

static void
load_tensor(struct param *p, const struct st_tensor *t)
{
	st_to_f32(t, 0, param_size(p), p->value);
}

static void
load_values(struct model *m, const struct adapter *a)
{
	for (size_t i = 0; i < a->n_modules; i++) {
		const struct adapter_module *x = &a->module[i];
		struct lora *l = lora_find_module(m, x->name, strlen(x->name))->lora;
		load_tensor(&l->A, x->A);
		load_tensor(&l->B, x->B);
		if (x->magnitude)
			load_tensor(&l->magnitude, x->magnitude);
	}
	for (size_t i = 0; i < a->n_saved; i++) {
		struct param *p = replaced_by(m, a, &a->saved[i]);
		if (p)
			load_tensor(p, a->saved[i].tensor);
	}
	lora_refresh(m);
}

/* What the configuration chooses is held against the file before memory is taken for it. */
static int
attach_file(struct model *m, const struct adapter *a, bool train, struct err *e)
{
	if (lora_choose(m, &a->config, false, e) < 0 || check_modules(m, a, e) < 0 || check_saved(m, a, e) < 0)
		return -1;
	lora_take_memory(m, &a->config, train);
	load_values(m, a);
	return 0;
}

/* Only an adapter that notes its base makes us read all of ours. */
static int
check_noted_base(const struct model *m, const struct adapter *a, unsigned flags, struct err *e)
{
	if (flags & LORA_OTHER_BASE || !m->weights || !adapter_notes_base(a))
		return 0;
	return adapter_check_base(a, weights_fingerprint(m->weights), e);
}

int
lora_open(struct model *m, const char *dir, unsigned flags, struct adapter_config *c, struct err *e)
{
	struct adapter a;
	if (adapter_open(&a, dir, e) < 0)
		return -1;
	/* What does not fit is told first: it says more. */
	int rc = attach_file(m, &a, flags & LORA_TRAIN, e);
	if (rc == 0)
		rc = check_noted_base(m, &a, flags, e);
	if (rc < 0)
		err_prefix(e, "'%s': ", dir);
	*c = a.config;
	a.config = (struct adapter_config){0};
	if (rc < 0)
		adapter_config_release(c);
	adapter_close(&a);
	return rc;
}

/* ---- writing ---- */

/* An adapter's own name, or that of a tensor of the base; a bias beside an adapter belongs to what PEFT has wrapped. */
char *
lora_key(const struct model *m, const struct param *p)
{
	if (p < m->param || p >= m->param + m->n_params)
		return xstrdup(p->name);
	size_t n = lora_module_length(p);
	const struct linear *l = lora_find_module(m, p->name, n);
	char *module = xstrndup(p->name, n), *part = xasprintf("%s%s", l && l->lora ? "base_layer." : "", p->name + n + 1);
	char *key = adapter_key(module, part);
	free(module);
	free(part);
	return key;
}

/* The base that the adapter belongs to, for hone-merge to check. */
static json_t *
base_metadata(const struct model *m)
{
	json_t *o = json_object();
	if (m->weights)
		json_object_set_new(o, ADAPTER_BASE_KEY, json_string(weights_fingerprint(m->weights)));
	return o;
}

static bool
has_string(const json_t *list, const char *s)
{
	size_t i;
	json_t *v;
	json_array_foreach((json_t *)list, i, v)
		if (strcmp(json_string_value(v), s) == 0)
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

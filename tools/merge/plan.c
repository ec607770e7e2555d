#include <stdlib.h>
#include <string.h>

#include "base/dir_kind.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "merge.h"

enum { CONFIG_MAX = 1 << 24 };

/* ---- the base ---- */

static int
read_config(struct plan *p, struct err *e)
{
	if (dir_check(p->opt->model, DIR_MODEL, e) < 0)
		return -1;
	char *path = path_join(p->opt->model, "config.json");
	p->config = json_read_file(path, CONFIG_MAX, e);
	int rc = p->config ? 0 : -1;
	const json_t *quantized = json_object_get(p->config, "quantization_config");
	if (rc == 0 && !json_is_object(p->config))
		rc = err_set(e, ERR_DATA, "'%s': not an object", path);
	if (rc == 0 && quantized && !json_is_null(quantized))
		rc = err_set(e, ERR_CONFIG,
			"'%s': the model is quantized; merge into the model it was made from", path);
	free(path);
	return rc;
}

static void
add_job(struct plan *p, const struct st_tensor *t, size_t file)
{
	bool convert = p->opt->convert && st_is_float(t->dtype);
	p->job[p->n_jobs++] = (struct job){.name = t->name, .file = file, .from = t, .saved_by = -1,
		.last_adapter = -1, .dtype = convert ? p->opt->dtype : t->dtype};
}

/* A job for every tensor of the base, in its order. */
static void
add_base(struct plan *p)
{
	size_t n = weights_count(p->base);
	p->job = xcalloc(n, sizeof *p->job);
	for (size_t i = 0; i < weights_files(p->base); i++) {
		const struct st_file *f = weights_file(p->base, i, NULL);
		for (size_t k = 0; k < st_count(f) && p->n_jobs < n; k++)
			if (st_at(f, k) == weights_at(p->base, p->n_jobs))
				add_job(p, st_at(f, k), i);
	}
}

static int
order_jobs(const void *va, const void *vb)
{
	const struct job *const *a = va, *const *b = vb;
	return strcmp((*a)->name, (*b)->name);
}

static void
index_jobs(struct plan *p)
{
	p->by_name = xcalloc(p->n_jobs, sizeof *p->by_name);
	for (size_t i = 0; i < p->n_jobs; i++)
		p->by_name[i] = &p->job[i];
	qsort(p->by_name, p->n_jobs, sizeof *p->by_name, order_jobs);
}

struct job *
plan_find(const struct plan *p, const char *name)
{
	struct job key = {.name = name}, *pkey = &key;
	struct job **at = bsearch(&pkey, p->by_name, p->n_jobs, sizeof *p->by_name, order_jobs);
	return at ? *at : NULL;
}

size_t
job_bytes(const struct job *j)
{
	return (size_t)st_elements(j->from) * st_dtype_size(j->dtype);
}

/* ---- adapters ---- */

/* The base's tensor of a name that an adapter uses: as it is, or with the model's prefix gone or added, for
 * checkpoints are stored both ways. The head of GPT-NeoX is embed_out in files, and since transformers 5 the module
 * lm_head. */
static struct job *
find_base(const struct plan *p, const char *name)
{
	static const char *const prefixes[] = {"model.", "transformer.", "gpt_neox."};
	struct job *j = plan_find(p, name);
	if (!j && strcmp(name, "lm_head.weight") == 0)
		j = plan_find(p, "embed_out.weight");
	for (size_t i = 0; !j && i < sizeof prefixes / sizeof *prefixes; i++) {
		size_t k = strlen(prefixes[i]);
		if (strncmp(name, prefixes[i], k) == 0) {
			j = plan_find(p, name + k);
		} else {
			char *longer = xasprintf("%s%s", prefixes[i], name);
			j = plan_find(p, longer);
			free(longer);
		}
	}
	return j;
}

static int
misfit(const struct st_tensor *t, int64_t rows, int64_t cols, const struct job *j, struct err *e)
{
	struct buf have = {0};
	st_shape_text(j->from, &have);
	err_set(e, ERR_DATA,
		"key '%s' makes a [%lld, %lld] of '%s', which is %s in the base: the adapter is of another "
		"model",
		t->name, (long long)rows, (long long)cols, j->name, have.data);
	buf_release(&have);
	return -1;
}

/* Whether a module's matrix is stored as [in, out]. PEFT notes it for the adapter as a whole, as of the last module it
 * came to: false where a head was adapted, too, which is a linear in every family. GPT-2 is known by its name. */
static bool
is_transposed(const struct plan *p, int a, const struct adapter_module *m)
{
	const char *type = json_string_value(json_object_get(p->config, "model_type"));
	bool conv1d = p->adapter[a].config.fan_in_fan_out || (type && strcmp(type, "gpt2") == 0);
	return m->embedding || (conv1d && !is_head(m->name));
}

static int
add_delta(struct plan *p, int a, const struct adapter_module *m, struct err *e)
{
	char *name = xasprintf("%s.weight", m->name);
	struct job *j = find_base(p, name);
	free(name);
	if (!j)
		return err_set(e, ERR_DATA, "key '%s': the base has no '%s.weight'", m->A->name, m->name);
	bool transposed = is_transposed(p, a, m);
	int64_t rows = transposed ? m->A->shape[1] : m->B->shape[0];
	int64_t cols = transposed ? m->B->shape[0] : m->A->shape[1];
	if (j->from->rank != 2 || j->from->shape[0] != rows || j->from->shape[1] != cols)
		return misfit(m->A, rows, cols, j, e);
	if (!st_is_float(j->dtype) || j->dtype == ST_F64)
		return err_set(e, ERR_CONFIG, "tensor '%s' is %s; %s", j->name, st_dtype_name(j->dtype),
			st_is_float(j->dtype) ? "give --dtype float32" : "a floating tensor is wanted");
	if (j->saved_by >= 0 && j->saved_by != a)
		return err_set(e, ERR_CONFIG, "tensor '%s' is replaced by another adapter", j->name);
	if (j->n_deltas && (m->magnitude || j->delta[0].module->magnitude))
		return err_set(
			e, ERR_CONFIG, "tensor '%s': DoRA cannot be added to another adapter", j->name);
	if (m->magnitude && p->opt->weight[a] != 1)
		return err_set(e, ERR_CONFIG, "tensor '%s': DoRA cannot be weighted", j->name);
	GROW(j->delta, j->cap_deltas, j->n_deltas + 1);
	j->delta[j->n_deltas++] = (struct delta){m, p->opt->weight[a], transposed};
	j->last_adapter = a;
	return 0;
}

static int
replace(struct plan *p, int a, const struct adapter_saved *s, struct err *e)
{
	struct job *j = find_base(p, s->name);
	if (!j)
		return err_set(e, ERR_DATA, "key '%s': the base has no '%s'", s->tensor->name, s->name);
	bool same = j->from->rank == s->tensor->rank;
	for (int i = 0; same && i < j->from->rank; i++)
		same = j->from->shape[i] == s->tensor->shape[i];
	if (!same) {
		struct buf want = {0}, have = {0};
		st_shape_text(s->tensor, &have);
		st_shape_text(j->from, &want);
		err_set(e, ERR_DATA,
			"key '%s' is %s, '%s' is %s in the base: another model, or the vocabulary was "
			"resized",
			s->tensor->name, have.data, j->name, want.data);
		buf_release(&want);
		buf_release(&have);
		return -1;
	}
	if (j->saved_by >= 0 || j->last_adapter >= 0)
		return err_set(e, ERR_CONFIG,
			"tensor '%s' is changed by another adapter, and cannot be replaced as well", j->name);
	if (p->opt->weight[a] != 1)
		return err_set(e, ERR_CONFIG,
			"tensor '%s' is replaced by the adapter, and cannot be weighted", j->name);
	j->from = s->tensor;
	j->saved_by = a;
	return 0;
}

static int
apply_adapter(struct plan *p, int a, struct err *e)
{
	const struct adapter *x = &p->adapter[a];
	int rc = 0;
	for (size_t i = 0; i < x->n_saved && rc == 0; i++)
		rc = replace(p, a, &x->saved[i], e);
	for (size_t i = 0; i < x->n_modules && rc == 0; i++)
		rc = add_delta(p, a, &x->module[i], e);
	if (rc == 0 && !p->opt->other_base && adapter_notes_base(x))
		rc = adapter_check_base(x, weights_fingerprint(p->base), e);
	return rc < 0 ? err_prefix(e, "'%s': ", st_path(x->file)) : 0;
}

static int
open_adapters(struct plan *p, struct err *e)
{
	p->adapter = xcalloc(p->opt->n_adapters, sizeof *p->adapter);
	for (size_t a = 0; a < p->opt->n_adapters; a++) {
		if (adapter_open(&p->adapter[a], p->opt->adapter[a], e) < 0)
			return -1;
		log_unknown_keys(p->opt->adapter[a], p->adapter[a].config.unknown);
	}
	return 0;
}

/* ---- the whole ---- */

/* Sets the dtype in the spellings that are there, or in the one that every reader knows. */
static void
set_dtype(struct plan *p)
{
	const char *name = p->opt->dtype == ST_F32 ? "float32"
		: p->opt->dtype == ST_F16          ? "float16"
						   : "bfloat16";
	bool newer = json_object_get(p->config, "dtype") != NULL;
	if (newer)
		json_object_set_new(p->config, "dtype", json_string(name));
	if (!newer || json_object_get(p->config, "torch_dtype"))
		json_object_set_new(p->config, "torch_dtype", json_string(name));
	p->config_changed = true;
}

int
plan_make(struct plan *p, const struct merge_options *opt, struct err *e)
{
	*p = (struct plan){.opt = opt};
	p->base = weights_open(opt->model, e);
	if (!p->base || read_config(p, e) < 0 || open_adapters(p, e) < 0)
		return -1;
	add_base(p);
	if (plan_untie(p, e) < 0)
		return -1;
	index_jobs(p);
	for (size_t a = 0; a < opt->n_adapters; a++)
		if (apply_adapter(p, (int)a, e) < 0)
			return -1;
	if (opt->convert)
		set_dtype(p);
	return 0;
}

void
plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n_jobs; i++)
		free(p->job[i].delta);
	for (size_t a = 0; p->adapter && a < p->opt->n_adapters; a++)
		adapter_close(&p->adapter[a]);
	free(p->adapter);
	free(p->job);
	free(p->by_name);
	free(p->untied_name);
	weights_close(p->base);
	json_decref(p->config);
	*p = (struct plan){0};
}

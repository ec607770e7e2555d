/* adapter_model.safetensors: every key is taken apart and put in its place. */
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/mem.h"
#include "fmt/adapter.h"

static const char prefix[] = "base_model.model.";

enum part { PART_A, PART_B, PART_EMBED_A, PART_EMBED_B, PART_MAGNITUDE, PART_SAVED };

static const struct {
	const char *end;
	enum part part;
} ends[] = {
	{".lora_A.weight", PART_A},
	{".lora_B.weight", PART_B},
	{".lora_embedding_A", PART_EMBED_A},
	{".lora_embedding_B", PART_EMBED_B},
	{".lora_magnitude_vector", PART_MAGNITUDE},
	{".lora_magnitude_vector.weight", PART_MAGNITUDE},
};

/* One key, taken apart. */
struct entry {
	char *name;  /* of the module, or of the tensor that is replaced; owned until given away */
	enum part part;
	const struct st_tensor *tensor;
};

char *
adapter_key(const char *module, const char *part)
{
	return xasprintf("%s%s.%s", prefix, module, part);
}

/* Cuts `piece` out of s where it first occurs. */
static void
cut_out(char *s, const char *piece)
{
	char *at = strstr(s, piece);
	if (at)
		memmove(at, at + strlen(piece), strlen(at + strlen(piece)) + 1);
}

static int
take_apart(struct entry *x, const struct st_tensor *t, struct err *e)
{
	const char *key = t->name;
	if (strncmp(key, prefix, sizeof prefix - 1) != 0)
		return err_set(e, ERR_DATA, "key '%s' does not begin with '%s'", key, prefix);
	if (!st_is_float(t->dtype))
		return err_set(e, ERR_DATA, "key '%s' is %s, not floating", key, st_dtype_name(t->dtype));
	key += sizeof prefix - 1;
	size_t n = strlen(key);
	*x = (struct entry){.tensor = t};
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t k = strlen(ends[i].end);
		if (n > k && strcmp(key + n - k, ends[i].end) == 0) {
			x->part = ends[i].part;
			x->name = xstrndup(key, n - k);
			return 0;
		}
	}
	if (strstr(key, ".lora_"))
		return err_set(e, ERR_DATA, "key '%s' is of a kind that is not supported", t->name);
	/* An adapted embedding may come with its base, a saved module with its wrapper's name. */
	x->part = PART_SAVED;
	x->name = xstrdup(key);
	cut_out(x->name, ".base_layer");
	cut_out(x->name, ".modules_to_save");
	return 0;
}

static int
order_entries(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;
	int by_name = strcmp(a->name, b->name);
	return by_name ? by_name : (int)a->part - (int)b->part;
}

static bool
is_matrix(const struct st_tensor *t, int axis, int r)
{
	return t->rank == 2 && t->shape[axis] == r;
}

/* Both halves are there, and are of the configuration's rank. */
static int
check_module(const struct adapter_config *c, struct adapter_module *m, struct err *e)
{
	const struct st_tensor *some = m->A ? m->A : m->B ? m->B : m->magnitude;
	if (!m->A || !m->B)
		return err_set(e, ERR_DATA, "key '%s' has no counterpart: lora_%s of '%s' is missing",
			some->name, m->A ? "B" : "A", m->name);
	if (adapter_rank(c, m->name, &m->r, &m->scale, e) < 0)
		return -1;
	if (!is_matrix(m->A, 0, m->r) || !is_matrix(m->B, 1, m->r)) {
		struct buf a = {0}, b = {0};
		st_shape_text(m->A, &a);
		st_shape_text(m->B, &b);
		err_set(e, ERR_DATA, "'%s': lora_A %s and lora_B %s are not of the configuration's rank %d",
			m->name, a.data, b.data, m->r);
		buf_release(&a);
		buf_release(&b);
		return -1;
	}
	if (c->use_dora && !m->magnitude)
		return err_set(e, ERR_DATA, "'%s': 'use_dora' is set, and there is no lora_magnitude_vector",
			m->name);
	if (!c->use_dora && m->magnitude)
		return err_set(
			e, ERR_DATA, "key '%s' is there, and 'use_dora' is not set", m->magnitude->name);
	int64_t out = m->B->shape[0];
	if (m->magnitude && (m->magnitude->rank != 1 || m->magnitude->shape[0] != out))
		return err_set(
			e, ERR_DATA, "key '%s' is not a vector of %lld", m->magnitude->name, (long long)out);
	return 0;
}

static int
put_part(struct adapter_module *m, const struct entry *x, struct err *e)
{
	bool embedding = x->part == PART_EMBED_A || x->part == PART_EMBED_B;
	const struct st_tensor **place = x->part == PART_MAGNITUDE ? &m->magnitude
		: x->part == PART_A || x->part == PART_EMBED_A     ? &m->A
								   : &m->B;
	bool mixed = x->part != PART_MAGNITUDE && (m->A || m->B) && m->embedding != embedding;
	if (*place || mixed)
		return err_set(e, ERR_DATA, "key '%s' and another are for the same place", x->tensor->name);
	*place = x->tensor;
	m->embedding |= embedding;
	return 0;
}

/* Hands the sorted entries out to modules and saved tensors; their names go with them. */
static int
place_entries(struct adapter *a, struct entry *x, size_t n, struct err *e)
{
	struct adapter_module *m = NULL;
	a->module = xcalloc(n, sizeof *a->module);
	a->saved = xcalloc(n, sizeof *a->saved);
	for (size_t i = 0; i < n; i++) {
		if (x[i].part == PART_SAVED) {
			a->saved[a->n_saved++] = (struct adapter_saved){x[i].name, x[i].tensor};
			x[i].name = NULL;
			if (a->n_saved > 1 &&
				strcmp(a->saved[a->n_saved - 1].name, a->saved[a->n_saved - 2].name) == 0)
				return err_set(e, ERR_DATA, "key '%s' and another are for the same place",
					x[i].tensor->name);
			continue;
		}
		if (!m || strcmp(m->name, x[i].name) != 0) {
			m = &a->module[a->n_modules++];
			m->name = x[i].name;
			x[i].name = NULL;
		}
		if (put_part(m, &x[i], e) < 0)
			return -1;
	}
	return 0;
}

/* Whether a saved tensor belongs to the module that modules_to_save calls `name`, or to one within it. Like PEFT we
 * take any module whose name ends with it: "norm" is also "input_layernorm". */
static bool
is_of_module(const char *tensor, const char *name)
{
	size_t k = strlen(name);
	for (const char *at = tensor; (at = strstr(at, name)); at++)
		if (at[k] == '.')
			return true;
	return false;
}

static int
check_saved(const struct adapter *a, struct err *e)
{
	size_t i;
	json_t *v;
	json_array_foreach((json_t *)a->config.modules_to_save, i, v) {
		bool found = false;
		for (size_t k = 0; k < a->n_saved && !found; k++)
			found = is_of_module(a->saved[k].name, json_string_value(v));
		if (!found)
			return err_set(e, ERR_DATA,
				"'modules_to_save' names '%s', of which there is no tensor",
				json_string_value(v));
	}
	return 0;
}

static int
read_tensors(struct adapter *a, struct err *e)
{
	size_t n = st_count(a->file), have = 0;
	struct entry *x = xcalloc(n, sizeof *x);
	int rc = n ? 0 : err_set(e, ERR_DATA, "holds no tensors");
	while (rc == 0 && have < n) {
		rc = take_apart(&x[have], st_at(a->file, have), e);
		have += rc == 0;
	}
	if (rc == 0) {
		qsort(x, n, sizeof *x, order_entries);
		rc = place_entries(a, x, n, e);
	}
	for (size_t i = 0; i < have; i++)
		free(x[i].name);
	free(x);
	for (size_t i = 0; rc == 0 && i < a->n_modules; i++)
		rc = check_module(&a->config, &a->module[i], e);
	return rc == 0 ? check_saved(a, e) : rc;
}

static struct st_file *
open_file(const char *dir, struct err *e)
{
	char *path = path_join(dir, "adapter_model.safetensors"), *old = path_join(dir, "adapter_model.bin");
	struct st_file *f = NULL;
	if (!path_exists(path) && path_exists(old))
		err_set(e, ERR_NOINPUT, "'%s' holds adapter_model.bin only; convert it to safetensors first",
			dir);
	else
		f = st_open(path, e);
	free(path);
	free(old);
	return f;
}

struct opening {
	struct adapter *a;
	const char *dir;
};

static int
open_files(void *ctx, struct err *e)
{
	struct adapter *a = ((struct opening *)ctx)->a;
	const char *dir = ((struct opening *)ctx)->dir;
	*a = (struct adapter){0};
	if (adapter_config_read(&a->config, dir, e) < 0)
		return -1;
	a->file = open_file(dir, e);
	if (a->file && read_tensors(a, e) == 0)
		return 0;
	if (a->file)
		err_prefix(e, "'%s': ", st_path(a->file));
	adapter_close(a);
	return -1;
}

static void
close_files(void *ctx)
{
	adapter_close(((struct opening *)ctx)->a);
}

int
adapter_open(struct adapter *a, const char *dir, struct err *e)
{
	return dir_read(dir, open_files, close_files, &(struct opening){a, dir}, e);
}

void
adapter_close(struct adapter *a)
{
	for (size_t i = 0; i < a->n_modules; i++)
		free((char *)a->module[i].name);
	for (size_t i = 0; i < a->n_saved; i++)
		free((char *)a->saved[i].name);
	free(a->module);
	free(a->saved);
	st_close(a->file);
	adapter_config_release(&a->config);
	*a = (struct adapter){0};
}

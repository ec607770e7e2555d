#include "fmt/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/dir_kind.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "fmt/weights_hash.h"

enum { INDEX_MAX = 1 << 26 };

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

struct weights {
	char *dir;
	struct st_file **file;  /* [n_files] in order of name */
	char **file_name;
	size_t n_files;
	const struct st_tensor **tensor;   /* [n] in order of file, then of the data */
	const struct st_tensor **by_name;  /* [n] sorted */
	size_t n;
	char *fingerprint;      /* [HASH_HEX]; empty until it is asked for */
};

static int
order_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
order_by_name(const void *va, const void *vb)
{
	const struct st_tensor *const *a = va, *const *b = vb;
	return strcmp((*a)->name, (*b)->name);
}

/* A name that stays within the directory. */
static bool
is_base_name(const json_t *v)
{
	const char *s = json_text(v);
	return s && *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

/* The distinct values of the weight map, sorted, as w's file names. */
static int
collect_files(struct weights *w, const json_t *map, struct err *e)
{
	size_t n = 0;
	const char *tensor;
	json_t *v;
	w->file_name = xcalloc(json_object_size(map), sizeof *w->file_name);
	json_object_foreach((json_t *)map, tensor, v) {
		if (!is_base_name(v))
			return err_set(e, ERR_DATA, "tensor '%s' is not mapped to a plain file name", tensor);
		w->file_name[n++] = (char *)json_string_value(v);
	}
	qsort(w->file_name, n, sizeof *w->file_name, order_strings);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(w->file_name[i], w->file_name[w->n_files - 1]) != 0)
			w->file_name[w->n_files++] = w->file_name[i];
	for (size_t i = 0; i < w->n_files; i++)
		w->file_name[i] = xstrdup(w->file_name[i]);
	return 0;
}

static int
open_files(struct weights *w, struct err *e)
{
	w->file = xcalloc(w->n_files, sizeof *w->file);
	for (size_t i = 0; i < w->n_files; i++) {
		char *path = path_join(w->dir, w->file_name[i]);
		w->file[i] = st_open(path, e);
		free(path);
		if (!w->file[i])
			return -1;
	}
	return 0;
}

static const struct st_file *
file_by_name(const struct weights *w, const char *name)
{
	char **at = bsearch(&name, w->file_name, w->n_files, sizeof *w->file_name, order_strings);
	return w->file[at - w->file_name];
}

/* Takes the tensors of every file; with a map, those that it maps to that file: others are leftovers that
 * the ecosystem's loaders do not see either. */
static void
take_tensors(struct weights *w, const json_t *map)
{
	size_t cap = 0;
	for (size_t i = 0; i < w->n_files; i++)
		for (size_t k = 0; k < st_count(w->file[i]); k++) {
			const struct st_tensor *t = st_at(w->file[i], k);
			const char *home = json_string_value(json_object_get(map, t->name));
			if (map && (!home || strcmp(home, w->file_name[i]) != 0))
				continue;
			GROW(w->tensor, cap, w->n + 1);
			w->tensor[w->n++] = t;
		}
	w->by_name = xcalloc(w->n, sizeof *w->by_name);
	if (w->n)
		memcpy(w->by_name, w->tensor, w->n * sizeof *w->by_name);
	qsort(w->by_name, w->n, sizeof *w->by_name, order_by_name);
}

static int
check_mapped(const struct weights *w, const json_t *map, struct err *e)
{
	const char *tensor;
	json_t *file;
	json_object_foreach((json_t *)map, tensor, file) {
		const char *name = json_string_value(file);
		if (!st_find(file_by_name(w, name), tensor))
			return err_set(e, ERR_DATA, "tensor '%s' is not in '%s'", tensor, name);
	}
	return 0;
}

static int
open_sharded(struct weights *w, const char *index, struct err *e)
{
	json_t *root = json_read_file(index, INDEX_MAX, e);
	if (!root)
		return -1;
	const json_t *map = json_object_get(root, "weight_map");
	int rc = 0;
	if (json_object_size(map) == 0)
		rc = err_set(e, ERR_DATA, "'weight_map' is missing or empty");
	if (rc == 0)
		rc = collect_files(w, map, e);
	if (rc < 0)
		err_prefix(e, "'%s': ", index);
	if (rc == 0)
		rc = open_files(w, e);
	if (rc == 0 && (rc = check_mapped(w, map, e)) < 0)
		err_prefix(e, "'%s': ", index);
	if (rc == 0)
		take_tensors(w, map);
	json_decref(root);
	return rc;
}

static int
open_single(struct weights *w, struct err *e)
{
	w->file_name = xcalloc(1, sizeof *w->file_name);
	w->file_name[0] = xstrdup(single_name);
	w->n_files = 1;
	if (open_files(w, e) < 0)
		return -1;
	take_tensors(w, NULL);
	return 0;
}

/* Why there are no weights, in the words that help most. */
static int
no_weights(const char *dir, struct err *e)
{
	if (dir_has(dir, "pytorch_model.bin") || dir_has(dir, "pytorch_model.bin.index.json"))
		return err_set(e, ERR_NOINPUT,
			"'%s' holds pytorch_model.bin only; convert it to safetensors first", dir);
	if (dir_check(dir, DIR_MODEL, e) < 0)
		return -1;
	return err_set(e, ERR_NOINPUT, "'%s' holds neither %s nor %s", dir, single_name, index_name);
}

struct weights *
weights_open(const char *model_dir, struct err *e)
{
	struct weights *w = xcalloc(1, sizeof *w);
	w->dir = xstrdup(model_dir);
	w->fingerprint = xcalloc(HASH_HEX, 1);
	int rc;
	if (dir_has(model_dir, single_name)) {
		rc = open_single(w, e);
	} else if (dir_has(model_dir, index_name)) {
		char *index = path_join(model_dir, index_name);
		rc = open_sharded(w, index, e);
		free(index);
	} else {
		rc = no_weights(model_dir, e);
	}
	if (rc == 0)
		return w;
	weights_close(w);
	return NULL;
}

void
weights_close(struct weights *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_files; i++) {
		st_close(w->file ? w->file[i] : NULL);
		free(w->file_name[i]);
	}
	free(w->file);
	free(w->file_name);
	free(w->tensor);
	free(w->by_name);
	free(w->fingerprint);
	free(w->dir);
	free(w);
}

size_t
weights_count(const struct weights *w)
{
	return w->n;
}

const struct st_tensor *
weights_at(const struct weights *w, size_t i)
{
	return w->tensor[i];
}

static const struct st_tensor *
find_stored(const struct weights *w, const char *name)
{
	struct st_tensor key = {.name = name};
	const struct st_tensor *pkey = &key;
	const struct st_tensor **at = bsearch(&pkey, w->by_name, w->n, sizeof *w->by_name, order_by_name);
	return at ? *at : NULL;
}

const struct st_tensor *
weights_find(const struct weights *w, const char *name)
{
	const struct st_tensor *t = find_stored(w, name);
	for (size_t i = 0; !t && i < w->n_files; i++) {
		const char *alias = st_metadata(w->file[i], name);
		if (alias)
			t = find_stored(w, alias);
	}
	return t;
}

size_t
weights_files(const struct weights *w)
{
	return w->n_files;
}

const struct st_file *
weights_file(const struct weights *w, size_t i, const char **base_name)
{
	if (base_name)
		*base_name = w->file_name[i];
	return w->file[i];
}

const char *
weights_fingerprint(const struct weights *w)
{
	if (!*w->fingerprint)
		weights_hash(w, w->fingerprint);
	return w->fingerprint;
}

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/model.h"

enum { SAVE_BLOCK = 1 << 16 };  /* elements converted at a time */

static void
write_param(struct st_writer *w, const struct param *p, enum st_dtype dtype)
{
	static const size_t most = 4;
	uint8_t *bytes = xmalloc(SAVE_BLOCK * most);
	float *values = xreallocarray(NULL, SAVE_BLOCK, sizeof *values);
	for (size_t at = 0, n = param_size(p); at < n; at += SAVE_BLOCK) {
		size_t k = n - at < SAVE_BLOCK ? n - at : SAVE_BLOCK;
		param_read(p, at, k, values);
		st_from_f32(dtype, values, k, bytes);
		st_write(w, bytes, k * st_dtype_size(dtype));
	}
	free(values);
	free(bytes);
}

static enum st_dtype
saved_dtype(const struct param *p, bool as_stored, enum st_dtype dtype)
{
	if (!as_stored)
		return dtype;
	return p->stored == ST_F64 ? ST_F32 : p->stored;
}

/* By which name a parameter is written: that of the checkpoint it came from, or what transformers gives it. */
static const char *
written_name(const struct model *m, const struct param *p)
{
	const struct st_tensor *read = m->weights ? model_find_tensor(m, p) : NULL;
	const char *head = m->config.family->names->stored_head;
	if (read)
		return read->name;
	return head && p == m->head.w && !m->config.tied ? head : p->name;
}

int
model_save_weights(const struct model *m, const char *dir, bool as_stored, enum st_dtype dtype, struct err *e)
{
	struct st_tensor *decl = xcalloc(m->n_params, sizeof *decl);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->param[i];
		decl[i] = (struct st_tensor){.name = written_name(m, p), .dtype = saved_dtype(p, as_stored, dtype), .rank = p->rank,
			.shape = {p->rows, p->columns}};
	}
	char *path = path_join(dir, "model.safetensors");
	struct st_writer *w = st_create(path, true, decl, m->n_params, e);
	if (w)
		st_watch(w, &m->watch);
	for (size_t i = 0; w && i < m->n_params; i++)
		write_param(w, &m->param[i], decl[i].dtype);
	int rc = w ? st_finish(w, e) : -1;
	free(path);
	free(decl);
	return rc;
}

static int
copy_files(const char *from, const char *to, const char *const *names, size_t n, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		char *a = path_join(from, names[i]), *b = path_join(to, names[i]);
		if (path_exists(a))
			rc = file_copy(a, b, true, e);
		free(a);
		free(b);
	}
	return rc;
}

int
model_copy_tokenizer(const char *from, const char *to, struct err *e)
{
	static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
		"added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"};
	return copy_files(from, to, names, sizeof names / sizeof *names, e);
}

/* config.json with another dtype, under whichever of its two names the file has. */
static int
write_config(const char *from, const char *to, const char *dtype, struct err *e)
{
	char *a = path_join(from, "config.json"), *b = path_join(to, "config.json");
	json_t *config = json_read_file(a, 1 << 20, e);
	int rc = config ? 0 : -1;
	if (rc == 0) {
		const char *key = json_object_get(config, "torch_dtype") ? "torch_dtype" : "dtype";
		const char *old = json_string_value(json_object_get(config, key));
		if (old && strcmp(old, dtype) == 0) {
			rc = file_copy(a, b, true, e);
		} else {
			json_object_set_new(config, key, json_string(dtype));
			rc = json_write_file(b, true, config, JSON_INDENT(2), "\n", e);
		}
	}
	json_decref(config);
	free(a);
	free(b);
	return rc;
}

int
model_copy_config(const char *from, const char *to, const char *dtype, struct err *e)
{
	static const char *const names[] = {"config.json", "generation_config.json"};
	int rc = dtype ? write_config(from, to, dtype, e) : copy_files(from, to, names, 1, e);
	if (rc == 0)
		rc = copy_files(from, to, names + 1, 1, e);
	return rc < 0 ? rc : model_copy_tokenizer(from, to, e);
}

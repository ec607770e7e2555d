/* The writer of safetensors files: the header is laid out from the declarations, the data are streamed. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "fmt/safetensors.h"

struct st_writer {
	struct out out;
	char *path;
	uint64_t declared, written;
	struct watch watch;
};

static json_t *
describe(const struct st_tensor *t, uint64_t begin, uint64_t end)
{
	json_t *shape = json_array();
	for (int i = 0; i < t->rank; i++)
		json_array_append_new(shape, json_integer(t->shape[i]));
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", st_dtype_name(t->dtype), "shape", shape,
		"data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* {"format":"pt"} and what `metadata` adds, except names that are tensors of this file: an alias
 * "absent name: present name" is wrong once both are there. */
static json_t *
build_metadata(const json_t *metadata, const json_t *tensors)
{
	json_t *m = json_pack("{s:s}", "format", "pt");
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)metadata, key, value)
		if (!json_object_get(tensors, key))
			json_object_set(m, key, value);
	return m;
}

/* The header as an object, and in *total the bytes of all data. NULL when a name is not UTF-8 or there twice. */
static json_t *
build_header(const struct st_tensor *decl, size_t n, const json_t *metadata, uint64_t *total, struct err *e)
{
	json_t *tensors = json_object(), *header = json_object();
	*total = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t begin = *total;
		*total += (uint64_t)st_elements(&decl[i]) * st_dtype_size(decl[i].dtype);
		bool twice = json_object_get(tensors, decl[i].name) != NULL;
		if (twice ||
			json_object_set_new(tensors, decl[i].name, describe(&decl[i], begin, *total)) < 0) {
			err_set(e, ERR_BUG, "tensor '%s': declared twice, or the name is not UTF-8",
				decl[i].name);
			json_decref(tensors);
			json_decref(header);
			return NULL;
		}
	}
	json_object_set_new(header, "__metadata__", build_metadata(metadata, tensors));
	json_object_update(header, tensors);
	json_decref(tensors);
	return header;
}

static void
write_header(struct out *o, const json_t *header)
{
	char *text = json_dumps(header, JSON_COMPACT);
	uint64_t n = strlen(text), padded = (n + 7) / 8 * 8;
	out_write(o, &padded, sizeof padded);
	out_write(o, text, n);
	out_write(o, "       ", padded - n);
	free(text);
}

struct st_writer *
st_create_with(const char *path, bool force, const struct st_tensor *decl, size_t n, const json_t *metadata,
	struct err *e)
{
	uint64_t total;
	json_t *header = build_header(decl, n, metadata, &total, e);
	if (!header)
		return NULL;
	struct out out;
	if (out_open(&out, path, force, e) < 0) {
		json_decref(header);
		return NULL;
	}
	write_header(&out, header);
	json_decref(header);
	struct st_writer *w = xmalloc(sizeof *w);
	*w = (struct st_writer){.out = out, .path = xstrdup(path), .declared = total};
	return w;
}

struct st_writer *
st_create(const char *path, bool force, const struct st_tensor *decl, size_t n, struct err *e)
{
	return st_create_with(path, force, decl, n, NULL, e);
}

void
st_watch(struct st_writer *w, const struct watch *watch)
{
	w->watch = *watch;
}

void
st_write(struct st_writer *w, const void *data, size_t bytes)
{
	out_write(&w->out, data, bytes);
	w->written += bytes;
	watch_tell(&w->watch, w->written, w->declared);
}

int
st_finish(struct st_writer *w, struct err *e)
{
	int rc;
	if (w->written != w->declared) {
		rc = err_set(e, ERR_BUG, "'%s': %llu bytes of tensors declared, %llu written", w->path,
			(unsigned long long)w->declared, (unsigned long long)w->written);
		out_abort(&w->out);
	} else {
		rc = out_commit(&w->out, e);
	}
	free(w->path);
	free(w);
	return rc;
}

void
st_abort(struct st_writer *w)
{
	if (!w)
		return;
	out_abort(&w->out);
	free(w->path);
	free(w);
}

/* The reader: a file is mapped, and its header is validated once and completely, so that every tensor handed
 * out lies within the mapping. */
#include "fmt/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

enum { PREFIX = 8, HEADER_MAX = 100000000 };

struct st_file {
	char *path;
	struct map map;
	json_t *header;                    /* names and metadata point into it */
	struct st_tensor *tensor;          /* [n] in the order of the data */
	const struct st_tensor **by_name;  /* [n] sorted */
	size_t n;
};

/* The length of the header, held against the size of the file. */
static int
header_length(const struct map *m, size_t *n, struct err *e)
{
	if (m->size < PREFIX)
		return err_set(e, ERR_DATA, "%zu bytes are too few for a safetensors file", m->size);
	uint64_t length;
	memcpy(&length, m->data, sizeof length);
	if (length > HEADER_MAX)
		return err_set(e, ERR_DATA, "a header of %llu bytes (at most %d): not a safetensors file",
			(unsigned long long)length, HEADER_MAX);
	if (length > m->size - PREFIX)
		return err_set(e, ERR_DATA, "truncated: a header of %llu bytes in a file of %zu",
			(unsigned long long)length, m->size);
	if (length == 0 || m->data[PREFIX] != '{')
		return err_set(e, ERR_DATA, "the header does not begin with '{': not a safetensors file");
	*n = (size_t)length;
	return 0;
}

static int
check_metadata(const json_t *metadata, struct err *e)
{
	if (!metadata)
		return 0;
	if (!json_is_object(metadata))
		return err_set(e, ERR_DATA, "'__metadata__' is not an object");
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)metadata, key, value)
		if (!json_is_string(value))
			return err_set(e, ERR_DATA, "'__metadata__': '%s' is not a string", key);
	return 0;
}

static int
parse_dtype(const json_t *v, enum st_dtype *d, struct err *e)
{
	const char *name = json_text(v);
	if (!name)
		return err_set(e, ERR_DATA, "'dtype' is missing or not a string");
	if (st_dtype_parse(name, d) < 0)
		return err_set(e, ERR_CONFIG, "dtype '%s' is not supported", name);
	return 0;
}

/* The shape, and in *bytes what it takes. */
static int
parse_shape(const json_t *v, struct st_tensor *t, size_t *bytes, struct err *e)
{
	if (!json_is_array(v))
		return err_set(e, ERR_DATA, "'shape' is missing or not a list");
	if (json_array_size(v) > ST_MAX_RANK)
		return err_set(e, ERR_CONFIG, "%zu dimensions, at most %d are supported", json_array_size(v),
			ST_MAX_RANK);
	t->rank = (int)json_array_size(v);
	int64_t total = (int64_t)st_dtype_size(t->dtype);
	for (int i = 0; i < t->rank; i++) {
		const json_t *d = json_array_get(v, (size_t)i);
		t->shape[i] = json_integer_value(d);
		if (!json_is_integer(d) || t->shape[i] < 0)
			return err_set(e, ERR_DATA, "'shape' holds something else than whole numbers >= 0");
		if (__builtin_mul_overflow(total, t->shape[i], &total))
			return err_set(e, ERR_DATA, "'shape' is larger than any file");
	}
	*bytes = (size_t)total;
	return 0;
}

/* Where the data lie, within the `size` bytes behind the header. */
static int
parse_offsets(const json_t *v, size_t size, size_t *begin, size_t *end, struct err *e)
{
	const json_t *b = json_array_get(v, 0), *f = json_array_get(v, 1);
	if (json_array_size(v) != 2 || !json_is_integer(b) || !json_is_integer(f))
		return err_set(e, ERR_DATA, "'data_offsets' is missing or not two whole numbers");
	json_int_t from = json_integer_value(b), to = json_integer_value(f);
	if (from < 0 || to < from)
		return err_set(
			e, ERR_DATA, "'data_offsets' are %lld and %lld", (long long)from, (long long)to);
	if ((uint64_t)to > size)
		return err_set(e, ERR_DATA, "truncated: data end at byte %lld, the file holds %zu",
			(long long)to, size);
	*begin = (size_t)from;
	*end = (size_t)to;
	return 0;
}

static int
parse_tensor(struct st_tensor *t, const json_t *entry, const uint8_t *data, size_t size, struct err *e)
{
	size_t begin = 0, end = 0, bytes = 0;
	if (!json_is_object(entry))
		return err_set(e, ERR_DATA, "not described by an object");
	if (parse_dtype(json_object_get(entry, "dtype"), &t->dtype, e) < 0 ||
		parse_shape(json_object_get(entry, "shape"), t, &bytes, e) < 0 ||
		parse_offsets(json_object_get(entry, "data_offsets"), size, &begin, &end, e) < 0)
		return -1;
	if (bytes != end - begin)
		return err_set(e, ERR_DATA, "shape and dtype make %zu bytes, 'data_offsets' %zu", bytes,
			end - begin);
	t->data = data + begin;
	t->bytes = bytes;
	return 0;
}

static int
order_by_data(const void *va, const void *vb)
{
	const struct st_tensor *a = va, *b = vb;
	if (a->data != b->data)
		return a->data < b->data ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int
order_by_name(const void *va, const void *vb)
{
	const struct st_tensor *const *a = va, *const *b = vb;
	return strcmp((*a)->name, (*b)->name);
}

/* Tensors fill the file without a hole, an overlap or a rest. */
static int
check_cover(const struct st_file *f, const uint8_t *data, const uint8_t *end, struct err *e)
{
	const uint8_t *at = data;
	for (size_t i = 0; i < f->n; i++) {
		const struct st_tensor *t = &f->tensor[i];
		if (t->data != at)
			return err_set(e, ERR_DATA, "tensor '%s' begins at byte %zu, where %zu is due",
				t->name, (size_t)(t->data - data), (size_t)(at - data));
		at += t->bytes;
	}
	if (at != end)
		return err_set(e, ERR_DATA, "%zu bytes behind the last tensor", (size_t)(end - at));
	return 0;
}

static int
parse_header(struct st_file *f, size_t length, struct err *e)
{
	const uint8_t *data = f->map.data + PREFIX + length, *end = f->map.data + f->map.size;
	f->header = json_read("header", (const char *)f->map.data + PREFIX, length, e);
	if (!f->header)
		return -1;
	if (check_metadata(json_object_get(f->header, "__metadata__"), e) < 0)
		return -1;
	f->tensor = xcalloc(json_object_size(f->header), sizeof *f->tensor);
	const char *name;
	json_t *entry;
	json_object_foreach(f->header, name, entry) {
		if (strcmp(name, "__metadata__") == 0)
			continue;
		struct st_tensor *t = &f->tensor[f->n++];
		t->name = name;
		if (parse_tensor(t, entry, data, (size_t)(end - data), e) < 0)
			return err_prefix(e, "tensor '%s': ", name);
	}
	qsort(f->tensor, f->n, sizeof *f->tensor, order_by_data);
	return check_cover(f, data, end, e);
}

static void
index_names(struct st_file *f)
{
	f->by_name = xcalloc(f->n, sizeof *f->by_name);
	for (size_t i = 0; i < f->n; i++)
		f->by_name[i] = &f->tensor[i];
	qsort(f->by_name, f->n, sizeof *f->by_name, order_by_name);
}

struct st_file *
st_open(const char *path, struct err *e)
{
	struct map map;
	if (map_open(&map, path, e) < 0)
		return NULL;
	struct st_file *f = xcalloc(1, sizeof *f);
	f->map = map;
	f->path = xstrdup(path);
	size_t length = 0;
	if (header_length(&f->map, &length, e) < 0 || parse_header(f, length, e) < 0) {
		err_prefix(e, "'%s': ", path);
		st_close(f);
		return NULL;
	}
	index_names(f);
	return f;
}

void
st_close(struct st_file *f)
{
	if (!f)
		return;
	map_close(&f->map);
	json_decref(f->header);
	free(f->by_name);
	free(f->tensor);
	free(f->path);
	free(f);
}

const char *
st_path(const struct st_file *f)
{
	return f->path;
}

size_t
st_count(const struct st_file *f)
{
	return f->n;
}

const struct st_tensor *
st_at(const struct st_file *f, size_t i)
{
	return &f->tensor[i];
}

const struct st_tensor *
st_find(const struct st_file *f, const char *name)
{
	struct st_tensor key = {.name = name};
	const struct st_tensor *pkey = &key;
	const struct st_tensor **at = bsearch(&pkey, f->by_name, f->n, sizeof *f->by_name, order_by_name);
	return at ? *at : NULL;
}

const char *
st_metadata(const struct st_file *f, const char *key)
{
	return json_string_value(json_object_get(json_object_get(f->header, "__metadata__"), key));
}

const json_t *
st_metadata_all(const struct st_file *f)
{
	return json_object_get(f->header, "__metadata__");
}

void
st_forget(const struct st_tensor *t)
{
	map_forget(t->data, t->bytes);
}

int64_t
st_elements(const struct st_tensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++)
		n *= t->shape[i];
	return n;
}

void
st_shape_text(const struct st_tensor *t, struct buf *out)
{
	buf_clear(out);
	for (int i = 0; i < t->rank; i++)
		buf_printf(out, "%s%lld", i ? ", " : "[", (long long)t->shape[i]);
	buf_puts(out, t->rank ? "]" : "[]");
}

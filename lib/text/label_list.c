#include "text/label_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/labels.h"
#include "text/tokenizer.h"

enum { LIST_BYTES_MAX = 1 << 20 };

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What stands at the start of a JSON array of strings, of a list of records, of a record. */
bool
label_list_is(const char *path)
{
	struct in in;
	struct err ignored;
	const uint8_t *p;
	if (path_is_dir(path) || in_open_unpacked(&in, path, &ignored) < 0)
		return false;
	long n = in_peek(&in, &p, 4096, &ignored), i = 0;
	while (i < n && is_space((char)p[i]))
		i++;
	bool array = i < n && p[i] == '[';
	for (i += array; array && i < n && is_space((char)p[i]); i++)
		;
	bool list = n > 0 && i < n && (array ? p[i] == '"' || p[i] == ']' : p[i] != '{');
	in_close(&in);
	return list;
}

/* ---- one label ---- */

static int
add(struct label_list *l, struct encoder *enc, const char *text, size_t n, struct err *e)
{
	struct ids ids = {0};
	size_t from = 0, to = n;
	while (from < to && is_space(text[from]))
		from++;
	while (from < to && is_space(text[to - 1]))
		to--;
	if (from == to || memchr(text, '\0', n) || memchr(text, '\n', n))
		return err_set(e, ERR_DATA, "label %zu is not a text on one line", l->n + 1);
	if (encoder_encode(enc, text, to, false, &ids, e) < 0)
		return err_prefix(e, "label %zu: ", l->n + 1);
	if (ids.n == 0 || ids.n > LABEL_TOKENS_MAX) {
		ids_release(&ids);
		return err_set(e, ERR_DATA, "label '%.*s' has %zu tokens, not 1 to %d", (int)(to - from), text + from, ids.n,
			LABEL_TOKENS_MAX);
	}
	GROW(l->v, l->cap, l->n + 1);
	l->v[l->n++] = (struct label){.name = xstrndup(text + from, to - from), .ids = ids.v, .n_ids = (uint32_t)ids.n};
	return 0;
}

/* ---- the two forms ---- */

static int
add_array(struct label_list *l, struct encoder *enc, const json_t *array, struct err *e)
{
	size_t i;
	const json_t *v;
	json_array_foreach(array, i, v) {
		if (!json_is_string(v))
			return err_set(e, ERR_DATA, "label %zu is not a string", i + 1);
		if (add(l, enc, json_string_value(v), json_string_length(v), e) < 0)
			return -1;
	}
	return 0;
}

static int
add_lines(struct label_list *l, struct encoder *enc, const char *text, size_t n, struct err *e)
{
	const char *end = text + n;
	for (const char *p = text, *next; p < end; p = next) {
		const char *line_end = memchr(p, '\n', (size_t)(end - p));
		next = line_end ? line_end + 1 : end;
		size_t len = (size_t)((line_end ? line_end : end) - p);
		while (len && is_space(p[len - 1]))
			len--;
		if (len && add(l, enc, p, len, e) < 0)
			return -1;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int
sort(struct label_list *l, struct err *e)
{
	if (l->n == 0)
		return err_set(e, ERR_DATA, "no labels in it");
	if (l->n > LABELS_MAX)
		return err_set(e, ERR_DATA, "%zu labels, more than %d", l->n, LABELS_MAX);
	qsort(l->v, l->n, sizeof *l->v, by_name);
	for (size_t i = 1; i < l->n; i++)
		if (strcmp(l->v[i - 1].name, l->v[i].name) == 0)
			return err_set(e, ERR_DATA, "label '%s' is there twice", l->v[i].name);
	return 0;
}

static int
parse(struct label_list *l, struct encoder *enc, const struct buf *b, struct err *e)
{
	json_error_t je;
	size_t at = 0;
	while (at < b->len && is_space(b->data[at]))
		at++;
	if (at == b->len || b->data[at] != '[')
		return add_lines(l, enc, b->data, b->len, e);
	json_t *array = json_loadb(b->data, b->len, 0, &je);
	int rc = array ? add_array(l, enc, array, e)
		       : err_set(e, ERR_DATA, "line %d, column %d: %s", je.line, je.column, je.text);
	json_decref(array);
	return rc;
}

int
label_list_read(struct label_list *l, const char *path, const char *model_dir, struct err *e)
{
	struct buf b = {0};
	*l = (struct label_list){0};
	struct tokenizer *t = tokenizer_open(model_dir, e);
	if (!t)
		return -1;
	int rc = file_read(path, LIST_BYTES_MAX, &b, e);
	if (rc == 0) {
		struct encoder *enc = encoder_new(t);
		if (parse(l, enc, &b, e) < 0 || sort(l, e) < 0)
			rc = err_prefix(e, "'%s': ", path);
		encoder_free(enc);
	}
	buf_release(&b);
	tokenizer_free(t);
	return rc;
}

static struct label
copy_label(const struct label *from)
{
	struct label to = {.name = xstrdup(from->name), .n_ids = from->n_ids};
	int32_t *ids = xreallocarray(NULL, from->n_ids, sizeof *ids);
	memcpy(ids, from->ids, from->n_ids * sizeof *ids);
	to.ids = ids;
	return to;
}

void
label_list_join(struct label_list *l, const struct label *data, size_t n, bool add)
{
	struct label_list both = {.v = xreallocarray(NULL, l->n + n, sizeof *l->v), .cap = l->n + n};
	size_t i = 0, k = 0;
	while (i < l->n || k < n) {
		int order = i == l->n ? 1 : k == n ? -1 : strcmp(l->v[i].name, data[k].name);
		if (add || order <= 0)
			both.v[both.n++] = copy_label(order < 0 ? &l->v[i] : &data[k]);
		i += order <= 0;
		k += order >= 0;
	}
	label_list_release(l);
	*l = both;
}

void
label_list_release(struct label_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free((char *)l->v[i].name);
		free((int32_t *)l->v[i].ids);
	}
	free(l->v);
	*l = (struct label_list){0};
}

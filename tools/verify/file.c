/* Single files. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/provenance.h"
#include "eval/generations.h"
#include "eval/predictions.h"
#include "eval/row_seal.h"
#include "fmt/safetensors.h"
#include "fmt/tokens.h"
#include "verify.h"

enum { JSON_MAX = 64 << 20, PEEKED = 1 << 16 };

/* ---- token streams ---- */

static int
verify_tokens(struct thing *t, struct err *e)
{
	struct tokens_reader *r = tokens_open(t->path, e);
	struct example x;
	int rc = r ? 1 : -1;
	t->kind = "token stream";
	while (rc > 0)
		rc = tokens_read(r, &x, e);
	if (rc == 0) {
		t->hashes = tokens_checksum(r) != NULL;
		buf_printf(&t->detail, "%llu records", (unsigned long long)tokens_count(r));
		thing_from(t, json_object_get(tokens_header(r), "provenance"));
	}
	tokens_close(r);
	return rc;
}

/* ---- predictions, generated texts ---- */

static int
read_rows(struct thing *t, bool texts, struct err *e)
{
	struct in in;
	struct predictions p = {0};
	struct generations g = {0};
	if (in_open_unpacked(&in, t->path, e) < 0)
		return -1;
	int rc = texts ? generations_read(&g, &in, e) : predictions_read_in(&p, &in, e);
	buf_printf(&t->detail, "%zu rows", texts ? g.n : p.n);
	in_close(&in);
	predictions_release(&p);
	generations_release(&g);
	return rc;
}

static int
verify_rows(struct thing *t, bool texts, struct err *e)
{
	json_t *p = NULL;
	t->kind = texts ? "generated texts" : "predictions";
	int rc = rows_check_seal(t->path, &p, e);
	t->hashes = rc > 0;
	thing_from(t, p);
	json_decref(p);
	return rc < 0 ? rc : read_rows(t, texts, e);
}

/* ---- JSON objects ---- */

/* The files that a report of hone-prepare names, where they are still where it says. The names are whoever's wrote it, so
 * devices and pipes, which may have no end, are not read. */
static int
check_outputs(struct thing *t, const json_t *o, struct err *e)
{
	size_t i;
	const json_t *one;
	json_array_foreach(json_object_get(o, "outputs"), i, one) {
		const char *file = json_text(json_object_get(one, "file"));
		const char *told = json_text(json_object_get(one, "xxh128"));
		char hash[HASH_HEX];
		if (!file || !told || !path_is_file(file))
			continue;
		if (hash_file(file, hash, e) < 0)
			return -1;
		if (strcmp(hash, told) != 0)
			return err_set(e, ERR_DATA, "'%s' was changed: its hash is %s, '%s' says %s", file, hash, t->path, told);
		t->hashes++;
	}
	return 0;
}

static const char *
kind_of_object(const json_t *o)
{
	const char *format = json_string_value(json_object_get(o, "format"));
	if (json_object_get(o, "checks"))
		return "report of hone-prepare";
	if (json_object_get(o, "examples") || json_object_get(o, "classification/examples") ||
		json_object_get(o, "generation/examples"))
		return format ? NULL : "figures";
	return json_object_get(o, "tool") && json_object_get(o, "inputs") ? "provenance" : NULL;
}

static int
verify_object(struct thing *t, struct err *e)
{
	json_t *o = json_read_file(t->path, JSON_MAX, e);
	if (!o)
		return -1;
	int sealed = json_sealed(o), rc = 0;
	t->kind = kind_of_object(o);
	t->hashes = sealed > 0;
	if (t->kind && (sealed == 0 || (sealed < 0 && json_object_get(o, "provenance"))))
		rc = err_set(e, ERR_DATA, "'%s' is damaged or was changed: its checksum is wrong or missing", t->path);
	if (rc == 0 && t->kind)
		rc = check_outputs(t, o, e);
	thing_from(t, json_object_get(o, "provenance"));
	json_decref(o);
	return rc;
}

/* ---- pages ---- */

/* "<!-- PAGE_SEAL HASH -->" at the end of a file of n bytes; NULL when it does not end so. */
static const char *
find_seal(const char *text, size_t n)
{
	static const char begin[] = "<!-- " PAGE_SEAL " ", end[] = " -->\n";
	size_t line = sizeof begin - 1 + HASH_HEX - 1 + sizeof end - 1;
	if (n < line || memcmp(text + n - line, begin, sizeof begin - 1) != 0 ||
		memcmp(text + n - (sizeof end - 1), end, sizeof end - 1) != 0)
		return NULL;
	return text + n - line;
}

static int
verify_page(struct thing *t, struct err *e)
{
	struct map m;
	char hash[HASH_HEX];
	if (map_open(&m, t->path, e) < 0)
		return -1;
	int rc = 0;
	const char *text = (const char *)m.data, *seal = find_seal(text, m.size);
	if (!seal) {
		rc = err_set(e, ERR_DATA, "'%s' is no page of hone-report, or was cut off: it does not end with its hash", t->path);
	} else {
		hash_bytes(text, (size_t)(seal - text), hash);
		if (memcmp(seal + sizeof "<!-- " PAGE_SEAL, hash, HASH_HEX - 1) != 0)
			rc = err_set(e, ERR_DATA, "'%s' is damaged or was changed: its hash is %s", t->path, hash);
		t->hashes = rc == 0;
	}
	t->kind = "page of hone-report";
	map_close(&m);
	return rc;
}

/* ---- tensors ---- */

static int
verify_safetensors(struct thing *t, struct err *e)
{
	t->kind = "safetensors";
	struct st_file *f = st_open(t->path, e);
	if (!f)
		return -1;
	buf_printf(&t->detail, "%zu tensors", st_count(f));
	st_close(f);
	return 0;
}

/* ---- any of them ---- */

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

static bool
begins_with(const char *head, size_t n, const char *text)
{
	return n >= strlen(text) && memcmp(head, text, strlen(text)) == 0;
}

static bool
has_member(const char *line, size_t n, const char *member)
{
	for (size_t i = 0, k = strlen(member); i + k <= n; i++)
		if (memcmp(line + i, member, k) == 0)
			return true;
	return false;
}

/* By how it begins, of which `n` bytes are given. */
static int
verify_by_head(struct thing *t, const char *head, size_t n, struct err *e)
{
	const char *end = n ? memchr(head, '\n', n) : NULL;
	size_t line = end ? (size_t)(end - head) : n;
	if (begins_with(head, n, "<!doctype html>"))
		return verify_page(t, e);
	if (!begins_with(head, n, "{"))
		return 0;
	if (begins_with(head, n, "{\"provenance\": ") || has_member(head, line, "\"generated\": ") || has_member(head, line, "\"prediction\": "))
		return verify_rows(t, has_member(head, line, "\"generated\": "), e);
	if (end && (line + 1 < n && end[1] == '{'))  /* other JSON lines: records, events */
		return 0;
	return verify_object(t, e);
}

int
verify_file(struct thing *t, struct err *e)
{
	struct in in;
	const uint8_t *head;
	if (strcmp(t->path, "-") == 0)
		return verify_tokens(t, e);
	if (ends_with(t->path, ".safetensors"))
		return verify_safetensors(t, e);
	int stream = tokens_sniff(t->path, e);
	if (stream != 0)
		return stream < 0 ? -1 : verify_tokens(t, e);
	if (in_open_unpacked(&in, t->path, e) < 0)
		return -1;
	long n = in_peek(&in, &head, PEEKED, e);
	int rc = n < 0 ? -1 : verify_by_head(t, (const char *)head, (size_t)n, e);
	in_close(&in);
	return rc;
}

#include "eval/row_seal.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/provenance.h"

static const char opening[] = "{\"provenance\": ";

void
rows_write_sealed(const char *rows, size_t n, const json_t *provenance, struct out *out)
{
	char hash[HASH_HEX], *text = NULL;
	if (provenance && n > 1) {
		json_t *sealed = json_copy((json_t *)provenance);
		hash_bytes(rows + 1, n - 1, hash);
		json_object_set_new(sealed, "xxh128", json_string(hash));
		json_seal(sealed);
		text = json_dumps(sealed, 0);
		json_decref(sealed);
	}
	if (text) {
		out_puts(out, opening);
		out_puts(out, text);
		out_puts(out, ", ");
		rows++;
		n--;
	}
	out_write(out, rows, n);
	free(text);
}

/* The object at the beginning, and in *end where it ends; NULL when there is none. */
static json_t *
read_provenance(const struct map *m, size_t *end)
{
	size_t k = sizeof opening - 1;
	json_error_t je;
	if (m->size <= k || memcmp(m->data, opening, k) != 0)
		return NULL;
	json_t *p = json_loadb((const char *)m->data + k, m->size - k, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &je);
	*end = k + (p ? (size_t)je.position : 0);
	return p;
}

/* Whether the first line tells a hash somewhere. */
static bool
tells_hash(const struct map *m)
{
	static const char key[] = "\"xxh128\": ";
	const uint8_t *end = m->size ? memchr(m->data, '\n', m->size) : NULL;
	size_t n = end ? (size_t)(end - m->data) : m->size;
	for (size_t i = 0; i + sizeof key - 1 <= n; i++)
		if (memcmp(m->data + i, key, sizeof key - 1) == 0)
			return true;
	return false;
}

static int
check_seal(const struct map *m, const char *path, const json_t *p, size_t end, struct err *e)
{
	char hash[HASH_HEX];
	const char *told = json_string_value(json_object_get(p, "xxh128"));
	if (!p && !tells_hash(m))
		return 0;
	if (!told || json_sealed(p) != 1)
		return err_set(e, ERR_DATA, "'%s' is damaged or was changed: its provenance is not what its checksum is of", path);
	if (m->size < end + 2 || memcmp(m->data + end, ", ", 2) != 0)
		return err_set(e, ERR_DATA, "'%s' is damaged: no row follows its provenance", path);
	hash_bytes(m->data + end + 2, m->size - end - 2, hash);
	if (strcmp(hash, told) != 0)
		return err_set(e, ERR_DATA, "'%s' is damaged or was changed: the hash of its rows is %s, it says %s", path, hash, told);
	return 1;
}

int
rows_check_seal(const char *path, json_t **provenance, struct err *e)
{
	struct map m;
	size_t end = 0;
	*provenance = NULL;
	if (map_open(&m, path, e) < 0)
		return -1;
	*provenance = read_provenance(&m, &end);
	int rc = check_seal(&m, path, *provenance, end, e);
	map_close(&m);
	return rc;
}

#include "base/provenance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/version.h"

json_t *
provenance_new(json_t *settings)
{
	json_t *p = json_pack("{s:s, s:s, s:s}", "tool", log_tool, "version", hone_version, "commit", hone_commit);
	if (settings)
		json_object_set_new(p, "settings", settings);
	json_object_set_new(p, "inputs", json_array());
	return p;
}

/* A path need not be UTF-8, and JSON is. */
static json_t *
string_or_null(const char *s)
{
	json_t *v = s && *s ? json_string(s) : NULL;
	return v ? v : json_null();
}

json_t *
provenance_add(json_t *p, const char *what, const char *path, const char *fingerprint)
{
	json_t *one = json_pack("{s:s, s:o, s:o}", "what", what, "path", string_or_null(path), "fingerprint",
		string_or_null(fingerprint));
	json_array_append_new(json_object_get(p, "inputs"), one);
	return one;
}

int
provenance_add_file(json_t *p, const char *what, const char *path, struct err *e)
{
	char hash[HASH_HEX] = "";
	struct stat st;
	bool there = stat(path, &st) == 0;
	if (!there && errno != ENOENT && errno != ENOTDIR)  /* "-" is none */
		return err_sys(e, ERR_IO, "cannot read '%s'", path);
	if (there && S_ISREG(st.st_mode) && hash_file(path, hash, e) < 0)
		return -1;
	provenance_add(p, what, path, hash);
	return 0;
}

int
provenance_write(const json_t *p, const char *dir, struct err *e)
{
	char *path = path_join(dir, PROVENANCE_FILE);
	int rc = json_write_file(path, true, p, JSON_INDENT(2), "\n", e);
	free(path);
	return rc;
}

/* ---- checksums of objects ---- */

enum { REALS = 15 };  /* digits that read back to what was written, in every program */

void
json_checksum(const json_t *o, char hex[HASH_HEX])
{
	json_t *rest = json_copy((json_t *)o);
	json_object_del(rest, "checksum");
	char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(REALS));
	hash_bytes(text ? text : "", text ? strlen(text) : 0, hex);
	free(text);
	json_decref(rest);
}

void
json_seal(json_t *o)
{
	char hex[HASH_HEX];
	json_checksum(o, hex);
	json_object_set_new(o, "checksum", json_string(hex));
}

int
json_sealed(const json_t *o)
{
	char hex[HASH_HEX];
	const char *told = json_string_value(json_object_get(o, "checksum"));
	if (!told)
		return -1;
	json_checksum(o, hex);
	return strcmp(hex, told) == 0;
}

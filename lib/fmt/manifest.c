#include "fmt/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static const char manifest[] = MANIFEST;

const char *const manifest_of_run[] = {"run.json", "metrics.jsonl", "results.csv", "predictions.jsonl", NULL};

enum { MANIFEST_MAX = 1 << 20 };

static int
hash_in(const char *dir, const char *name, char hex[HASH_HEX], struct err *e)
{
	char *path = path_join(dir, name);
	int rc = hash_file(path, hex, e);
	free(path);
	return rc;
}

static bool
is_named(const char *const *only, const char *name)
{
	for (; only && *only; only++)
		if (strcmp(*only, name) == 0)
			return true;
	return false;
}

/* Whether a file of a directory goes into its manifest. */
static bool
is_wanted(const char *dir, const char *name, const char *const *only)
{
	if (name[0] == '.' || strcmp(name, manifest) == 0 || (only && !is_named(only, name)))
		return false;
	char *path = path_join(dir, name);
	bool wanted = !path_is_dir(path);
	free(path);
	return wanted;
}

/* ---- writing ---- */

/* The hash of a file that was taken while it was written, or is taken now. */
static int
find_hash(const json_t *known, const char *dir, const char *name, char hex[HASH_HEX], struct err *e)
{
	const char *found = json_string_value(json_object_get(known, name));
	if (!found)
		return hash_in(dir, name, hex, e);
	snprintf(hex, HASH_HEX, "%s", found);
	return 0;
}

int
manifest_write(const char *dir, const char *const *only, const json_t *known, struct err *e)
{
	char **names = dir_names(dir, NULL, e);
	struct buf b = {0};
	int rc = 0;
	if (!names)
		return -1;
	for (size_t i = 0; rc == 0 && names[i]; i++) {
		char hex[HASH_HEX];
		if (is_wanted(dir, names[i], only) && (rc = find_hash(known, dir, names[i], hex, e)) == 0)
			buf_printf(&b, "%s  %s\n", hex, names[i]);
	}
	names_free(names);
	char *path = path_join(dir, manifest);
	if (rc == 0)
		rc = file_write(path, true, b.data, b.len, e);
	free(path);
	buf_release(&b);
	return rc;
}

/* ---- checking ---- */

/* The name in a line, which is cut behind the hash; NULL when it is none. */
static const char *
cut_line(char *line)
{
	if (strlen(line) < HASH_HEX + 2 || line[HASH_HEX - 1] != ' ' || line[HASH_HEX] != ' ')
		return NULL;
	line[HASH_HEX - 1] = '\0';
	return line + HASH_HEX + 1;
}

/* `line` has to be that of the file `name`, and to say what is true of it. Either may be NULL: there is none left. */
static int
check_line(const char *dir, char *line, const char *name, struct err *e)
{
	char hex[HASH_HEX];
	const char *told = line ? cut_line(line) : NULL;
	if (line && !told)
		return err_set(e, ERR_DATA, "'%s/%s' is damaged: '%s' is no hash and name", dir, manifest, line);
	int order = !told ? 1 : !name ? -1 : strcmp(told, name);
	if (order < 0)
		return err_set(e, ERR_DATA, "'%s/%s' is missing: %s names it", dir, told, manifest);
	if (order > 0)
		return err_set(e, ERR_DATA, "'%s/%s' is not named in %s, which is damaged, or the file does not belong there", dir,
			name, manifest);
	if (hash_in(dir, name, hex, e) < 0)
		return -1;
	if (strcmp(hex, line) != 0)
		return err_set(e, ERR_DATA, "'%s/%s' is damaged: its hash is not that of %s", dir, name, manifest);
	return 0;
}

/* The lines are of all files, in order: a manifest that lost some would leave files unchecked. How many. */
static long
check_lines(const char *dir, const char *const *only, char *text, struct err *e)
{
	char **names = dir_names(dir, NULL, e), *rest = NULL, *line = strtok_r(text, "\n", &rest);
	long files = 0;
	int rc = 0;
	if (!names)
		return -1;
	for (size_t i = 0; rc == 0 && names[i]; i++) {
		if (!is_wanted(dir, names[i], only))
			continue;
		rc = check_line(dir, line, names[i], e);
		line = strtok_r(NULL, "\n", &rest);
		files++;
	}
	names_free(names);
	if (rc == 0 && line)
		rc = check_line(dir, line, NULL, e);
	return rc < 0 ? -1 : files;
}

bool
manifest_exists(const char *dir)
{
	return dir_has(dir, manifest);
}

long
manifest_check(const char *dir, const char *const *only, struct err *e)
{
	struct buf b = {0};
	char *path = path_join(dir, manifest);
	long files = file_read(path, MANIFEST_MAX, &b, e);
	if (files == 0 && (!b.len || strlen(b.data) != b.len))
		files = err_set(e, ERR_DATA, "'%s' is damaged: it is empty or holds a NUL", path);
	if (files == 0)
		files = check_lines(dir, only, b.data, e);
	buf_release(&b);
	free(path);
	return files;
}

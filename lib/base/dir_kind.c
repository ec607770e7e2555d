#include "base/dir_kind.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static const struct {
	const char *file, *name;
} kinds[] = {
	[DIR_DATASET] = {"dataset.json", "a dataset of hone-pack"},
	[DIR_RUN] = {"run.json", "a run of hone-train"},
	[DIR_ADAPTER] = {"adapter_config.json", "an adapter"},
	[DIR_MODEL] = {"config.json", "a model's directory"},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

/* The kind of `below` in `path` ("": of path itself), or -1. */
static int
kind_of(const char *path, const char *below)
{
	char *dir = path_join(path, below);
	int found = -1;
	for (int k = 0; k < KINDS && found < 0; k++)
		found = dir_has(dir, kinds[k].file) ? k : -1;
	free(dir);
	return found;
}

/* Where what is wanted may be, as the end of a sentence: new. */
static char *
advice(const char *path, int is, enum dir_kind wanted)
{
	int final = is == DIR_RUN ? kind_of(path, "final") : -1;
	if (final == (int)wanted)
		return xasprintf("; '%s/final' is %s", path, kinds[wanted].name);
	if (final == DIR_ADAPTER && wanted == DIR_MODEL)
		return xasprintf("; '%s/final' is an adapter, which goes to -a", path);
	if (is == DIR_ADAPTER && wanted == DIR_MODEL)
		return xstrdup(", which goes to -a; hone-merge makes a model of both");
	if (is == DIR_MODEL && wanted == DIR_ADAPTER)
		return xstrdup(", which goes to -m");
	if (wanted == DIR_RUN && kind_of(path, "..") == DIR_RUN)
		return xstrdup("; the run is the directory above");
	return xstrdup("");
}

int
dir_check(const char *path, enum dir_kind wanted, struct err *e)
{
	if (!path_is_dir(path))
		return err_set(e, ERR_NOINPUT, "'%s' %s; %s is wanted", path, path_exists(path) ? "is no directory" : "does not exist",
			kinds[wanted].name);
	if (dir_has(path, kinds[wanted].file))
		return 0;
	int is = kind_of(path, "");
	char *more = advice(path, is, wanted);
	err_set(e, ERR_NOINPUT, "'%s' is not %s: it has no %s%s%s%s", path, kinds[wanted].name, kinds[wanted].file,
		is < 0 ? "" : "; it is ", is < 0 ? "" : kinds[is].name, more);
	free(more);
	return -1;
}

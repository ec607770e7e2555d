#include "base/model_path.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/near.h"

/* A place that may hold the model; it is returned when it does, else remembered for the message. */
static char *
try_path(char *path, struct buf *tried)
{
	if (path_exists(path))
		return path;
	buf_printf(tried, "%s'%s'", tried->len ? ", " : "", path);
	free(path);
	return NULL;
}

/* "org/name": two plain names with one slash between. */
static bool
is_hub_name(const char *name)
{
	const char *slash = strchr(name, '/');
	return slash && slash != name && slash[1] && !strchr(slash + 1, '/') && name[0] != '.' &&
		slash[1] != '.';
}

/* The commit in models--ORG--NAME/refs/main: hexadecimal digits, so that it cannot lead elsewhere. */
static char *
read_ref(const char *repo)
{
	char *path = xasprintf("%s/refs/main", repo), *commit = NULL;
	struct buf b = {0};
	struct err e;
	if (file_read(path, 4096, &b, &e) == 0) {
		size_t n = 0;
		while (n < b.len && isxdigit((unsigned char)b.data[n]))
			n++;
		if (n >= 7 && n + strspn(b.data + n, "\r\n") == b.len)
			commit = xstrndup(b.data, n);
	}
	buf_release(&b);
	free(path);
	return commit;
}

static char *
try_cache(const char *cache, const char *name, struct buf *tried)
{
	const char *slash = strchr(name, '/');
	char *repo = xasprintf("%s/models--%.*s--%s", cache, (int)(slash - name), name, slash + 1);
	char *commit = read_ref(repo), *found;
	found = try_path(
		commit ? xasprintf("%s/snapshots/%s", repo, commit) : xasprintf("%s/refs/main", repo), tried);
	if (found && !commit) {  /* a reference that is no commit */
		buf_printf(tried, "%s'%s'", tried->len ? ", " : "", found);
		free(found);
		found = NULL;
	}
	free(commit);
	free(repo);
	return found;
}

static const struct {
	const char *variable, *below;
} caches[] = {{"HF_HUB_CACHE", ""}, {"HF_HOME", "/hub"}, {"HOME", "/.cache/huggingface/hub"}};

enum { N_CACHES = sizeof caches / sizeof *caches };

/* The directory of cache i, new; NULL when the environment tells none. */
static char *
cache_dir(size_t i)
{
	const char *base = getenv(caches[i].variable);
	return base && *base ? xasprintf("%s%s", base, caches[i].below) : NULL;
}

static char *
search_caches(const char *name, struct buf *tried)
{
	char *found = NULL;
	for (size_t i = 0; i < N_CACHES && !found; i++) {
		char *cache = cache_dir(i);
		if (cache)
			found = try_cache(cache, name, tried);
		free(cache);
	}
	return found;
}

static char *
search_path(const char *name, struct buf *tried)
{
	const char *dirs = getenv("HONE_MODEL_PATH");
	char *found = NULL;
	while (dirs && *dirs && !found) {
		size_t n = strcspn(dirs, ":");
		if (n)
			found = try_path(xasprintf("%.*s/%s", (int)n, dirs, name), tried);
		dirs += n + (dirs[n] == ':');
	}
	return found;
}

/* ---- the nearest name, for the message ---- */

/* Compares with every name in a directory; in a Hub cache, with "org/name" and "name" of models--ORG--NAME. */
static void
compare_names(struct near *near, const char *dir, const char *prefix, bool cache)
{
	struct err ignored;
	char **names = dir_names(dir, NULL, &ignored);
	for (size_t i = 0; names && names[i]; i++) {
		const char *name = names[i], *dashes;
		char *shown;
		if (!cache && name[0] != '.') {
			shown = xasprintf("%s%s", prefix, name);
			near_try(near, name, shown);
		} else if (cache && strncmp(name, "models--", 8) == 0 && (dashes = strstr(name + 8, "--"))) {
			shown = xasprintf("%.*s/%s", (int)(dashes - name - 8), name + 8, dashes + 2);
			near_try(near, shown, NULL);
			near_try(near, dashes + 2, shown);
		} else {
			continue;
		}
		free(shown);
	}
	names_free(names);
}

/* Where a name may be meant: beside the path, in the directories of $HONE_MODEL_PATH, in the caches. */
static void
find_near(struct near *near, const char *name)
{
	const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
	char *dir = slash ? xstrndup(name, (size_t)(last - name)) : xstrdup(".");
	near_init(near, last);
	compare_names(near, dir, slash ? dir : "", false);
	free(dir);
	near->name = name;
	for (const char *dirs = getenv("HONE_MODEL_PATH"); dirs && *dirs; dirs += *dirs == ':') {
		size_t n = strcspn(dirs, ":");
		dir = xstrndup(dirs, n);
		compare_names(near, dir, "", false);
		free(dir);
		dirs += n;
	}
	for (size_t i = 0; i < N_CACHES; i++)
		if ((dir = cache_dir(i))) {
			compare_names(near, dir, "", true);
			free(dir);
		}
}

char *
model_path(const char *name, struct err *e)
{
	struct buf tried = {0};
	char *found = *name ? try_path(xstrdup(name), &tried) : NULL;
	bool relative = *name && name[0] != '/' && name[0] != '.';
	if (!found && relative && is_hub_name(name))
		found = search_caches(name, &tried);
	if (!found && relative)
		found = search_path(name, &tried);
	if (!found) {
		struct near near;
		find_near(&near, name);
		err_set(e, ERR_NOINPUT, "model '%s' is not found%s%s%s; looked at %s%s", name,
			*near.best ? " (did you mean '" : "", near.best, *near.best ? "'?)" : "", tried.len ? tried.data : "nothing",
			*near.best ? "" : "; a directory is wanted, or a name in the Hub's cache or under $HONE_MODEL_PATH");
	}
	buf_release(&tried);
	return found;
}

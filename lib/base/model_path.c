#include "base/model_path.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

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

static char *
search_caches(const char *name, struct buf *tried)
{
	static const struct {
		const char *variable, *below;
	} caches[] = {{"HF_HUB_CACHE", ""}, {"HF_HOME", "/hub"}, {"HOME", "/.cache/huggingface/hub"}};
	char *found = NULL;
	for (size_t i = 0; i < sizeof caches / sizeof *caches && !found; i++) {
		const char *base = getenv(caches[i].variable);
		if (!base || !*base)
			continue;
		char *cache = xasprintf("%s%s", base, caches[i].below);
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
	if (!found)
		err_set(e, ERR_NOINPUT, "model '%s' is not found; looked at %s", name,
			tried.len ? tried.data : "nothing");
	buf_release(&tried);
	return found;
}

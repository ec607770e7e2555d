/* What is at a path, and below it. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/manifest.h"
#include "verify.h"

enum { DEPTH_MAX = 16 };  /* of directories within each other: a symbolic link may lead in a circle */

struct walk {
	verify_fn *tell;
	void *ctx;
	const char *run;  /* the run directory whose parts are looked at; NULL: none */
	long found;
};

static bool
holds(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool there = path_exists(path);
	free(path);
	return there;
}

typedef int check_fn(struct thing *t, struct err *e);

/* The check that a directory is for; NULL: it only holds others. */
static check_fn *
check_for(const char *dir)
{
	if (holds(dir, "dataset.json"))
		return verify_dataset;
	if (holds(dir, "run.json"))
		return verify_run;
	if (holds(dir, "state.json") || holds(dir, "optimizer.safetensors"))
		return verify_checkpoint;
	if (holds(dir, "adapter_config.json"))
		return verify_adapter;
	/* With a manifest it is one of ours, whatever is missing. */
	return holds(dir, "config.json") || holds(dir, MANIFEST) ? verify_model : NULL;
}

/* What is checked, on its own and as a part of a run. */
static void
check(struct walk *w, const char *path, const char *name, check_fn *f)
{
	struct thing t = {.path = path};
	struct err e;
	int rc = f(&t, &e);
	if (rc == 0 && w->run)
		rc = verify_run_part(w->run, name, &t, &e);
	/* What merely looks like one of ours, and is none, is passed over. */
	if (rc < 0 && !t.kind && e.code != ERR_DATA)
		t.kind = "file";
	if (t.kind) {
		w->tell(w->ctx, &t, rc, &e);
		w->found++;
	}
	thing_release(&t);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a directory that are not hidden, sorted, up to a NULL; new, as each is. */
static char **
list(const char *dir)
{
	char **names = NULL;
	size_t n = 0, cap = 0;
	DIR *d = opendir(dir);
	for (struct dirent *ent; d && (ent = readdir(d));) {
		if (ent->d_name[0] == '.')
			continue;
		GROW(names, cap, n + 2);
		names[n++] = xstrdup(ent->d_name);
	}
	if (d)
		closedir(d);
	GROW(names, cap, n + 1);
	names[n] = NULL;
	qsort(names, n, sizeof *names, by_name);
	return names;
}

static void walk_directory(struct walk *w, const char *dir, const char *name, int depth);

/* The directories in a directory, and the files, too, unless these belong to what it is. */
static void
walk_children(struct walk *w, const char *dir, bool files, int depth)
{
	char **names = list(dir);
	for (size_t i = 0; names[i]; i++) {
		char *path = path_join(dir, names[i]);
		if (path_is_dir(path))
			walk_directory(w, path, names[i], depth + 1);
		else if (files)
			check(w, path, names[i], verify_file);
		free(path);
		free(names[i]);
	}
	free(names);
}

static void
walk_directory(struct walk *w, const char *dir, const char *name, int depth)
{
	check_fn *f = check_for(dir);
	if (depth > DEPTH_MAX)
		return;
	if (f)
		check(w, dir, name, f);
	if (f == verify_run) {
		struct walk parts = *w;
		parts.run = dir;
		walk_children(&parts, dir, false, depth);
		w->found = parts.found;
	} else if (!f) {
		walk_children(w, dir, true, depth);
	}
}

long
verify_path(const char *path, verify_fn *tell, void *ctx, struct err *e)
{
	struct walk w = {.tell = tell, .ctx = ctx};
	if (strcmp(path, "-") != 0 && !path_exists(path))
		return err_set(e, ERR_NOINPUT, "'%s' does not exist", path);
	if (path_is_dir(path))
		walk_directory(&w, path, "", 0);
	else
		check(&w, path, "", verify_file);
	return w.found;
}

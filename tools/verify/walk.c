/* What is at a path, and below it. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/manifest.h"
#include "verify.h"

enum { DEPTH_MAX = 16 };  /* of directories within each other: a symbolic link may lead in a circle */

/* ---- things ---- */

void
thing_release(struct thing *t)
{
	buf_release(&t->detail);
	json_decref(t->provenance);
	*t = (struct thing){0};
}

void
thing_from(struct thing *t, const json_t *provenance)
{
	json_decref(t->provenance);
	t->provenance = json_is_object(provenance) ? json_incref((json_t *)provenance) : NULL;
}

/* ---- the walk ---- */

struct walk {
	verify_fn *tell;
	void *ctx;
	const char *run;  /* the run directory whose parts are looked at; NULL: none */
	long found;
};

typedef int check_fn(struct thing *t, struct err *e);

/* The check that a directory is for; NULL: it only holds others. */
static check_fn *
check_for(const char *dir)
{
	if (dir_has(dir, "dataset.json"))
		return verify_dataset;
	if (dir_has(dir, "run.json"))
		return verify_run;
	if (dir_has(dir, "state.json") || dir_has(dir, "optimizer.safetensors"))
		return verify_checkpoint;
	if (dir_has(dir, "adapter_config.json"))
		return verify_adapter;
	/* With a manifest it is one of ours, whatever is missing. */
	return dir_has(dir, "config.json") || dir_has(dir, MANIFEST) ? verify_model : NULL;
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
	/* Neither good nor damaged is what was not looked at. */
	if (path_unseen(&e) < 0)
		rc = -1;
	/* What merely looks like one of ours, and is none, is passed over. */
	if (rc < 0 && !t.kind && e.code != ERR_DATA)
		t.kind = "file";
	if (t.kind) {
		w->tell(w->ctx, &t, rc, &e);
		w->found++;
	}
	thing_release(&t);
}

/* A directory, or what may be one, that could not be looked into. */
static void
tell_unread(struct walk *w, const char *path, struct err *e)
{
	w->tell(w->ctx, &(struct thing){.path = path, .kind = "directory"}, -1, e);
	w->found++;
}

static void walk_directory(struct walk *w, const char *dir, const char *name, int depth);

/* The directories in a directory, and the files, too, unless these belong to what it is; not what is hidden. */
static void
walk_children(struct walk *w, const char *dir, bool files, int depth)
{
	struct err e;
	char **names = dir_names(dir, NULL, &e);
	if (!names) {
		e.code = ERR_IO;  /* it is there */
		tell_unread(w, dir, &e);
	}
	for (size_t i = 0; names && names[i]; i++) {
		char *path = path_join(dir, names[i]);
		if (names[i][0] == '.')
			;
		else if (path_is_dir(path))
			walk_directory(w, path, names[i], depth + 1);
		else if (path_unseen(&e) < 0)
			tell_unread(w, path, &e);
		else if (files)
			check(w, path, names[i], verify_file);
		free(path);
	}
	names_free(names);
}

static void
walk_directory(struct walk *w, const char *dir, const char *name, int depth)
{
	if (depth > DEPTH_MAX)
		return;
	check_fn *f = check_for(dir);
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
		return path_unseen(e) < 0 ? -1 : err_set(e, ERR_NOINPUT, "'%s' does not exist", path);
	if (path_is_dir(path))
		walk_directory(&w, path, "", 0);
	else
		check(&w, path, "", verify_file);
	return w.found;
}

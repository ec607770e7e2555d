/* hone-verify: what its files share. main.c has the command line and tells; walk.c goes through directories; directory.c,
 * run.c and file.c check what stands by itself; show.c prints what things are from. */
#ifndef HONE_TOOLS_VERIFY_H
#define HONE_TOOLS_VERIFY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

/* Something of ours, or of our inputs, that was found, and what is known of it. Zero-initialise but for path. */
struct thing {
	const char *path;
	const char *kind;    /* "dataset", "adapter", ...; NULL when it is not known */
	long hashes;         /* how many hashes of ours covered it; 0: only its structure could be checked */
	struct buf detail;   /* for people: "384 examples" */
	json_t *provenance;  /* as in base/provenance.h; NULL when it tells nothing */
};

/* ---- walk.c: things ---- */

void thing_release(struct thing *t);

/* Takes a provenance, which may be NULL, into the thing; borrows it. */
void thing_from(struct thing *t, const json_t *provenance);

/* ---- directory.c, run.c, file.c: each fills in the thing; 0, or -1 and what is wrong ---- */

int verify_dataset(struct thing *t, struct err *e);
int verify_checkpoint(struct thing *t, struct err *e);
int verify_adapter(struct thing *t, struct err *e);
int verify_model(struct thing *t, struct err *e);

/* The files of a run directory itself: run.json and the logs. */
int verify_run(struct thing *t, struct err *e);

/* A part of a run, already checked, against what run.json says: the data that it was trained on, the base of an adapter. */
int verify_run_part(const char *run, const char *name, const struct thing *part, struct err *e);

/* A file, or standard input for "-"; a file that is nothing we know has no kind afterwards, and is no error. */
int verify_file(struct thing *t, struct err *e);

/* ---- walk.c ---- */

/* Told of every thing: rc is 0, or -1 with *e. */
typedef void verify_fn(void *ctx, const struct thing *t, int rc, struct err *e);

/* Checks what is at `path` and below it. How many things there were; -1 and *e when the path itself is not there. */
long verify_path(const char *path, verify_fn *tell, void *ctx, struct err *e);

/* ---- show.c ---- */

/* Lines for people, indented. */
void show_provenance(const json_t *p);

#endif

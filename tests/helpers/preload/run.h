/* A command run under the interposer, for the fault driver. */
#ifndef HONE_TESTS_RUN_H
#define HONE_TESTS_RUN_H

#include <stdbool.h>

#include "base/mem.h"
#include "tree.h"

struct place {
	char *dir;             /* where it runs */
	const char *input;     /* its standard input */
	char *library, *state; /* NAME=VALUE for its environment: the interposer, and its page */
};

/* What a run came to. */
struct outcome {
	int status; /* as of waitpid */
	bool late;  /* it did not end within a minute */
	struct buf out, err;
	struct tree tree; /* of the directory, afterwards */
};

/* Runs the command, and leaves nothing running of what it started. Dies when that cannot be done. */
void run_command(const struct place *p, char **argv, struct outcome *o);
void outcome_release(struct outcome *o);

/* A file that lives as long as the descriptor. */
int anonymous_file(const char *name);

#endif

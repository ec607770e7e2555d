/* Fitting examples to a context: what becomes of one with more tokens than that. */
#ifndef HONE_FMT_FIT_H
#define HONE_FMT_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "fmt/example.h"

enum fit_policy {
	FIT_ERROR,
	FIT_DROP,
	FIT_TRUNCATE,  /* the prompt loses its beginning, but not its last token; then, or without one, the end goes */
	FIT_SPLIT,     /* consecutive pieces; those of a labelled example are not labelled */
};

#define FIT_POLICIES "error|drop|truncate|split"

/* Set policy and context, zero the rest. */
struct fit {
	enum fit_policy policy;
	uint32_t context;    /* 0: no limit */
	uint64_t overlong;   /* examples that did not fit */
	uint64_t dropped;    /* of those, examples of which nothing with a target was left */

	struct example x;    /* the one being fitted; its next piece begins at `at` */
	uint32_t at, end, piece;
	uint64_t given;
	struct span *spans;
	size_t spans_cap;
};

/* The policy of a name of FIT_POLICIES. */
enum fit_policy fit_policy(const char *name);

/* Begins with an example, which must stay as it is until fit_next returned false. FIT_ERROR: ERR_DATA when it is
 * too long. */
int fit_begin(struct fit *f, const struct example *x, struct err *e);

/* The next piece, in memory that the next call reuses; false when there is none left. An example that fits is
 * handed through as it is; of others, pieces without a target are left out. */
bool fit_next(struct fit *f, struct example *piece);

void fit_release(struct fit *f);

#endif

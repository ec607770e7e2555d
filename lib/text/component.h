/* What the loaders of tokenizer.json's components share. */
#ifndef HONE_TEXT_COMPONENT_H
#define HONE_TEXT_COMPONENT_H

#include <jansson.h>

#include "base/err.h"

enum { COMPONENT_DEPTH = 8 };  /* how deep a Sequence may nest */

/* The "type" of a component; NULL and ERR_CONFIG when it has none. `what` is its key in tokenizer.json. */
const char *component_type(const json_t *j, const char *what, struct err *e);

/* The "no such type" error; returns -1. */
int component_unknown(const char *what, const char *type, struct err *e);

/* Calls `load` for each member of a Sequence's list, which is under `key`. */
int component_each(const json_t *j, const char *what, const char *key, int depth,
	int (*load)(void *ctx, const json_t *j, int depth, struct err *e), void *ctx, struct err *e);

/* A member that must be a string of exactly one character; its bytes. */
int component_char(const json_t *j, const char *what, const char *key, char out[5], struct err *e);

#endif

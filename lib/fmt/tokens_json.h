/* The JSON-lines form of a token stream, for tokens.c: one example a line. */
#ifndef HONE_FMT_TOKENS_JSON_H
#define HONE_FMT_TOKENS_JSON_H

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"
#include "fmt/example.h"
#include "fmt/record.h"

enum { TOKENS_JSON_LINE_MAX = 1 << 28 };

/* Appends x as one line; `header` NULL or what goes into its "header" member. */
void tokens_json_write(struct buf *b, const struct example *x, const json_t *header);

/* One parsed line. Zero-initialise; what was read last points into it. */
struct tokens_json {
	json_t *line;
	struct record record;
};

/* The example in n bytes of text. Everything is checked but the ids against a vocabulary. */
int tokens_json_read(struct tokens_json *j, const char *text, size_t n, struct example *x, struct err *e);
void tokens_json_release(struct tokens_json *j);

/* The "header" member of the line read last, or NULL; borrowed. */
json_t *tokens_json_header(const struct tokens_json *j);

#endif

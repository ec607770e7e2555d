/* Regular expressions as tokenizer.json writes them (Oniguruma's Ruby syntax), run by PCRE2. */
#ifndef HONE_TEXT_PATTERN_H
#define HONE_TEXT_PATTERN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pattern;  /* immutable: any number of threads may use it */
struct matcher;  /* one thread's scratch memory, for any patterns */

/* Compiles {"String": S} (the bytes themselves) or {"Regex": R}; `what` names the component in errors. What
 * the two syntaxes read differently is translated (text/regex.h), or refused (ERR_CONFIG). */
struct pattern *pattern_load(const json_t *j, const char *what, struct err *e);
void pattern_free(struct pattern *p);

/* The bytes of {"String": ...}, or NULL for a regular expression. */
const char *pattern_literal(const struct pattern *p, size_t *n);

/* The text of {"Regex": ...}, or NULL for a string. */
const char *pattern_regex(const struct pattern *p);

struct matcher *matcher_new(void);
void matcher_free(struct matcher *m);

/* The matches of a pattern in valid UTF-8, one after the other and never overlapping. An empty match right
 * behind the match before is passed over. */
struct matches {
	const struct pattern *pattern;
	struct matcher *matcher;
	const char *text;
	size_t n, from, last_end;
	bool any;
};

void matches_start(
	struct matches *it, const struct pattern *p, struct matcher *m, const char *text, size_t n);

/* The next match [*start, *end): 1, or 0 when there is none, or -1 (ERR_DATA: the pattern gave up). */
int matches_next(struct matches *it, size_t *start, size_t *end, struct err *e);

#endif

/* Reading JSON text step by step, for what is long and simple. It takes less than jansson does, and tells no
 * reasons: whoever is told false hands the text to jansson, which takes it or says what is wrong. */
#ifndef HONE_TEXT_JSON_CURSOR_H
#define HONE_TEXT_JSON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct json_cursor {
	const char *p, *end;
};

void json_cursor_space(struct json_cursor *c);  /* passes white space over */

/* Takes one character, and white space before it. */
bool json_cursor_take(struct json_cursor *c, char what);

/* Takes a string. *s is in the text itself or, when there are escapes, behind what *out holds: it stays there as long as
 * *out has room for what is appended, and no escape is shorter than what it stands for. That the text is UTF-8 is the
 * caller's business. */
bool json_cursor_string(struct json_cursor *c, struct buf *out, const char **s, size_t *n);

#endif

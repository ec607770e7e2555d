/* The part of Jinja that chat templates are written in, rendered as transformers does it: trim_blocks and
 * lstrip_blocks on, break and continue, `tojson` as json.dumps(ensure_ascii=False), raise_exception,
 * strftime_now, {% generation %} transparent. Values are immutable but for namespace(); there is no include,
 * import or extends.
 *
 * A template is untrusted text: its nesting, the steps it takes, the memory it uses and what it prints are
 * bounded, and going beyond is an error that names the template's line. */
#ifndef HONE_TEXT_JINJA_H
#define HONE_TEXT_JINJA_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct jinja;  /* a compiled template: immutable, any number of threads may render it */

/* Compiles n bytes of UTF-8; `name` is what errors call it (copied). NULL and ERR_CONFIG when it is no
 * template. The time that strftime_now tells is taken here, once, so that all records of a run agree; it
 * is SOURCE_DATE_EPOCH when that is set. */
struct jinja *jinja_compile(const char *name, const char *text, size_t n, struct err *e);
void jinja_free(struct jinja *t);

/* A variable that the template sees. Borrowed during jinja_render. */
struct jinja_var {
	const char *name;
	const json_t *value;  /* NULL: not defined */
};

/* Appends the rendered text to *out. ERR_DATA on failure ("'NAME': line 7: ..."), *out is then as it was. */
int jinja_render(
	const struct jinja *t, const struct jinja_var *vars, size_t n_vars, struct buf *out, struct err *e);

#endif

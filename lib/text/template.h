/* The chat template of a model, or one that is asked for by name. */
#ifndef HONE_TEXT_TEMPLATE_H
#define HONE_TEXT_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/near.h"
#include "text/jinja.h"

/* Immutable once open: any number of threads may render it. */
struct template {
	struct jinja *jinja;        /* NULL: the model has none, and none was asked for */
	struct jinja *jinja_tools;  /* what a model has for conversations with tools ("tool_use"); or NULL */
	char *name;                 /* for messages and headers; NULL without jinja */
	json_t *tokens;             /* {"bos_token": "<s>", ...}: the special tokens, as variables */
};

/* `model` is a model directory, or its tokenizer.json. `name` NULL: the model's own template, which is
 * chat_template.jinja, else "chat_template" of tokenizer_config.json (a string, or a list of named ones,
 * of which "default" is taken), else chat_template.json. Otherwise a built-in one (template_builtin), one
 * of the model's named ones, or a file of Jinja text. */
int template_open(struct template *t, const char *model, const char *name, struct err *e);
void template_close(struct template *t);

/* The text of a built-in template, which the caller frees; NULL when there is none of that name. */
char *template_builtin(const char *name);

/* Their names, separated by ", ". */
const char *template_builtin_names(void);
void template_builtin_near(struct near *near);  /* compares with each (base/near.h) */

/* What a template is given; all borrowed. */
struct conversation {
	const json_t *messages;
	const json_t *tools;      /* or NULL */
	const json_t *variables;  /* an object of further variables, or NULL */
	bool generate;            /* end where the assistant is to go on */
};

/* Appends the rendered conversation to *out. */
int template_render(const struct template *t, const struct conversation *c, struct buf *out, struct err *e);

#endif

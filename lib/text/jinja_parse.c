/* Statements of a template. */
#include <string.h>

#include "text/jinja_int.h"

static struct node *parse_body(struct parser *p, const char *const *ends);

/* The name of the tag that starts at the current token. */
static struct str
tag_name(const struct parser *p)
{
	return p->t->kind == T_TAG && p->t[1].kind == T_NAME ? p->t[1].s : (struct str){"", 0};
}

static void
want_tag_end(struct parser *p)
{
	p->c->line = p->t->line;
	if (p->t->kind != T_TAG_END)
		jinja_fail(p->c, "'%.*s' stands where the tag should end", STR(p->t->s));
	p->t++;
}

/* "{% NAME %}", which is known to be there. */
static void
take_plain_tag(struct parser *p)
{
	p->t += 2;
	want_tag_end(p);
}

static struct node *
body_until(struct parser *p, const char *end)
{
	const char *const ends[] = {end, NULL};
	struct node *body = parse_body(p, ends);
	take_plain_tag(p);
	return body;
}

/* NAME, NAME.ATTR, or several of them, as what a loop or a set assigns to. */
static void
parse_targets(struct parser *p, struct node *n, bool attributes)
{
	bool brackets = jinja_take_op(p, "(");
	do {
		struct node *target = jinja_node(p, N_NAME);
		target->v = jv_string(jinja_want_ident(p));
		if (attributes && jinja_take_op(p, ".")) {
			struct node *attr = jinja_node(p, N_ATTR);
			attr->a = target;
			attr->v = jv_string(jinja_want_ident(p));
			target = attr;
		}
		jinja_kid(p, n, target);
	} while (jinja_take_op(p, ","));
	if (brackets)
		jinja_want_op(p, ")");
}

static struct node *
parse_if(struct parser *p)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL};
	struct node *first = NULL, **at = &first;
	do {
		struct node *n = jinja_node(p, N_IF);
		p->t += 2;
		n->a = jinja_parse_tuple(p);
		want_tag_end(p);
		n->b = parse_body(p, ends);
		*at = n;
		at = &n->c;
	} while (str_is(tag_name(p), "elif"));
	if (str_is(tag_name(p), "else")) {
		take_plain_tag(p);
		*at = body_until(p, "endif");
	} else {
		take_plain_tag(p);
	}
	return first;
}

static struct node *
parse_for(struct parser *p)
{
	static const char *const ends[] = {"else", "endfor", NULL};
	struct node *n = jinja_node(p, N_FOR);
	p->t += 2;
	parse_targets(p, n, false);
	if (!jinja_take_name(p, "in"))
		jinja_fail(p->c, "a for has no 'in'");
	n->a = jinja_parse_or(p);
	if (jinja_at_op(p, ",")) {
		struct node *all = jinja_node(p, N_LIST);
		jinja_kid(p, all, n->a);
		while (jinja_take_op(p, ","))
			jinja_kid(p, all, jinja_parse_or(p));
		n->a = all;
	}
	if (jinja_take_name(p, "if"))
		n->d = jinja_parse_expr(p);
	if (jinja_at_name(p, "recursive"))
		jinja_fail(p->c, "recursive loops are not supported");
	want_tag_end(p);
	bool outer = p->in_loop;
	p->in_loop = true;
	n->b = parse_body(p, ends);
	p->in_loop = outer;
	bool has_else = str_is(tag_name(p), "else");
	take_plain_tag(p);
	if (has_else)
		n->c = body_until(p, "endfor");
	return n;
}

static struct node *
parse_set(struct parser *p)
{
	struct node *n = jinja_node(p, N_SET);
	p->t += 2;
	parse_targets(p, n, true);
	if (jinja_take_op(p, "=")) {
		n->a = jinja_parse_tuple(p);
		want_tag_end(p);
		return n;
	}
	if (jinja_at_op(p, "|")) {  /* over the block's text, a variable that no template can name */
		struct node *text = jinja_node(p, N_NAME);
		text->v = jv_string((struct str){"", 0});
		n->d = jinja_parse_filters(p, text);
	}
	want_tag_end(p);
	n->b = body_until(p, "endset");
	return n;
}

static void
parse_params(struct parser *p, struct node *macro)
{
	jinja_want_op(p, "(");
	while (!jinja_at_op(p, ")")) {
		if (macro->n)
			jinja_want_op(p, ",");
		struct node *param = jinja_node(p, N_KEYWORD);
		param->v = jv_string(jinja_want_ident(p));
		if (jinja_take_op(p, "="))
			param->a = jinja_parse_expr(p);
		jinja_kid(p, macro, param);
	}
	p->t++;
}

static void
parse_macro_body(struct parser *p, struct node *macro, const char *end)
{
	bool outer = p->in_loop;
	want_tag_end(p);
	p->in_loop = false;
	macro->b = body_until(p, end);
	p->in_loop = outer;
}

static struct node *
parse_macro(struct parser *p)
{
	struct node *n = jinja_node(p, N_MACRO);
	p->t += 2;
	n->v = jv_string(jinja_want_ident(p));
	parse_params(p, n);
	parse_macro_body(p, n, "endmacro");
	return n;
}

/* {% call(x) f(y) %}: the body is a macro that f knows as caller. */
static struct node *
parse_call(struct parser *p)
{
	struct node *n = jinja_node(p, N_CALLER);
	p->t += 2;
	n->b = jinja_node(p, N_MACRO);
	n->b->v = jv_string(str_lit("caller"));
	if (jinja_at_op(p, "("))
		parse_params(p, n->b);
	n->a = jinja_parse_expr(p);
	if (n->a->kind != N_CALL)
		jinja_fail(p->c, "'call' wants the call of a macro");
	parse_macro_body(p, n->b, "endcall");
	return n;
}

/* {% filter upper|trim %}: over the block's text, as parse_set has it. */
static struct node *
parse_filter(struct parser *p)
{
	struct node *n = jinja_node(p, N_FILTERED), *text = jinja_node(p, N_NAME);
	p->t += 2;
	text->v = jv_string((struct str){"", 0});
	n->d = jinja_parse_filters(p, jinja_parse_filter(p, text));
	want_tag_end(p);
	n->b = body_until(p, "endfilter");
	return n;
}

static struct node *
parse_with(struct parser *p)
{
	struct node *n = jinja_node(p, N_WITH);
	p->t += 2;
	while (p->t->kind != T_TAG_END) {
		if (n->n)
			jinja_want_op(p, ",");
		struct node *set = jinja_node(p, N_SET), *target = jinja_node(p, N_NAME);
		target->v = jv_string(jinja_want_ident(p));
		jinja_kid(p, set, target);
		jinja_want_op(p, "=");
		set->a = jinja_parse_expr(p);
		jinja_kid(p, n, set);
	}
	want_tag_end(p);
	n->b = body_until(p, "endwith");
	return n;
}

static struct node *
parse_jump(struct parser *p)
{
	struct node *n =
		jinja_node(p, jinja_at_name(&(struct parser){.t = p->t + 1}, "break") ? N_BREAK : N_CONTINUE);
	if (!p->in_loop)
		jinja_fail(p->c, "'%.*s' is not in a loop", STR(p->t[1].s));
	take_plain_tag(p);
	return n;
}

/* {% generation %}: marks what an assistant says, and prints as if it were not there. */
static struct node *
parse_generation(struct parser *p)
{
	struct node *n = jinja_node(p, N_BLOCK);
	take_plain_tag(p);
	n->b = body_until(p, "endgeneration");
	return n;
}

static struct node *
parse_tag(struct parser *p)
{
	static const struct {
		const char *name;
		struct node *(*parse)(struct parser *p);
	} tags[] = {
		{"if", parse_if},
		{"for", parse_for},
		{"set", parse_set},
		{"macro", parse_macro},
		{"call", parse_call},
		{"filter", parse_filter},
		{"with", parse_with},
		{"break", parse_jump},
		{"continue", parse_jump},
		{"generation", parse_generation},
	};
	struct str name = tag_name(p);
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (str_is(name, tags[i].name))
			return tags[i].parse(p);
	p->c->line = p->t->line;
	jinja_fail(p->c, "the tag '%.*s' is unknown or out of place", STR(name));
}

static struct node *
parse_statement(struct parser *p)
{
	struct node *n;
	switch (p->t->kind) {
	case T_TEXT:
		n = jinja_node(p, N_TEXT);
		n->v = jv_string(p->t++->s);
		return n;
	case T_OUT:
		n = jinja_node(p, N_OUT);
		p->t++;
		n->a = jinja_parse_tuple(p);
		p->c->line = p->t->line;
		if (p->t->kind != T_OUT_END)
			jinja_fail(p->c, "'%.*s' stands where '}}' is wanted", STR(p->t->s));
		p->t++;
		return n;
	default:
		return parse_tag(p);
	}
}

static bool
at_end(const struct parser *p, const char *const *ends)
{
	for (; ends && *ends; ends++)
		if (str_is(tag_name(p), *ends))
			return true;
	return false;
}

/* Statements up to one of the tags that may end them (left to the caller), or to the template's end. */
static struct node *
parse_body(struct parser *p, const char *const *ends)
{
	struct node *first = NULL, **at = &first;
	int line = p->t->line;
	jinja_deeper(p);
	while (p->t->kind != T_END && !at_end(p, ends)) {
		*at = parse_statement(p);
		at = &(*at)->next;
	}
	if (ends && p->t->kind == T_END) {
		size_t n = 0;
		while (ends[n + 1])
			n++;
		p->c->line = line;
		jinja_fail(p->c, "a block that starts here has no '%s'", ends[n]);
	}
	p->depth--;
	return first;
}

struct node *
jinja_parse(struct jinja_ctx *c, const struct token *t)
{
	struct parser p = {.c = c, .t = t};
	return parse_body(&p, NULL);
}

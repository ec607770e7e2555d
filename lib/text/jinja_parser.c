/* What the parts of the parser share: making nodes, looking at and taking tokens. */
#include <string.h>

#include "text/jinja_int.h"

struct node *
jinja_node(struct parser *p, enum node_kind kind)
{
	struct node *n = jinja_alloc(p->c, 1, sizeof *n);
	n->kind = kind;
	n->line = p->c->line = p->t->line;
	return n;
}

void
jinja_kid(struct parser *p, struct node *n, struct node *kid)
{
	if (n->n == n->cap) {
		size_t cap = n->cap * 2 + 4;
		struct node **v = jinja_alloc(p->c, cap, sizeof *v);
		if (n->n)
			memcpy(v, n->kid, n->n * sizeof *v);
		n->kid = v;
		n->cap = cap;
	}
	n->kid[n->n++] = kid;
}

void
jinja_deeper(struct parser *p)
{
	p->c->line = p->t->line;
	if (++p->depth > 200)
		jinja_fail(p->c, "the template is nested too deeply");
}

bool
jinja_at_op(const struct parser *p, const char *op)
{
	return p->t->kind == T_OP && str_is(p->t->s, op);
}

bool
jinja_at_name(const struct parser *p, const char *name)
{
	return p->t->kind == T_NAME && str_is(p->t->s, name);
}

bool
jinja_take_op(struct parser *p, const char *op)
{
	bool is = jinja_at_op(p, op);
	p->t += is;
	return is;
}

bool
jinja_take_name(struct parser *p, const char *name)
{
	bool is = jinja_at_name(p, name);
	p->t += is;
	return is;
}

void
jinja_unexpected(struct parser *p, const char *wanted)
{
	p->c->line = p->t->line;
	if (p->t->kind == T_END)
		jinja_fail(p->c, "the template ends where %s is wanted", wanted);
	jinja_fail(p->c, "'%.*s' stands where %s is wanted", STR(p->t->s), wanted);
}

void
jinja_want_op(struct parser *p, const char *op)
{
	char quoted[8] = {'\'', op[0], '\'', 0};
	if (!jinja_take_op(p, op))
		jinja_unexpected(p, quoted);
}

struct str
jinja_want_ident(struct parser *p)
{
	if (p->t->kind != T_NAME)
		jinja_unexpected(p, "a name");
	return p->t++->s;
}

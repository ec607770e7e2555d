/* Expressions of a template: Jinja's grammar, one function a level, the loosest binding first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_int.h"

static struct node *parse_unary(struct parser *p, bool filters);

static struct node *
binary(struct parser *p, enum node_kind kind, enum op op, struct node *a, struct node *b)
{
	struct node *n = jinja_node(p, kind);
	n->op = op;
	n->a = a;
	n->b = b;
	return n;
}

/* ---- primary expressions ---- */

static struct node *
parse_name(struct parser *p)
{
	static const struct {
		const char *name;
		struct value v;
	} constants[] = {
		{"true", {.kind = V_BOOL, .b = true}}, {"True", {.kind = V_BOOL, .b = true}},
		{"false", {.kind = V_BOOL}}, {"False", {.kind = V_BOOL}},
		{"none", {.kind = V_NONE}}, {"None", {.kind = V_NONE}},
	};
	struct node *n = jinja_node(p, N_NAME);
	struct str s = p->t++->s;
	n->v = jv_string(s);
	for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
		if (str_is(s, constants[i].name)) {
			n->kind = N_CONST;
			n->v = constants[i].v;
		}
	return n;
}

static struct node *
parse_number(struct parser *p)
{
	struct node *n = jinja_node(p, N_CONST);
	char text[48] = "";
	memcpy(text, p->t->s.p, p->t->s.n < sizeof text - 1 ? p->t->s.n : sizeof text - 1);
	errno = 0;
	if (p->t->kind == T_FLOAT)
		n->v = (struct value){.kind = V_FLOAT, .f = strtod(text, NULL)};
	else
		n->v = jv_int(strtoll(text, NULL, 10));
	if (errno)
		jinja_fail(p->c, "the number %s is too large", text);
	p->t++;
	return n;
}

static struct node *
parse_string(struct parser *p)
{
	struct node *n = jinja_node(p, N_CONST);
	struct strbuf b = {.c = p->c};
	while (p->t->kind == T_STRING)
		strbuf_str(&b, p->t++->s);
	n->v = jv_string(strbuf_get(&b));
	return n;
}

static struct node *
parse_list(struct parser *p)
{
	struct node *n = jinja_node(p, N_LIST);
	p->t++;
	while (!jinja_at_op(p, "]")) {
		if (n->n)
			jinja_want_op(p, ",");
		if (jinja_at_op(p, "]"))
			break;
		jinja_kid(p, n, jinja_parse_expr(p));
	}
	p->t++;
	return n;
}

static struct node *
parse_dict(struct parser *p)
{
	struct node *n = jinja_node(p, N_DICT);
	p->t++;
	while (!jinja_at_op(p, "}")) {
		if (n->n)
			jinja_want_op(p, ",");
		if (jinja_at_op(p, "}"))
			break;
		jinja_kid(p, n, jinja_parse_expr(p));
		jinja_want_op(p, ":");
		jinja_kid(p, n, jinja_parse_expr(p));
	}
	p->t++;
	return n;
}

static struct node *
parse_primary(struct parser *p)
{
	if (p->t->kind == T_NAME)
		return parse_name(p);
	if (p->t->kind == T_STRING)
		return parse_string(p);
	if (p->t->kind == T_INT || p->t->kind == T_FLOAT)
		return parse_number(p);
	if (jinja_at_op(p, "["))
		return parse_list(p);
	if (jinja_at_op(p, "{"))
		return parse_dict(p);
	if (!jinja_take_op(p, "("))
		jinja_unexpected(p, "an expression");
	struct node *n = jinja_at_op(p, ")") ? jinja_node(p, N_TUPLE) : jinja_parse_tuple(p);
	jinja_want_op(p, ")");
	return n;
}

/* ---- what follows a primary expression ---- */

static void
parse_args(struct parser *p, struct node *call)
{
	jinja_want_op(p, "(");
	while (!jinja_at_op(p, ")")) {
		if (call->n)
			jinja_want_op(p, ",");
		if (jinja_at_op(p, ")"))
			break;
		struct node *arg;
		bool keyword = p->t->kind == T_NAME && p->t[1].kind == T_OP && str_is(p->t[1].s, "=");
		if (keyword) {
			arg = jinja_node(p, N_KEYWORD);
			arg->v = jv_string(p->t->s);
			p->t += 2;
			arg->a = jinja_parse_expr(p);
		} else {
			if (call->n && call->kid[call->n - 1]->kind == N_KEYWORD)
				jinja_fail(p->c, "an argument without a name follows one with a name");
			arg = jinja_parse_expr(p);
		}
		jinja_kid(p, call, arg);
	}
	p->t++;
}

static struct node *
parse_subscript(struct parser *p, struct node *a)
{
	struct node *part[3] = {0};
	int n = 0;
	p->t++;
	for (; n < 3 && !jinja_at_op(p, "]"); n++) {
		if (!jinja_at_op(p, ":"))
			part[n] = jinja_parse_expr(p);
		if (!jinja_take_op(p, ":"))
			break;
	}
	bool slice = n > 0;
	jinja_want_op(p, "]");
	if (!slice && !part[0])
		jinja_fail(p->c, "'[]' is empty");
	struct node *item = binary(p, slice ? N_SLICE : N_ITEM, 0, a, slice ? NULL : part[0]);
	for (int i = 0; slice && i < 3; i++)
		jinja_kid(p, item, part[i]);
	return item;
}

static struct node *
parse_postfix(struct parser *p, struct node *n)
{
	for (;;) {
		if (jinja_at_op(p, "[")) {
			n = parse_subscript(p, n);
		} else if (jinja_at_op(p, "(")) {
			n = binary(p, N_CALL, 0, n, NULL);
			parse_args(p, n);
		} else if (jinja_take_op(p, ".")) {
			if (p->t->kind == T_INT) {
				struct node *index = parse_number(p);
				n = binary(p, N_ITEM, 0, n, index);
			} else {
				n = binary(p, N_ATTR, 0, n, NULL);
				n->v = jv_string(jinja_want_ident(p));
			}
		} else {
			return n;
		}
	}
}

static struct node *
parse_test(struct parser *p, struct node *subject)
{
	p->t++;
	bool negated = jinja_take_name(p, "not");
	struct node *n = binary(p, N_TEST, 0, subject, NULL), *outer = n;
	n->v = jv_string(jinja_want_ident(p));
	if (negated) {
		outer = jinja_node(p, N_NOT);
		outer->a = n;
	}
	static const char *const stop[] = {"else", "or", "and", "if", "is", "in", "not"};
	bool operand = p->t->kind == T_STRING || p->t->kind == T_INT || p->t->kind == T_FLOAT ||
		jinja_at_op(p, "[") || jinja_at_op(p, "{") || p->t->kind == T_NAME;
	for (size_t i = 0; i < sizeof stop / sizeof *stop; i++)
		operand = operand && !jinja_at_name(p, stop[i]);
	if (jinja_at_op(p, "(")) {
		parse_args(p, n);
	} else if (operand) {
		struct node *arg = parse_primary(p);
		jinja_kid(p, n, parse_postfix(p, arg));
	}
	return outer;
}

struct node *
jinja_parse_filter(struct parser *p, struct node *subject)
{
	struct node *n = binary(p, N_FILTER, 0, subject, NULL);
	n->v = jv_string(jinja_want_ident(p));
	if (jinja_at_op(p, "("))
		parse_args(p, n);
	return n;
}

struct node *
jinja_parse_filters(struct parser *p, struct node *n)
{
	for (;;) {
		if (jinja_take_op(p, "|")) {
			n = jinja_parse_filter(p, n);
		} else if (jinja_at_name(p, "is")) {
			n = parse_test(p, n);
		} else if (jinja_at_op(p, "(")) {
			n = binary(p, N_CALL, 0, n, NULL);
			parse_args(p, n);
		} else {
			return n;
		}
	}
}

/* ---- operators ---- */

static struct node *
parse_unary(struct parser *p, bool filters)
{
	struct node *n;
	jinja_deeper(p);
	if (jinja_at_op(p, "-") || jinja_at_op(p, "+")) {
		n = jinja_node(p, jinja_at_op(p, "-") ? N_NEG : N_POS);
		p->t++;
		n->a = parse_unary(p, false);
	} else {
		n = parse_primary(p);
	}
	n = parse_postfix(p, n);
	if (filters)
		n = jinja_parse_filters(p, n);
	p->depth--;
	return n;
}

struct op_name {
	const char *text;
	enum op op;
};

static bool
take_operator(struct parser *p, const struct op_name *v, size_t n, enum op *op)
{
	for (size_t i = 0; i < n; i++)
		if (jinja_take_op(p, v[i].text)) {
			*op = v[i].op;
			return true;
		}
	return false;
}

static struct node *
parse_pow(struct parser *p)
{
	struct node *n = parse_unary(p, true);
	while (jinja_take_op(p, "**"))
		n = binary(p, N_BINARY, OP_POW, n, parse_unary(p, true));
	return n;
}

static struct node *
parse_product(struct parser *p)
{
	static const struct op_name ops[] = {
		{"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOORDIV}, {"%", OP_MOD}};
	struct node *n = parse_pow(p);
	enum op op;
	while (take_operator(p, ops, 4, &op))
		n = binary(p, N_BINARY, op, n, parse_pow(p));
	return n;
}

static struct node *
parse_concat(struct parser *p)
{
	struct node *n = parse_product(p);
	if (!jinja_at_op(p, "~"))
		return n;
	struct node *all = jinja_node(p, N_CONCAT);
	jinja_kid(p, all, n);
	while (jinja_take_op(p, "~"))
		jinja_kid(p, all, parse_product(p));
	return all;
}

static struct node *
parse_sum(struct parser *p)
{
	static const struct op_name ops[] = {{"+", OP_ADD}, {"-", OP_SUB}};
	struct node *n = parse_concat(p);
	enum op op;
	while (take_operator(p, ops, 2, &op))
		n = binary(p, N_BINARY, op, n, parse_concat(p));
	return n;
}

static bool
take_comparison(struct parser *p, enum op *op)
{
	static const struct op_name ops[] = {
		{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE}, {">", OP_GT}, {">=", OP_GE}};
	*op = OP_IN;
	if (take_operator(p, ops, sizeof ops / sizeof *ops, op) || jinja_take_name(p, "in"))
		return true;
	if (!jinja_at_name(p, "not") || p->t[1].kind != T_NAME || !str_is(p->t[1].s, "in"))
		return false;
	*op = OP_NOT_IN;
	p->t += 2;
	return true;
}

static struct node *
parse_comparison(struct parser *p)
{
	struct node *n = parse_sum(p), *all = NULL;
	enum op op;
	while (take_comparison(p, &op)) {
		if (!all) {
			all = jinja_node(p, N_COMPARE);
			all->a = n;
		}
		jinja_kid(p, all, binary(p, N_BINARY, op, NULL, parse_sum(p)));
	}
	return all ? all : n;
}

static struct node *
parse_not(struct parser *p)
{
	if (!jinja_at_name(p, "not"))
		return parse_comparison(p);
	struct node *n = jinja_node(p, N_NOT);
	p->t++;
	jinja_deeper(p);
	n->a = parse_not(p);
	p->depth--;
	return n;
}

static struct node *
parse_and(struct parser *p)
{
	struct node *n = parse_not(p);
	while (jinja_take_name(p, "and"))
		n = binary(p, N_AND, 0, n, parse_not(p));
	return n;
}

struct node *
jinja_parse_or(struct parser *p)
{
	struct node *n = parse_and(p);
	while (jinja_take_name(p, "or"))
		n = binary(p, N_OR, 0, n, parse_and(p));
	return n;
}

struct node *
jinja_parse_expr(struct parser *p)
{
	jinja_deeper(p);
	struct node *n = jinja_parse_or(p);
	while (jinja_take_name(p, "if")) {
		struct node *cond = jinja_node(p, N_COND);
		cond->a = n;
		cond->b = jinja_parse_or(p);
		if (jinja_take_name(p, "else"))
			cond->c = jinja_parse_expr(p);
		n = cond;
	}
	p->depth--;
	return n;
}

struct node *
jinja_parse_tuple(struct parser *p)
{
	struct node *n = jinja_parse_expr(p);
	if (!jinja_at_op(p, ","))
		return n;
	struct node *all = jinja_node(p, N_TUPLE);
	jinja_kid(p, all, n);
	while (jinja_take_op(p, ",")) {
		if (jinja_at_op(p, ")") || p->t->kind == T_TAG_END || p->t->kind == T_OUT_END)
			break;
		jinja_kid(p, all, jinja_parse_expr(p));
	}
	return all;
}

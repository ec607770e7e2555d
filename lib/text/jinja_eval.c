/* The value of an expression. */
#include <math.h>
#include <string.h>

#include "text/jinja_int.h"

static struct value
lookup(const struct run *r, struct str name)
{
	for (const struct scope *s = r->scope; s; s = s->up)
		for (const struct variable *v = s->vars; v; v = v->next)
			if (str_eq(v->name, name))
				return v->value;
	const char *function = jinja_function(name);
	return function ? (struct value){.kind = V_FUNCTION, .function = function} : jv_undefined(name);
}

/* ---- attributes and items ---- */

static struct value
loop_attr(struct run *r, const struct loop *l, struct str name)
{
	size_t n = l->items->n;
	const struct {
		const char *name;
		struct value v;
	} attrs[] = {
		{"index", jv_int((int64_t)l->i + 1)},
		{"index0", jv_int((int64_t)l->i)},
		{"revindex", jv_int((int64_t)(n - l->i))},
		{"revindex0", jv_int((int64_t)(n - l->i) - 1)},
		{"first", jv_bool(l->i == 0)},
		{"last", jv_bool(l->i + 1 == n)},
		{"length", jv_int((int64_t)n)},
		{"depth", jv_int(l->depth)},
		{"depth0", jv_int(l->depth - 1)},
		{"previtem", l->i ? l->items->v[l->i - 1] : jv_undefined(name)},
		{"nextitem", l->i + 1 < n ? l->items->v[l->i + 1] : jv_undefined(name)},
	};
	for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
		if (str_is(name, attrs[i].name))
			return attrs[i].v;
	if (!str_is(name, "cycle"))
		jinja_fail(&r->c, "'loop.%.*s' is not supported", STR(name));
	struct method *m = jinja_alloc(&r->c, 1, sizeof *m);
	*m = (struct method){{.kind = V_LOOP, .loop = (struct loop *)l}, name};
	return (struct value){.kind = V_METHOD, .method = m};
}

static struct value
method_of(struct run *r, struct value v, struct str name)
{
	struct method *m = jinja_alloc(&r->c, 1, sizeof *m);
	*m = (struct method){v, name};
	return (struct value){.kind = V_METHOD, .method = m};
}

/* v.name: methods come before members, as in Jinja. */
struct value
jinja_attr(struct run *r, struct value v, struct str name)
{
	const struct value *member = NULL;
	if (v.kind == V_UNDEFINED)
		jinja_fail(&r->c, "'%.*s' is undefined, so it has no '%.*s'", STR(v.s), STR(name));
	if (v.kind == V_LOOP)
		return loop_attr(r, v.loop, name);
	if (v.kind == V_NAMESPACE)
		member = jv_dict_get(&r->c, v.ns, jv_string(name));
	else if (jinja_has_method(v, name))
		return method_of(r, v, name);
	else if (v.kind == V_DICT)
		member = jv_dict_get(&r->c, v.dict, jv_string(name));
	return member ? *member : jv_undefined(name);
}

struct value
jinja_item(struct run *r, struct value v, struct value key)
{
	int64_t i;
	if (v.kind == V_UNDEFINED)
		jinja_fail(&r->c, "'%.*s' is undefined, so it has no items", STR(v.s));
	if (v.kind == V_DICT) {
		const struct value *member = jv_dict_get(&r->c, v.dict, key);
		if (member)
			return *member;
	}
	if ((v.kind == V_LIST || v.kind == V_STRING) && jv_is_int(key, &i)) {
		int64_t n = (int64_t)(v.kind == V_LIST ? v.list->n : str_length(v.s));
		if (v.kind == V_STRING)
			jinja_step_text(&r->c, v.s);
		i += i < 0 ? n : 0;
		if (i < 0 || i >= n)
			return jv_undefined(str_lit("an index out of range"));
		if (v.kind == V_LIST)
			return v.list->v[i];
		size_t at = str_offset(v.s, (size_t)i);
		struct str rest = {v.s.p + at, v.s.n - at};
		return jv_string((struct str){rest.p, str_offset(rest, 1)});
	}
	if (key.kind == V_STRING && (v.kind != V_DICT || jinja_has_method(v, key.s)))
		return jinja_attr(r, v, key.s);
	return jv_undefined(jv_str(&r->c, key));
}

static struct value
eval_slice(struct run *r, const struct node *n)
{
	struct value v = jinja_eval(r, n->a);
	int64_t bound[3] = {0, 0, 1};
	bool given[3] = {false, false, false};
	for (int k = 0; k < 3; k++) {
		if (!n->kid[k])
			continue;
		struct value b = jinja_eval(r, n->kid[k]);
		given[k] = jv_is_int(b, &bound[k]);
		if (!given[k] && b.kind != V_NONE)
			jinja_fail(&r->c, "a slice is bounded by %s", jv_kind_name(b));
		if (bound[k] > INT32_MAX || bound[k] < -INT32_MAX)
			bound[k] = bound[k] > 0 ? INT32_MAX : -INT32_MAX;
	}
	if (v.kind == V_UNDEFINED)
		jinja_fail(&r->c, "'%.*s' is undefined, so it has no slices", STR(v.s));
	return jv_slice(
		&r->c, v, given[0] ? &bound[0] : NULL, given[1] ? &bound[1] : NULL, given[2] ? bound[2] : 1);
}

/* ---- calls ---- */

const struct value *
jinja_arg(const struct args *a, size_t i, const char *name)
{
	if (i < a->n)
		return &a->v[i];
	for (size_t k = 0; name && k < a->n_kw; k++)
		if (str_is(a->kw[k].key.s, name))
			return &a->kw[k].value;
	return NULL;
}

static struct args
eval_args(struct run *r, const struct node *call)
{
	struct args a = {0};
	a.v = jinja_alloc(&r->c, call->n, sizeof *a.v);
	a.kw = jinja_alloc(&r->c, call->n + 1, sizeof *a.kw);
	for (size_t i = 0; i < call->n; i++) {
		const struct node *k = call->kid[i];
		if (k->kind == N_KEYWORD)
			a.kw[a.n_kw++] = (struct pair){k->v, jinja_eval(r, k->a)};
		else
			a.v[a.n++] = jinja_eval(r, k);
	}
	return a;
}

struct value
jinja_call(struct run *r, const struct node *n, const struct value *caller)
{
	struct value f = jinja_eval(r, n->a);
	struct args a = eval_args(r, n);
	if (caller && f.kind != V_MACRO)
		jinja_fail(&r->c, "'call' wants a macro, not %s", jv_kind_name(f));
	if (caller)
		a.kw[a.n_kw++] = (struct pair){jv_string(str_lit("caller")), *caller};
	r->c.line = n->line;
	switch (f.kind) {
	case V_METHOD:
		return jinja_call_method(r, f.method, &a);
	case V_FUNCTION:
		return jinja_call_function(r, f.function, &a);
	case V_MACRO:
		return jinja_call_macro(r, f.macro, &a);
	case V_UNDEFINED:
		jinja_fail(&r->c, "'%.*s' is undefined and cannot be called", STR(f.s));
	default:
		jinja_fail(&r->c, "a %s cannot be called", jv_kind_name(f));
	}
}

/* ---- operators ---- */

_Noreturn static void
cannot(struct run *r, const char *verb, struct value a, struct value b)
{
	if (a.kind == V_UNDEFINED || b.kind == V_UNDEFINED)
		jinja_fail(&r->c, "'%.*s' is undefined", STR(a.kind == V_UNDEFINED ? a.s : b.s));
	jinja_fail(&r->c, "cannot %s %s and %s", verb, jv_kind_name(a), jv_kind_name(b));
}

static struct value
real(double x)
{
	return (struct value){.kind = V_FLOAT, .f = x};
}

static struct value
whole_arithmetic(struct run *r, enum op op, int64_t x, int64_t y)
{
	int64_t z = 0;
	bool overflow = false;
	if ((op == OP_FLOORDIV || op == OP_MOD || op == OP_DIV) && y == 0)
		jinja_fail(&r->c, "division by zero");
	switch (op) {
	case OP_ADD:
		overflow = __builtin_add_overflow(x, y, &z);
		break;
	case OP_SUB:
		overflow = __builtin_sub_overflow(x, y, &z);
		break;
	case OP_MUL:
		overflow = __builtin_mul_overflow(x, y, &z);
		break;
	case OP_DIV:
		return real((double)x / (double)y);
	case OP_POW:
		if (y < 0)
			return real(pow((double)x, (double)y));
		overflow = fabs(pow((double)x, (double)y)) > 9e15;
		z = overflow ? 0 : (int64_t)pow((double)x, (double)y);
		break;
	default:  /* floor division and its remainder, which has the sign of y */
		if (y == -1)
			return op == OP_MOD ? jv_int(0) : whole_arithmetic(r, OP_SUB, 0, x);
		z = x / y - (x % y != 0 && (x < 0) != (y < 0));
		if (op == OP_MOD)
			z = x - z * y;
	}
	if (overflow)
		jinja_fail(&r->c, "a whole number is too large");
	return jv_int(z);
}

static struct value
real_arithmetic(struct run *r, enum op op, double x, double y)
{
	if ((op == OP_FLOORDIV || op == OP_MOD || op == OP_DIV) && y == 0)
		jinja_fail(&r->c, "division by zero");
	switch (op) {
	case OP_ADD:
		return real(x + y);
	case OP_SUB:
		return real(x - y);
	case OP_MUL:
		return real(x * y);
	case OP_DIV:
		return real(x / y);
	case OP_POW:
		return real(pow(x, y));
	case OP_FLOORDIV:
		return real(floor(x / y));
	default:
		return real(x - floor(x / y) * y);
	}
}

static struct value
join_two(struct run *r, struct value a, struct value b)
{
	if (a.kind == V_STRING) {
		struct strbuf s = {.c = &r->c};
		strbuf_str(&s, a.s);
		strbuf_str(&s, b.s);
		return jv_string(strbuf_get(&s));
	}
	size_t n = a.list->n + b.list->n;
	struct value *v = jinja_alloc(&r->c, n, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = i < a.list->n ? a.list->v[i] : b.list->v[i - a.list->n];
	return jv_list(&r->c, v, n);
}

/* n * times, of characters or items; no template that is one needs more. */
static size_t
repeated(struct run *r, size_t n, int64_t times)
{
	enum { REPEATED_MAX = 1 << 20 };
	size_t all = 0;
	if (times > 0 && (__builtin_mul_overflow((size_t)times, n, &all) || all > REPEATED_MAX))
		jinja_fail(&r->c, "a repetition makes more than %d characters or items", REPEATED_MAX);
	jinja_step(&r->c, all);
	return all;
}

static struct value
repeat(struct run *r, struct str s, int64_t times)
{
	struct strbuf b = {.c = &r->c};
	for (size_t left = repeated(r, s.n, times); left; left -= s.n)
		strbuf_str(&b, s);
	return jv_string(strbuf_get(&b));
}

static struct value
repeat_list(struct run *r, const struct list *l, int64_t times)
{
	size_t n = repeated(r, l->n, times);
	struct value *v = jinja_alloc(&r->c, n, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = l->v[i % l->n];
	return jv_list(&r->c, v, n);
}

static struct value
arithmetic(struct run *r, enum op op, struct value a, struct value b)
{
	static const char *const verb[] = {
		"add", "subtract", "multiply", "divide", "divide", "divide", "raise"};
	int64_t x, y;
	if (jv_is_int(a, &x) && jv_is_int(b, &y))
		return whole_arithmetic(r, op, x, y);
	if (jv_is_number(a) && jv_is_number(b))
		return real_arithmetic(r, op, jv_number(a), jv_number(b));
	if (op == OP_ADD && a.kind == b.kind && (a.kind == V_STRING || a.kind == V_LIST))
		return join_two(r, a, b);
	if (op == OP_MUL && a.kind == V_LIST && jv_is_int(b, &y))
		return repeat_list(r, a.list, y);
	if (op == OP_MUL && a.kind == V_STRING && jv_is_int(b, &y))
		return repeat(r, a.s, y);
	if (op == OP_MUL && b.kind == V_STRING && jv_is_int(a, &x))
		return repeat(r, b.s, x);
	cannot(r, verb[op], a, b);
}

struct value
jinja_add(struct run *r, struct value a, struct value b)
{
	return arithmetic(r, OP_ADD, a, b);
}

static bool
compare(struct run *r, enum op op, struct value a, struct value b)
{
	switch (op) {
	case OP_EQ:
		return jv_equal(&r->c, a, b);
	case OP_NE:
		return !jv_equal(&r->c, a, b);
	case OP_IN:
		return jv_contains(&r->c, b, a);
	case OP_NOT_IN:
		return !jv_contains(&r->c, b, a);
	default:
		break;
	}
	if (a.kind == V_UNDEFINED || b.kind == V_UNDEFINED)
		cannot(r, "compare", a, b);
	int d = jv_compare(&r->c, a, b);
	return op == OP_LT ? d < 0 : op == OP_LE ? d <= 0 : op == OP_GT ? d > 0 : d >= 0;
}

static struct value
eval_comparison(struct run *r, const struct node *n)
{
	struct value a = jinja_eval(r, n->a);
	for (size_t i = 0; i < n->n; i++) {
		struct value b = jinja_eval(r, n->kid[i]->b);
		if (!compare(r, n->kid[i]->op, a, b))
			return jv_bool(false);
		a = b;
	}
	return jv_bool(true);
}

static struct value
eval_sign(struct run *r, const struct node *n)
{
	struct value v = jinja_eval(r, n->a);
	int64_t i;
	if (!jv_is_number(v))
		cannot(r, "negate", v, v);
	if (n->kind == N_POS)
		return v;
	return jv_is_int(v, &i) ? whole_arithmetic(r, OP_SUB, 0, i) : real(-v.f);
}

static struct value
eval_list(struct run *r, const struct node *n)
{
	struct value *v = jinja_alloc(&r->c, n->n, sizeof *v);
	for (size_t i = 0; i < n->n; i++)
		v[i] = jinja_eval(r, n->kid[i]);
	return n->kind == N_TUPLE ? jv_tuple(&r->c, v, n->n) : jv_list(&r->c, v, n->n);
}

static struct value
eval_dict(struct run *r, const struct node *n)
{
	struct dict *d = jinja_alloc(&r->c, 1, sizeof *d);
	d->depth = 1;
	for (size_t i = 0; i < n->n; i += 2) {
		struct value key = jinja_eval(r, n->kid[i]);
		if (key.kind != V_STRING && key.kind != V_NONE && !jv_is_number(key))
			jinja_fail(&r->c, "a %s cannot be a key", jv_kind_name(key));
		jv_dict_set(&r->c, d, key, jinja_eval(r, n->kid[i + 1]));
	}
	return jv_dict(d);
}

static struct value
eval_concat(struct run *r, const struct node *n)
{
	struct strbuf b = {.c = &r->c};
	for (size_t i = 0; i < n->n; i++)
		strbuf_str(&b, jv_str(&r->c, jinja_eval(r, n->kid[i])));
	return jv_string(strbuf_get(&b));
}

static struct value
eval_filter(struct run *r, const struct node *n)
{
	struct value v = jinja_eval(r, n->a);
	struct args a = eval_args(r, n);
	r->c.line = n->line;
	if (n->kind == N_TEST)
		return jv_bool(jinja_test(r, n->v.s, v, &a));
	return jinja_filter(r, n->v.s, v, &a);
}

static struct value
eval(struct run *r, const struct node *n)
{
	struct value v;
	switch (n->kind) {
	case N_CONST:
		return n->v;
	case N_NAME:
		return lookup(r, n->v.s);
	case N_LIST:
	case N_TUPLE:
		return eval_list(r, n);
	case N_DICT:
		return eval_dict(r, n);
	case N_ATTR:
		v = jinja_eval(r, n->a);
		return jinja_attr(r, v, n->v.s);
	case N_ITEM:
		v = jinja_eval(r, n->a);
		return jinja_item(r, v, jinja_eval(r, n->b));
	case N_SLICE:
		return eval_slice(r, n);
	case N_CALL:
		return jinja_call(r, n, NULL);
	case N_FILTER:
	case N_TEST:
		return eval_filter(r, n);
	case N_NOT:
		return jv_bool(!jv_true(jinja_eval(r, n->a)));
	case N_NEG:
	case N_POS:
		return eval_sign(r, n);
	case N_AND:
		v = jinja_eval(r, n->a);
		return jv_true(v) ? jinja_eval(r, n->b) : v;
	case N_OR:
		v = jinja_eval(r, n->a);
		return jv_true(v) ? v : jinja_eval(r, n->b);
	case N_BINARY:
		v = jinja_eval(r, n->a);
		return arithmetic(r, n->op, v, jinja_eval(r, n->b));
	case N_CONCAT:
		return eval_concat(r, n);
	case N_COMPARE:
		return eval_comparison(r, n);
	case N_COND:
		if (jv_true(jinja_eval(r, n->b)))
			return jinja_eval(r, n->a);
		return n->c ? jinja_eval(r, n->c) : jv_undefined(str_lit("an if without else"));
	default:
		jinja_fail(&r->c, "not an expression");
	}
}

struct value
jinja_eval(struct run *r, const struct node *n)
{
	enum { EVAL_DEPTH_MAX = 2000 };
	r->c.line = n->line;
	jinja_step(&r->c, 1);
	if (++r->depth > EVAL_DEPTH_MAX)
		jinja_fail(&r->c, "the template calls itself or nests too deeply");
	struct value v = eval(r, n);
	r->depth--;
	return v;
}

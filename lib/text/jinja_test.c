/* Tests: {{ value is name(arguments) }}. */
#include "text/jinja_int.h"

static bool
test_kind(struct str name, struct value v, bool *known)
{
	bool container = v.kind == V_LIST || v.kind == V_DICT || v.kind == V_STRING || v.kind == V_UNDEFINED;
	const struct {
		const char *name;
		bool is;
	} tests[] = {
		{"defined", v.kind != V_UNDEFINED},
		{"undefined", v.kind == V_UNDEFINED},
		{"none", v.kind == V_NONE},
		{"string", v.kind == V_STRING},
		{"mapping", v.kind == V_DICT},
		{"iterable", container},
		{"sequence", container},
		{"number", jv_is_number(v)},
		{"integer", v.kind == V_INT},
		{"float", v.kind == V_FLOAT},
		{"boolean", v.kind == V_BOOL},
		{"true", v.kind == V_BOOL && v.b},
		{"false", v.kind == V_BOOL && !v.b},
		{"callable", v.kind == V_METHOD || v.kind == V_MACRO || v.kind == V_FUNCTION},
	};
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (str_is(name, tests[i].name))
			return tests[i].is;
	*known = false;
	return false;
}

static bool
one_of(struct str name, const char *a, const char *b, const char *c)
{
	return str_is(name, a) || str_is(name, b) || (c && str_is(name, c));
}

static bool
test_order(struct run *r, struct str name, struct value v, struct value x)
{
	if (one_of(name, "gt", "greaterthan", ">"))
		return jv_compare(&r->c, v, x) > 0;
	if (one_of(name, "lt", "lessthan", "<"))
		return jv_compare(&r->c, v, x) < 0;
	if (one_of(name, "ge", ">=", NULL))
		return jv_compare(&r->c, v, x) >= 0;
	if (one_of(name, "le", "<=", NULL))
		return jv_compare(&r->c, v, x) <= 0;
	jinja_fail(&r->c, "the test '%.*s' is not supported", STR(name));
}

bool
jinja_test(struct run *r, struct str name, struct value v, const struct args *a)
{
	bool known = true, is = test_kind(name, v, &known);
	const struct value *x = jinja_arg(a, 0, NULL);
	int64_t i, by = 2;
	if (known)
		return is;
	if (str_is(name, "lower") || str_is(name, "upper"))
		return jinja_is_case(jv_str(&r->c, v), str_is(name, "upper"));
	if (str_is(name, "odd") || str_is(name, "even") || (str_is(name, "divisibleby") && x)) {
		if (!jv_is_int(v, &i) || (x && (!jv_is_int(*x, &by) || by == 0 || by == -1)))
			jinja_fail(&r->c, "'%.*s' wants whole numbers", STR(name));
		return (i % by == 0) != str_is(name, "odd");
	}
	if (!x)
		jinja_fail(&r->c, "the test '%.*s' is not supported, or wants an argument", STR(name));
	if (one_of(name, "equalto", "eq", "==") || str_is(name, "sameas"))
		return jv_equal(&r->c, v, *x) && (!str_is(name, "sameas") || v.kind == x->kind);
	if (one_of(name, "ne", "!=", NULL))
		return !jv_equal(&r->c, v, *x);
	if (str_is(name, "in"))
		return jv_contains(&r->c, *x, v);
	return test_order(r, name, v, *x);
}

/* Global functions of templates. */
#include <string.h>
#include <time.h>

#include "text/jinja_int.h"

/* ---- arguments ---- */

struct str
jinja_string_arg(struct run *r, const struct args *a, size_t i, const char *name, struct str method)
{
	const struct value *v = jinja_arg(a, i, name);
	if (!v || v->kind != V_STRING)
		jinja_fail(&r->c, "'%.*s' wants a string, not %s", STR(method),
			v ? jv_kind_name(*v) : "nothing");
	return v->s;
}

int64_t
jinja_int_arg(struct run *r, const struct args *a, size_t i, const char *name, int64_t otherwise)
{
	const struct value *v = jinja_arg(a, i, name);
	if (v && !jv_is_int(*v, &otherwise))
		jinja_fail(&r->c, "a whole number is wanted, not %s", jv_kind_name(*v));
	return otherwise;
}

/* ---- functions ---- */

static struct value
fn_namespace(struct run *r, const struct args *a)
{
	struct dict *d = jinja_alloc(&r->c, 1, sizeof *d);
	d->depth = 1;
	for (size_t i = 0; i < a->n; i++) {
		if (a->v[i].kind != V_DICT)
			jinja_fail(&r->c, "a namespace is made of names and values");
		for (size_t k = 0; k < a->v[i].dict->n; k++)
			jv_dict_set(&r->c, d, a->v[i].dict->p[k].key, a->v[i].dict->p[k].value);
	}
	for (size_t i = 0; i < a->n_kw; i++)
		jv_dict_set(&r->c, d, a->kw[i].key, a->kw[i].value);
	return (struct value){.kind = V_NAMESPACE, .ns = d};
}

static struct value
fn_dict(struct run *r, const struct args *a)
{
	struct value ns = fn_namespace(r, a);
	return jv_dict(ns.ns);
}

static struct value
fn_raise(struct run *r, const struct args *a)
{
	struct str text = a->n ? jv_str(&r->c, a->v[0]) : str_lit("the template refuses this record");
	jinja_fail(&r->c, "%.*s", (int)(text.n < 600 ? text.n : 600), text.p);
}

static struct value
fn_strftime(struct run *r, const struct args *a)
{
	struct str f = jinja_string_arg(r, a, 0, "format", str_lit("strftime_now"));
	char format[128], text[512];
	struct tm tm;
	if (f.n >= sizeof format)
		jinja_fail(&r->c, "'strftime_now' wants a shorter format");
	memcpy(format, f.p, f.n);
	format[f.n] = '\0';
	if (!localtime_r(&r->t->now, &tm))
		jinja_fail(&r->c, "the time is out of range");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	size_t n = strftime(text, sizeof text, format, &tm);
#pragma GCC diagnostic pop
	struct strbuf b = {.c = &r->c};
	strbuf_add(&b, text, n);
	return jv_string(strbuf_get(&b));
}

static struct value
fn_range(struct run *r, const struct args *a)
{
	int64_t start = jinja_int_arg(r, a, 0, NULL, 0), stop = jinja_int_arg(r, a, 1, NULL, 0),
		step = jinja_int_arg(r, a, 2, NULL, 1);
	enum { RANGE_MAX = 100000 };
	if (a->n == 1) {
		stop = start;
		start = 0;
	}
	if (step == 0 || a->n == 0)
		jinja_fail(&r->c, "'range' wants a stop and a step that is not 0");
	size_t n = 0, cap = 0;
	struct value *v = NULL;
	for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
		if (n == cap) {
			struct value *more = jinja_alloc(&r->c, cap = cap * 2 + 16, sizeof *more);
			if (n)
				memcpy(more, v, n * sizeof *v);
			v = more;
		}
		v[n++] = jv_int(i);
		if (n > RANGE_MAX || __builtin_add_overflow(i, step, &i))
			jinja_fail(&r->c, "a range has more than %d numbers", RANGE_MAX);
	}
	return jv_list(&r->c, v, n);
}

static const struct {
	const char *name;
	struct value (*call)(struct run *r, const struct args *a);
} functions[] = {
	{"namespace", fn_namespace}, {"dict", fn_dict}, {"raise_exception", fn_raise},
	{"strftime_now", fn_strftime}, {"range", fn_range},
};

const char *
jinja_function(struct str name)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (str_is(name, functions[i].name))
			return functions[i].name;
	return NULL;
}

struct value
jinja_call_function(struct run *r, const char *name, const struct args *a)
{
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (strcmp(name, functions[i].name) == 0)
			return functions[i].call(r, a);
	jinja_fail(&r->c, "'%s' is not a function", name);
}

/* Global functions of templates, and the methods of strings, lists and mappings. */
#include <string.h>
#include <time.h>

#include "text/jinja_int.h"

/* ---- arguments ---- */

static struct str
string_arg(struct run *r, const struct args *a, size_t i, const char *name, struct str method)
{
	const struct value *v = jinja_arg(a, i, name);
	if (!v || v->kind != V_STRING)
		jinja_fail(&r->c, "'%.*s' wants a string, not %s", STR(method),
			v ? jv_kind_name(*v) : "nothing");
	return v->s;
}

static int64_t
int_arg(struct run *r, const struct args *a, size_t i, const char *name, int64_t otherwise)
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
	struct str f = string_arg(r, a, 0, "format", str_lit("strftime_now"));
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
	int64_t start = int_arg(r, a, 0, NULL, 0), stop = int_arg(r, a, 1, NULL, 0),
		step = int_arg(r, a, 2, NULL, 1);
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

/* ---- methods of strings ---- */

static struct value
str_split(struct run *r, struct str s, const struct args *a)
{
	const struct value *sep = jinja_arg(a, 0, "sep");
	int64_t left = int_arg(r, a, 1, "maxsplit", -1);
	bool blanks = !sep || sep->kind == V_NONE;
	struct str by = blanks ? (struct str){" ", 1} : string_arg(r, a, 0, "sep", str_lit("split"));
	struct value *v = NULL;
	size_t n = 0, cap = 0;
	if (by.n == 0)
		jinja_fail(&r->c, "'split' has an empty separator");
	for (bool more = true; more; left--) {
		if (blanks)
			s = str_strip(s, NULL, STRIP_LEFT);
		if (blanks && s.n == 0)
			break;
		struct str rest = {"", 0}, head = s;
		if (left != 0 && blanks) {  /* up to the next white space: what stripping moves past */
			size_t at = 0;
			for (; at < s.n; at += str_offset((struct str){s.p + at, s.n - at}, 1)) {
				struct str tail = {s.p + at, s.n - at};
				if (str_strip(tail, NULL, STRIP_LEFT).n != tail.n)
					break;
			}
			head.n = at;
			rest = (struct str){s.p + at, s.n - at};
			more = at < s.n;
		} else if (left != 0) {
			long at = str_find(s, by, 0);
			more = at >= 0;
			if (more) {
				head.n = (size_t)at;
				rest = (struct str){s.p + at + by.n, s.n - (size_t)at - by.n};
			}
		} else {
			more = false;
		}
		if (n == cap) {
			struct value *bigger = jinja_alloc(&r->c, cap = cap * 2 + 8, sizeof *bigger);
			if (n)
				memcpy(bigger, v, n * sizeof *v);
			v = bigger;
		}
		v[n++] = jv_string(head);
		s = rest;
	}
	return jv_list(&r->c, v, n);
}

/* startswith, endswith: one string, or any of a tuple. */
static bool
has_affix(struct run *r, struct str s, const struct args *a, bool at_end, struct str method)
{
	if (a->n && a->v[0].kind == V_LIST) {
		const struct list *l = a->v[0].list;
		for (size_t i = 0; i < l->n; i++)
			if (has_affix(r, s, &(struct args){.v = &l->v[i], .n = 1}, at_end, method))
				return true;
		return false;
	}
	struct str x = string_arg(r, a, 0, NULL, method);
	return x.n <= s.n && (x.n == 0 || memcmp(at_end ? s.p + s.n - x.n : s.p, x.p, x.n) == 0);
}

static struct value
remove_affix(struct run *r, struct str s, const struct args *a, bool at_end, struct str method)
{
	if (has_affix(r, s, a, at_end, method)) {
		size_t n = string_arg(r, a, 0, NULL, method).n;
		s.p += at_end ? 0 : n;
		s.n -= n;
	}
	return jv_string(s);
}

static struct value
str_find_method(struct run *r, struct str s, const struct args *a, struct str method)
{
	long at = str_find(s, string_arg(r, a, 0, NULL, method), 0);
	return jv_int(at < 0 ? -1 : (int64_t)str_length((struct str){s.p, (size_t)at}));
}

static struct value
str_count(struct run *r, struct str s, const struct args *a, struct str method)
{
	struct str what = string_arg(r, a, 0, NULL, method);
	int64_t n = 0;
	if (what.n == 0)
		return jv_int((int64_t)str_length(s) + 1);
	for (long at = 0; (at = str_find(s, what, (size_t)at)) >= 0; at += (long)what.n)
		n++;
	return jv_int(n);
}

static struct value
str_join(struct run *r, struct str s, const struct args *a)
{
	struct strbuf b = {.c = &r->c};
	struct value items = jv_iterate(&r->c, a->n ? a->v[0] : jv_undefined(str_lit("join")));
	for (size_t i = 0; i < items.list->n; i++) {
		if (items.list->v[i].kind != V_STRING)
			jinja_fail(&r->c, "'join' wants strings, not %s", jv_kind_name(items.list->v[i]));
		if (i)
			strbuf_str(&b, s);
		strbuf_str(&b, items.list->v[i].s);
	}
	return jv_string(strbuf_get(&b));
}

static struct value
str_lines(struct run *r, struct str s)
{
	struct str text = str_replace(&r->c, s, str_lit("\r\n"), str_lit("\n"), -1);
	if (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	else if (text.n == 0)
		return jv_list(&r->c, NULL, 0);
	struct value by = jv_string(str_lit("\n"));
	return str_split(r, text, &(struct args){.v = &by, .n = 1});
}

static bool
all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static struct value
strip_method(struct run *r, struct str s, const struct args *a, int sides)
{
	const struct value *chars = jinja_arg(a, 0, NULL);
	bool given = chars && chars->kind != V_NONE;
	if (given && chars->kind != V_STRING)
		jinja_fail(&r->c, "what to strip is a string, not %s", jv_kind_name(*chars));
	return jv_string(str_strip(s, given ? &chars->s : NULL, sides));
}

enum method_id {
	M_STRIP, M_LSTRIP, M_RSTRIP, M_SPLIT, M_STARTSWITH, M_ENDSWITH, M_REPLACE, M_UPPER, M_LOWER, M_TITLE,
	M_CAPITALIZE, M_FIND, M_COUNT, M_JOIN, M_SPLITLINES, M_REMOVEPREFIX, M_REMOVESUFFIX, M_ISDIGIT,
	M_ITEMS, M_KEYS, M_VALUES, M_GET, M_INDEX, M_LIST_COUNT, M_CYCLE,
};

static const struct method_name {
	enum value_kind of;
	const char *name;
	enum method_id id;
} methods[] = {
	{V_STRING, "strip", M_STRIP},
	{V_STRING, "lstrip", M_LSTRIP},
	{V_STRING, "rstrip", M_RSTRIP},
	{V_STRING, "split", M_SPLIT},
	{V_STRING, "startswith", M_STARTSWITH},
	{V_STRING, "endswith", M_ENDSWITH},
	{V_STRING, "replace", M_REPLACE},
	{V_STRING, "upper", M_UPPER},
	{V_STRING, "lower", M_LOWER},
	{V_STRING, "title", M_TITLE},
	{V_STRING, "capitalize", M_CAPITALIZE},
	{V_STRING, "find", M_FIND},
	{V_STRING, "count", M_COUNT},
	{V_STRING, "join", M_JOIN},
	{V_STRING, "splitlines", M_SPLITLINES},
	{V_STRING, "removeprefix", M_REMOVEPREFIX},
	{V_STRING, "removesuffix", M_REMOVESUFFIX},
	{V_STRING, "isdigit", M_ISDIGIT},
	{V_DICT, "items", M_ITEMS},
	{V_DICT, "keys", M_KEYS},
	{V_DICT, "values", M_VALUES},
	{V_DICT, "get", M_GET},
	{V_LIST, "index", M_INDEX},
	{V_LIST, "count", M_LIST_COUNT},
	{V_LOOP, "cycle", M_CYCLE},
};

static const struct method_name *
find_method(enum value_kind of, struct str name)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (methods[i].of == of && str_is(name, methods[i].name))
			return &methods[i];
	return NULL;
}

bool
jinja_has_method(struct value v, struct str name)
{
	return find_method(v.kind, name) != NULL;
}

static struct value
replace_method(struct run *r, struct str s, const struct args *a, struct str name)
{
	struct str old = string_arg(r, a, 0, "old", name), new = string_arg(r, a, 1, "new", name);
	return jv_string(str_replace(&r->c, s, old, new, int_arg(r, a, 2, "count", -1)));
}

static struct value
call_string(struct run *r, enum method_id id, struct str s, const struct args *a, struct str name)
{
	switch (id) {
	case M_STRIP:
		return strip_method(r, s, a, STRIP_LEFT | STRIP_RIGHT);
	case M_LSTRIP:
		return strip_method(r, s, a, STRIP_LEFT);
	case M_RSTRIP:
		return strip_method(r, s, a, STRIP_RIGHT);
	case M_SPLIT:
		return str_split(r, s, a);
	case M_STARTSWITH:
	case M_ENDSWITH:
		return jv_bool(has_affix(r, s, a, id == M_ENDSWITH, name));
	case M_REMOVEPREFIX:
	case M_REMOVESUFFIX:
		return remove_affix(r, s, a, id == M_REMOVESUFFIX, name);
	case M_REPLACE:
		return replace_method(r, s, a, name);
	case M_UPPER:
		return jv_string(str_case(&r->c, s, CASE_UPPER));
	case M_LOWER:
		return jv_string(str_case(&r->c, s, CASE_LOWER));
	case M_TITLE:
		return jv_string(str_case(&r->c, s, CASE_TITLE));
	case M_CAPITALIZE:
		return jv_string(str_case(&r->c, s, CASE_CAPITAL));
	case M_FIND:
		return str_find_method(r, s, a, name);
	case M_COUNT:
		return str_count(r, s, a, name);
	case M_JOIN:
		return str_join(r, s, a);
	case M_SPLITLINES:
		return str_lines(r, s);
	default:
		return jv_bool(all_digits(s));
	}
}

/* ---- methods of mappings, lists and loops ---- */

static struct value
dict_list(struct run *r, const struct dict *d, enum method_id id)
{
	struct value *v = jinja_alloc(&r->c, d->n, sizeof *v);
	for (size_t i = 0; i < d->n; i++) {
		struct value pair[2] = {d->p[i].key, d->p[i].value};
		v[i] = id == M_ITEMS ? jv_tuple(&r->c, pair, 2) : pair[id == M_VALUES];
	}
	return jv_list(&r->c, v, d->n);
}

static struct value
call_other(struct run *r, enum method_id id, const struct method *m, const struct args *a)
{
	const struct value *arg = jinja_arg(a, 0, NULL), *otherwise = jinja_arg(a, 1, NULL), *found;
	int64_t n = 0;
	if (id == M_ITEMS || id == M_KEYS || id == M_VALUES)
		return dict_list(r, m->self.dict, id);
	if (!arg)
		jinja_fail(&r->c, "'%.*s' wants an argument", STR(m->name));
	switch (id) {
	case M_GET:
		found = jv_dict_get(&r->c, m->self.dict, *arg);
		return found ? *found : otherwise ? *otherwise : jv_none;
	case M_CYCLE:
		return a->v[m->self.loop->i % a->n];
	case M_INDEX:
		for (size_t i = 0; i < m->self.list->n; i++)
			if (jv_equal(&r->c, m->self.list->v[i], *arg))
				return jv_int((int64_t)i);
		jinja_fail(&r->c, "'index' finds nothing");
	default:
		for (size_t i = 0; i < m->self.list->n; i++)
			n += jv_equal(&r->c, m->self.list->v[i], *arg);
		return jv_int(n);
	}
}

struct value
jinja_call_method(struct run *r, const struct method *m, const struct args *a)
{
	enum method_id id = find_method(m->self.kind, m->name)->id;
	if (m->self.kind == V_STRING)
		return call_string(r, id, m->self.s, a, m->name);
	return call_other(r, id, m, a);
}

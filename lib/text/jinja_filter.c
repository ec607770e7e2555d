/* Filters: {{ value|name(arguments) }}. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_int.h"

/* a.b.c of an item, by names and numbers as attribute= gives them. */
static struct value
path_of(struct run *r, struct value v, struct value path)
{
	if (path.kind != V_STRING)
		return jinja_item(r, v, path);
	struct str s = path.s;
	for (;;) {
		const char *dot = s.n ? memchr(s.p, '.', s.n) : NULL;
		struct str head = {s.p, dot ? (size_t)(dot - s.p) : s.n};
		v = head.n && head.p[0] >= '0' && head.p[0] <= '9' ? jinja_item(r, v, jv_int(atoi(head.p))) :
			jinja_item(r, v, jv_string(head));
		if (!dot)
			return v;
		s = (struct str){dot + 1, s.n - head.n - 1};
	}
}

static struct str
text_arg(struct run *r, const struct args *a, size_t i, const char *name, const char *otherwise)
{
	const struct value *v = jinja_arg(a, i, name);
	return v ? jv_str(&r->c, *v) : str_lit(otherwise);
}

static bool
flag_arg(const struct args *a, size_t i, const char *name)
{
	const struct value *v = jinja_arg(a, i, name);
	return v && jv_true(*v);
}

/* ---- on any value ---- */

static struct value
f_default(struct run *r, struct value v, const struct args *a)
{
	(void)r;
	const struct value *d = jinja_arg(a, 0, "default_value");
	bool take = v.kind == V_UNDEFINED || (flag_arg(a, 1, "boolean") && !jv_true(v));
	return !take ? v : d ? *d : jv_string(str_lit(""));
}

static struct value
f_string(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	return jv_string(jv_str(&r->c, v));
}

static struct value
f_length(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	switch (v.kind) {
	case V_STRING:
		return jv_int((int64_t)str_length(v.s));
	case V_LIST:
		return jv_int((int64_t)v.list->n);
	case V_DICT:
		return jv_int((int64_t)v.dict->n);
	case V_UNDEFINED:
		return jv_int(0);
	default:
		jinja_fail(&r->c, "a %s has no length", jv_kind_name(v));
	}
}

static struct value
f_tojson(struct run *r, struct value v, const struct args *a)
{
	const struct value *indent = jinja_arg(a, 0, "indent"), *sep = jinja_arg(a, 1, "separators");
	struct json_style style = {-1, str_lit(", "), str_lit(": "), flag_arg(a, 2, "sort_keys")};
	int64_t n;
	if (indent && jv_is_int(*indent, &n)) {
		style.indent = n < 0 ? 0 : n > 64 ? 64 : (int)n;
		style.item = str_lit(",");
	}
	if (sep && sep->kind == V_LIST && sep->list->n == 2) {
		style.item = jv_str(&r->c, sep->list->v[0]);
		style.key = jv_str(&r->c, sep->list->v[1]);
	}
	return jv_string(jv_json(&r->c, v, &style));
}

static struct value
to_number(struct run *r, struct value v, const struct args *a, bool whole)
{
	const struct value *d = jinja_arg(a, 0, "default");
	struct value otherwise = d ? *d : whole ? jv_int(0) : (struct value){.kind = V_FLOAT};
	int64_t i;
	double x;
	if (v.kind == V_STRING) {
		char text[64] = "", *end;
		struct str s = str_strip(v.s, NULL, STRIP_LEFT | STRIP_RIGHT);
		if (s.n == 0 || s.n >= sizeof text)
			return otherwise;
		memcpy(text, s.p, s.n);
		x = strtod(text, &end);
		if (*end)
			return otherwise;
	} else if (jv_is_int(v, &i) && whole) {
		return jv_int(i);
	} else if (jv_is_number(v)) {
		x = jv_number(v);
	} else {
		return otherwise;
	}
	if (whole && !(fabs(x) < 9e15))
		jinja_fail(&r->c, "a number is too large");
	return whole ? jv_int((int64_t)x) : (struct value){.kind = V_FLOAT, .f = x};
}

static struct value
f_int(struct run *r, struct value v, const struct args *a)
{
	return to_number(r, v, a, true);
}

static struct value
f_float(struct run *r, struct value v, const struct args *a)
{
	return to_number(r, v, a, false);
}

static struct value
f_abs(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	int64_t i;
	if (jv_is_int(v, &i) && i > INT64_MIN)
		return jv_int(i < 0 ? -i : i);
	if (v.kind != V_FLOAT)
		jinja_fail(&r->c, "'abs' wants a number, not %s", jv_kind_name(v));
	return (struct value){.kind = V_FLOAT, .f = fabs(v.f)};
}

static struct value
f_round(struct run *r, struct value v, const struct args *a)
{
	const struct value *p = jinja_arg(a, 0, "precision");
	if (!jv_is_number(v))
		jinja_fail(&r->c, "'round' wants a number, not %s", jv_kind_name(v));
	double scale = pow(10, p ? jv_number(*p) : 0);
	return (struct value){.kind = V_FLOAT, .f = rint(jv_number(v) * scale) / scale};
}

/* ---- on text ---- */

static struct value
f_trim(struct run *r, struct value v, const struct args *a)
{
	const struct value *chars = jinja_arg(a, 0, "chars");
	struct str set = chars && chars->kind == V_STRING ? chars->s : (struct str){"", 0};
	bool given = chars && chars->kind == V_STRING;
	return jv_string(str_strip(jv_str(&r->c, v), given ? &set : NULL, STRIP_LEFT | STRIP_RIGHT));
}

static struct value
f_upper(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	return jv_string(str_case(&r->c, jv_str(&r->c, v), CASE_UPPER));
}

static struct value
f_lower(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	return jv_string(str_case(&r->c, jv_str(&r->c, v), CASE_LOWER));
}

static struct value
f_capitalize(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	return jv_string(str_case(&r->c, jv_str(&r->c, v), CASE_CAPITAL));
}

/* Jinja's own title: a word starts behind white space or one of -([{< only. */
static struct value
f_title(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	struct str s = jv_str(&r->c, v);
	struct strbuf b = {.c = &r->c};
	for (size_t from = 0, at; from < s.n; from = at) {
		for (at = from; at < s.n && !strchr(" \t\n\r\f\v-([{<", s.p[at] ? s.p[at] : 'x'); at++)
			;
		strbuf_str(&b, str_case(&r->c, (struct str){s.p + from, at - from}, CASE_CAPITAL));
		if (at < s.n)
			strbuf_add(&b, s.p + at++, 1);
	}
	return jv_string(strbuf_get(&b));
}

static struct value
f_replace(struct run *r, struct value v, const struct args *a)
{
	const struct value *count = jinja_arg(a, 2, "count");
	int64_t n = -1;
	if (count)
		jv_is_int(*count, &n);
	struct str old = text_arg(r, a, 0, "old", ""), new = text_arg(r, a, 1, "new", "");
	return jv_string(str_replace(&r->c, jv_str(&r->c, v), old, new, n));
}

static struct value
f_indent(struct run *r, struct value v, const struct args *a)
{
	const struct value *width = jinja_arg(a, 0, "width");
	bool first = flag_arg(a, 1, "first"), blank = flag_arg(a, 2, "blank");
	struct str s = jv_str(&r->c, v), pad;
	int64_t n = 4;
	if (width && width->kind != V_STRING)
		jv_is_int(*width, &n);
	n = n < 0 ? 0 : n > 64 ? 64 : n;
	static const char spaces[65] = "                                                                ";
	pad = width && width->kind == V_STRING ? width->s : (struct str){spaces, (size_t)n};
	struct strbuf b = {.c = &r->c};
	for (size_t from = 0, line = 0; from <= s.n; line++) {
		const char *lf = from < s.n ? memchr(s.p + from, '\n', s.n - from) : NULL;
		size_t end = lf ? (size_t)(lf - s.p) : s.n;
		if (line ? end > from || blank : first)
			strbuf_str(&b, pad);
		strbuf_add(&b, s.p + from, end - from + (lf != NULL));
		from = end + 1;
	}
	return jv_string(strbuf_get(&b));
}

/* ---- on lists ---- */

static struct value
f_join(struct run *r, struct value v, const struct args *a)
{
	struct str by = text_arg(r, a, 0, "d", "");
	const struct value *path = jinja_arg(a, 1, "attribute");
	const struct list *l = jv_iterate(&r->c, v).list;
	struct strbuf b = {.c = &r->c};
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			strbuf_str(&b, by);
		strbuf_str(&b, jv_str(&r->c, path ? path_of(r, l->v[i], *path) : l->v[i]));
	}
	return jv_string(strbuf_get(&b));
}

static struct value
f_first(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	const struct list *l = jv_iterate(&r->c, v).list;
	return l->n ? l->v[0] : jv_undefined(str_lit("the first item of nothing"));
}

static struct value
f_last(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	const struct list *l = jv_iterate(&r->c, v).list;
	return l->n ? l->v[l->n - 1] : jv_undefined(str_lit("the last item of nothing"));
}

static struct value
f_list(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	return jv_iterate(&r->c, v);
}

static struct value
f_reverse(struct run *r, struct value v, const struct args *a)
{
	(void)a;
	return jv_slice(&r->c, v.kind == V_STRING ? v : jv_iterate(&r->c, v), NULL, NULL, -1);
}

static struct value
f_items(struct run *r, struct value v, const struct args *a)
{
	if (v.kind == V_UNDEFINED)
		return jv_list(&r->c, NULL, 0);
	if (v.kind != V_DICT)
		jinja_fail(&r->c, "'items' wants a mapping, not %s", jv_kind_name(v));
	return jinja_call_method(r, &(struct method){v, str_lit("items")}, a);
}

/* Values in order, by insertion: lists here are short, and errors may leave from a comparison. */
static void
sort_by(struct run *r, struct value *v, struct value *key, size_t n, bool reverse)
{
	for (size_t i = 1; i < n; i++) {
		struct value x = v[i], k = key[i];
		size_t j = i;
		for (; j &&
			(reverse ? jv_compare(&r->c, key[j - 1], k) < 0
				 : jv_compare(&r->c, key[j - 1], k) > 0);
			j--) {
			v[j] = v[j - 1];
			key[j] = key[j - 1];
		}
		v[j] = x;
		key[j] = k;
	}
}

static struct value
fold_case(struct run *r, struct value v, bool fold)
{
	return fold && v.kind == V_STRING ? jv_string(str_case(&r->c, v.s, CASE_LOWER)) : v;
}

static struct value
f_sort(struct run *r, struct value v, const struct args *a)
{
	const struct value *path = jinja_arg(a, 2, "attribute");
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out),
		     *key = jinja_alloc(&r->c, l->n, sizeof *key);
	for (size_t i = 0; i < l->n; i++) {
		out[i] = l->v[i];
		key[i] = fold_case(
			r, path ? path_of(r, out[i], *path) : out[i], !flag_arg(a, 1, "case_sensitive"));
	}
	sort_by(r, out, key, l->n, flag_arg(a, 0, "reverse"));
	return jv_list(&r->c, out, l->n);
}

static struct value
f_dictsort(struct run *r, struct value v, const struct args *a)
{
	const struct list *l = f_items(r, v, &(struct args){0}).list;
	size_t by = str_is(text_arg(r, a, 1, "by", "key"), "value");
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out),
		     *key = jinja_alloc(&r->c, l->n, sizeof *key);
	for (size_t i = 0; i < l->n; i++) {
		out[i] = l->v[i];
		key[i] = fold_case(r, out[i].list->v[by], !flag_arg(a, 0, "case_sensitive"));
	}
	sort_by(r, out, key, l->n, flag_arg(a, 2, "reverse"));
	return jv_list(&r->c, out, l->n);
}

static struct value
f_unique(struct run *r, struct value v, const struct args *a)
{
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out);
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct value key = fold_case(r, l->v[i], !flag_arg(a, 0, "case_sensitive"));
		bool seen = false;
		for (size_t k = 0; k < n && !seen; k++)
			seen = jv_equal(&r->c, fold_case(r, out[k], !flag_arg(a, 0, "case_sensitive")), key);
		if (!seen)
			out[n++] = l->v[i];
	}
	return jv_list(&r->c, out, n);
}

static struct value
f_map(struct run *r, struct value v, const struct args *a)
{
	const struct value *path = jinja_arg(a, SIZE_MAX, "attribute"),
			   *otherwise = jinja_arg(a, SIZE_MAX, "default");
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out);
	if (!path && (a->n == 0 || a->v[0].kind != V_STRING))
		jinja_fail(&r->c, "'map' wants a filter's name or attribute=");
	struct args rest = {.v = a->v + 1, .n = a->n ? a->n - 1 : 0, .kw = a->kw, .n_kw = a->n_kw};
	for (size_t i = 0; i < l->n; i++) {
		out[i] = path ? path_of(r, l->v[i], *path) : jinja_filter(r, a->v[0].s, l->v[i], &rest);
		if (path && otherwise && out[i].kind == V_UNDEFINED)
			out[i] = *otherwise;
	}
	return jv_list(&r->c, out, l->n);
}

/* The items (or those whose attribute) that pass a test, or fail it; without a test: that are true. */
static struct value
choose(struct run *r, struct value v, const struct args *a, bool attribute, bool wanted)
{
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out);
	size_t n = 0, first = attribute;
	if (attribute && a->n == 0)
		jinja_fail(&r->c, "an attribute's name is wanted");
	struct args rest = {.v = a->v + first + 1, .n = a->n > first ? a->n - first - 1 : 0};
	for (size_t i = 0; i < l->n; i++) {
		struct value x = attribute ? path_of(r, l->v[i], a->v[0]) : l->v[i];
		bool pass = a->n > first ? jinja_test(r, jv_str(&r->c, a->v[first]), x, &rest) : jv_true(x);
		if (pass == wanted)
			out[n++] = l->v[i];
	}
	return jv_list(&r->c, out, n);
}

static struct value
f_select(struct run *r, struct value v, const struct args *a)
{
	return choose(r, v, a, false, true);
}

static struct value
f_reject(struct run *r, struct value v, const struct args *a)
{
	return choose(r, v, a, false, false);
}

static struct value
f_selectattr(struct run *r, struct value v, const struct args *a)
{
	return choose(r, v, a, true, true);
}

static struct value
f_rejectattr(struct run *r, struct value v, const struct args *a)
{
	return choose(r, v, a, true, false);
}

static const struct {
	const char *name;
	struct value (*apply)(struct run *r, struct value v, const struct args *a);
} filters[] = {
	{"trim", f_trim},
	{"length", f_length},
	{"count", f_length},
	{"tojson", f_tojson},
	{"join", f_join},
	{"upper", f_upper},
	{"lower", f_lower},
	{"title", f_title},
	{"capitalize", f_capitalize},
	{"first", f_first},
	{"last", f_last},
	{"list", f_list},
	{"items", f_items},
	{"replace", f_replace},
	{"default", f_default},
	{"d", f_default},
	{"string", f_string},
	{"safe", f_string},
	{"int", f_int},
	{"float", f_float},
	{"abs", f_abs},
	{"round", f_round},
	{"indent", f_indent},
	{"reverse", f_reverse},
	{"sort", f_sort},
	{"dictsort", f_dictsort},
	{"unique", f_unique},
	{"map", f_map},
	{"select", f_select},
	{"reject", f_reject},
	{"selectattr", f_selectattr},
	{"rejectattr", f_rejectattr},
};

struct value
jinja_filter(struct run *r, struct str name, struct value v, const struct args *a)
{
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		if (str_is(name, filters[i].name))
			return filters[i].apply(r, v, a);
	jinja_fail(&r->c, "the filter '%.*s' is not supported", STR(name));
}

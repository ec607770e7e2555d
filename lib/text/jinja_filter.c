/* Filters: {{ value|name(arguments) }}; those on lists are in jinja_filter_list.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_int.h"

static struct str
text_arg(struct run *r, const struct args *a, size_t i, const char *name, const char *otherwise)
{
	const struct value *v = jinja_arg(a, i, name);
	return v ? jv_str(&r->c, *v) : str_lit(otherwise);
}

bool
jinja_flag_arg(const struct args *a, size_t i, const char *name)
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
	bool take = v.kind == V_UNDEFINED || (jinja_flag_arg(a, 1, "boolean") && !jv_true(v));
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
	const struct value *indent = jinja_arg(a, 1, "indent"), *sep = jinja_arg(a, 2, "separators");
	struct json_style style = {-1, str_lit(", "), str_lit(": "), jinja_flag_arg(a, 3, "sort_keys"),
		jinja_flag_arg(a, 0, "ensure_ascii")};
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
	if (p && !jv_is_number(*p))
		jinja_fail(&r->c, "'round' wants a number of digits, not %s", jv_kind_name(*p));
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
	jinja_step_pairs(&r->c, v.kind == V_STRING ? v.s : (struct str){"", 0}, set);
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
	bool first = jinja_flag_arg(a, 1, "first"), blank = jinja_flag_arg(a, 2, "blank");
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

static struct value
f_escape(struct run *r, struct value v, const struct args *a)
{
	static const char *const names[][2] = {
		{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
	struct str s = jv_str(&r->c, v);
	(void)a;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		s = str_replace(&r->c, s, str_lit(names[i][0]), str_lit(names[i][1]), -1);
	return jv_string(s);
}

static const struct {
	const char *name;
	struct value (*apply)(struct run *r, struct value v, const struct args *a);
} filters[] = {
	{"trim", f_trim},
	{"length", f_length},
	{"count", f_length},
	{"tojson", f_tojson},
	{"upper", f_upper},
	{"lower", f_lower},
	{"title", f_title},
	{"capitalize", f_capitalize},
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
	{"escape", f_escape},
	{"e", f_escape},
};

struct value
jinja_filter(struct run *r, struct str name, struct value v, const struct args *a)
{
	struct value out;
	if (v.kind == V_STRING)
		jinja_step_text(&r->c, v.s);
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		if (str_is(name, filters[i].name))
			return filters[i].apply(r, v, a);
	if (!jinja_list_filter(r, name, v, a, &out))
		jinja_fail(&r->c, "the filter '%.*s' is not supported", STR(name));
	return out;
}

/* Values of the template interpreter as text: str() and repr() of Python, and json.dumps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_int.h"

/* The shortest digits that read back as the same number, in the form that repr() gives them. */
static void
add_float(struct strbuf *b, double x)
{
	char digits[40], text[64];
	if (!isfinite(x)) {
		strbuf_lit(b, isnan(x) ? "nan" : x < 0 ? "-inf" : "inf");
		return;
	}
	int precision = 0;
	do
		snprintf(digits, sizeof digits, "%.*e", precision, x);
	while (strtod(digits, NULL) != x && precision++ < 17);
	int exponent = atoi(strchr(digits, 'e') + 1);
	if (exponent < -4 || exponent >= 16) {
		*strchr(digits, 'e') = '\0';
		snprintf(text, sizeof text, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
	} else {
		int decimals = precision > exponent ? precision - exponent : 0;
		snprintf(text, sizeof text, "%.*f", decimals ? decimals : 1, x);
	}
	strbuf_lit(b, text);
}

static void
add_int(struct strbuf *b, int64_t i)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", (long long)i);
	strbuf_lit(b, text);
}

static void add_repr(struct strbuf *b, struct value v);

static void
add_repr_string(struct strbuf *b, struct str s)
{
	char quote = s.n && memchr(s.p, '\'', s.n) && !memchr(s.p, '"', s.n) ? '"' : '\'';
	strbuf_add(b, &quote, 1);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], text[8];
		static const char from[] = "\\\n\r\t", to[] = "\\nrt";
		const char *known = c ? strchr(from, c) : NULL;
		if (known || c == quote)
			strbuf_add(b, (char[]){'\\', known ? to[known - from] : c}, 2);
		else if ((unsigned char)c < 0x20 || c == 0x7f)
			strbuf_add(b, text, (size_t)snprintf(text, sizeof text, "\\x%02x", (unsigned char)c));
		else
			strbuf_add(b, &c, 1);
	}
	strbuf_add(b, &quote, 1);
}

static void
add_repr_list(struct strbuf *b, const struct list *l)
{
	strbuf_lit(b, l->tuple ? "(" : "[");
	for (size_t i = 0; i < l->n; i++) {
		strbuf_lit(b, i ? ", " : "");
		add_repr(b, l->v[i]);
	}
	strbuf_lit(b, l->tuple && l->n == 1 ? ",)" : l->tuple ? ")" : "]");
}

static void
add_repr_dict(struct strbuf *b, const struct dict *d)
{
	strbuf_lit(b, "{");
	for (size_t i = 0; i < d->n; i++) {
		strbuf_lit(b, i ? ", " : "");
		add_repr(b, d->p[i].key);
		strbuf_lit(b, ": ");
		add_repr(b, d->p[i].value);
	}
	strbuf_lit(b, "}");
}

static void
add_repr(struct strbuf *b, struct value v)
{
	jinja_step(b->c, 1);
	switch (v.kind) {
	case V_STRING:
		add_repr_string(b, v.s);
		break;
	case V_LIST:
		add_repr_list(b, v.list);
		break;
	case V_DICT:
		add_repr_dict(b, v.dict);
		break;
	case V_UNDEFINED:
		strbuf_lit(b, "Undefined");
		break;
	default:
		strbuf_str(b, jv_str(b->c, v));
	}
}

struct str
jv_str(struct jinja_ctx *c, struct value v)
{
	struct strbuf b = {.c = c};
	switch (v.kind) {
	case V_UNDEFINED:
		break;
	case V_STRING:
		return v.s;
	case V_NONE:
		return str_lit("None");
	case V_BOOL:
		return str_lit(v.b ? "True" : "False");
	case V_INT:
		add_int(&b, v.i);
		break;
	case V_FLOAT:
		add_float(&b, v.f);
		break;
	case V_LIST:
	case V_DICT:
		add_repr(&b, v);
		break;
	default:
		jinja_fail(c, "a %s cannot be printed", jv_kind_name(v));
	}
	return strbuf_get(&b);
}

/* ---- JSON ---- */

static void add_json(struct strbuf *b, struct value v, const struct json_style *style, int level);

/* A character outside ASCII at s.p as \uXXXX, or two of them; how many bytes it takes. */
static size_t
add_json_escaped(struct strbuf *b, struct str s)
{
	int32_t u = 0xfffd;
	char text[16];
	utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &u);
	if (u < 0x10000)
		snprintf(text, sizeof text, "\\u%04x", (unsigned)u);
	else
		snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (u >> 10)), (unsigned)(0xdc00 + (u & 0x3ff)));
	strbuf_lit(b, text);
	return n > 0 ? (size_t)n : 1;
}

static void
add_json_string(struct strbuf *b, struct str s, bool ascii)
{
	static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
	strbuf_lit(b, "\"");
	for (size_t i = 0; i < s.n; i++) {
		size_t plain = i;
		while (plain < s.n && (unsigned char)s.p[plain] >= 0x20 && s.p[plain] != '"' &&
			s.p[plain] != '\\' && !(ascii && s.p[plain] & 0x80))
			plain++;
		strbuf_add(b, s.p + i, plain - i);
		if ((i = plain) == s.n)
			break;
		if (s.p[i] & 0x80) {
			i += add_json_escaped(b, (struct str){s.p + i, s.n - i}) - 1;
			continue;
		}
		const char *known = s.p[i] ? strchr(from, s.p[i]) : NULL;
		char text[8];
		if (known)
			strbuf_add(b, (char[]){'\\', to[known - from]}, 2);
		else
			strbuf_add(b, text,
				(size_t)snprintf(text, sizeof text, "\\u%04x", (unsigned char)s.p[i]));
	}
	strbuf_lit(b, "\"");
}

static void
new_line(struct strbuf *b, const struct json_style *style, int level)
{
	if (style->indent < 0)
		return;
	strbuf_lit(b, "\n");
	for (int i = 0; i < style->indent * level; i++)
		strbuf_lit(b, " ");
}

static void
add_json_list(struct strbuf *b, const struct list *l, const struct json_style *style, int level)
{
	strbuf_lit(b, "[");
	for (size_t i = 0; i < l->n; i++) {
		if (i)
			strbuf_str(b, style->item);
		new_line(b, style, level + 1);
		add_json(b, l->v[i], style, level + 1);
	}
	if (l->n)
		new_line(b, style, level);
	strbuf_lit(b, "]");
}

static void
add_json_key(struct strbuf *b, struct value key, bool ascii)
{
	switch (key.kind) {
	case V_STRING:
		add_json_string(b, key.s, ascii);
		break;
	case V_NONE:
		strbuf_lit(b, "\"null\"");
		break;
	case V_BOOL:
		strbuf_lit(b, key.b ? "\"true\"" : "\"false\"");
		break;
	default:
		add_json_string(b, jv_str(b->c, key), ascii);
	}
}

static int
pair_order(const void *a, const void *b)
{
	const struct pair *p = *(const struct pair *const *)a, *q = *(const struct pair *const *)b;
	struct str none = {"", 0};
	return str_compare(
		p->key.kind == V_STRING ? p->key.s : none, q->key.kind == V_STRING ? q->key.s : none);
}

static void
add_json_dict(struct strbuf *b, const struct dict *d, const struct json_style *style, int level)
{
	const struct pair **p = jinja_alloc(b->c, d->n, sizeof *p);
	for (size_t i = 0; i < d->n; i++)
		p[i] = &d->p[i];
	if (style->sort)
		qsort(p, d->n, sizeof *p, pair_order);
	strbuf_lit(b, "{");
	for (size_t i = 0; i < d->n; i++) {
		if (i)
			strbuf_str(b, style->item);
		new_line(b, style, level + 1);
		add_json_key(b, p[i]->key, style->ascii);
		strbuf_str(b, style->key);
		add_json(b, p[i]->value, style, level + 1);
	}
	if (d->n)
		new_line(b, style, level);
	strbuf_lit(b, "}");
}

static void
add_json(struct strbuf *b, struct value v, const struct json_style *style, int level)
{
	jinja_step(b->c, 1);
	switch (v.kind) {
	case V_NONE:
		strbuf_lit(b, "null");
		break;
	case V_BOOL:
		strbuf_lit(b, v.b ? "true" : "false");
		break;
	case V_STRING:
		add_json_string(b, v.s, style->ascii);
		break;
	case V_LIST:
		add_json_list(b, v.list, style, level);
		break;
	case V_DICT:
		add_json_dict(b, v.dict, style, level);
		break;
	case V_INT:
	case V_FLOAT:
		strbuf_str(b, jv_str(b->c, v));
		break;
	case V_UNDEFINED:
		jinja_fail(b->c, "'%.*s' is undefined and cannot become JSON", STR(v.s));
	default:
		jinja_fail(b->c, "a %s cannot become JSON", jv_kind_name(v));
	}
}

struct str
jv_json(struct jinja_ctx *c, struct value v, const struct json_style *style)
{
	struct strbuf b = {.c = c};
	add_json(&b, v, style, 0);
	return strbuf_get(&b);
}

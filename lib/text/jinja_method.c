/* The methods of strings, lists, mappings and loops. */
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_int.h"

/* ---- methods of strings ---- */

static struct value
str_split(struct run *r, struct str s, const struct args *a)
{
	const struct value *sep = jinja_arg(a, 0, "sep");
	int64_t left = jinja_int_arg(r, a, 1, "maxsplit", -1);
	bool blanks = !sep || sep->kind == V_NONE;
	struct str by = blanks ? (struct str){" ", 1} : jinja_string_arg(r, a, 0, "sep", str_lit("split"));
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
	struct str x = jinja_string_arg(r, a, 0, NULL, method);
	return x.n <= s.n && (x.n == 0 || memcmp(at_end ? s.p + s.n - x.n : s.p, x.p, x.n) == 0);
}

static struct value
remove_affix(struct run *r, struct str s, const struct args *a, bool at_end, struct str method)
{
	if (has_affix(r, s, a, at_end, method)) {
		size_t n = jinja_string_arg(r, a, 0, NULL, method).n;
		s.p += at_end ? 0 : n;
		s.n -= n;
	}
	return jv_string(s);
}

static struct value
str_find_method(struct run *r, struct str s, const struct args *a, struct str method)
{
	long at = str_find(s, jinja_string_arg(r, a, 0, NULL, method), 0);
	return jv_int(at < 0 ? -1 : (int64_t)str_length((struct str){s.p, (size_t)at}));
}

static struct value
list_of(struct run *r, const struct str *part, size_t n, bool tuple)
{
	struct value *v = jinja_alloc(&r->c, n, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = jv_string(part[i]);
	return tuple ? jv_tuple(&r->c, v, n) : jv_list(&r->c, v, n);
}

/* Where `what` is last, at most `end` bytes into s; -1 when it is not there. */
static long
find_last(struct str s, struct str what, size_t end)
{
	for (size_t at = end < what.n ? 0 : end - what.n + 1; at-- > 0;)
		if (what.n == 0 || memcmp(s.p + at, what.p, what.n) == 0)
			return (long)at;
	return -1;
}

static struct value
str_rfind(struct run *r, struct str s, const struct args *a, struct str method)
{
	long at = find_last(s, jinja_string_arg(r, a, 0, NULL, method), s.n);
	return jv_int(at < 0 ? -1 : (int64_t)str_length((struct str){s.p, (size_t)at}));
}

static struct value
str_index(struct run *r, struct str s, const struct args *a, struct str method)
{
	struct value v = str_find_method(r, s, a, method);
	if (v.i < 0)
		jinja_fail(&r->c, "'index' finds nothing");
	return v;
}

/* Text before a separator, the separator, text behind; all of it on one side when there is none. */
static struct value
str_partition(struct run *r, struct str s, const struct args *a, bool last, struct str method)
{
	struct str by = jinja_string_arg(r, a, 0, NULL, method), none = {"", 0};
	if (by.n == 0)
		jinja_fail(&r->c, "'%.*s' has an empty separator", STR(method));
	long at = last ? find_last(s, by, s.n) : str_find(s, by, 0);
	if (at < 0)
		return list_of(r, (struct str[]){last ? none : s, none, last ? s : none}, 3, true);
	size_t n = (size_t)at, end = n + by.n;
	return list_of(r, (struct str[]){{s.p, n}, by, {s.p + end, s.n - end}}, 3, true);
}

/* By a separator that is given; at most so many cuts, from the end. */
static struct value
str_rsplit(struct run *r, struct str s, const struct args *a, struct str method)
{
	int64_t left = jinja_int_arg(r, a, 1, "maxsplit", -1);
	if (left < 0)
		return str_split(r, s, a);
	struct str by = jinja_string_arg(r, a, 0, "sep", method);
	size_t n = 0, most = 1, end = s.n;
	if (by.n == 0)
		jinja_fail(&r->c, "'rsplit' has an empty separator");
	for (long at = 0; (at = str_find(s, by, (size_t)at)) >= 0; at++)
		most++;
	struct str *part = jinja_alloc(&r->c, most, sizeof *part);
	for (long at = 0; at >= 0; left--) {
		at = left > 0 ? find_last(s, by, end) : -1;
		size_t from = at < 0 ? 0 : (size_t)at + by.n;
		part[n++] = (struct str){s.p + from, end - from};
		end = at < 0 ? 0 : (size_t)at;
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct str t = part[i];
		part[i] = part[n - 1 - i];
		part[n - 1 - i] = t;
	}
	return list_of(r, part, n, false);
}

static struct value
str_count(struct run *r, struct str s, const struct args *a, struct str method)
{
	struct str what = jinja_string_arg(r, a, 0, NULL, method);
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

enum str_kind { IS_DIGIT, IS_ALPHA, IS_ALNUM, IS_SPACE, IS_UPPER, IS_LOWER };

static bool
char_is(int32_t u, enum str_kind kind, bool *cased)
{
	utf8proc_category_t cat = utf8proc_category(u);
	bool letter = cat >= UTF8PROC_CATEGORY_LU && cat <= UTF8PROC_CATEGORY_LO, digit = cat == UTF8PROC_CATEGORY_ND;
	bool upper = cat == UTF8PROC_CATEGORY_LU, lower = cat == UTF8PROC_CATEGORY_LL;
	*cased |= kind == IS_UPPER ? upper : lower;
	switch (kind) {
	case IS_DIGIT:
		return digit;
	case IS_ALPHA:
		return letter;
	case IS_ALNUM:
		return letter || digit;
	case IS_UPPER:
		return !lower && cat != UTF8PROC_CATEGORY_LT;
	default:
		return !upper && cat != UTF8PROC_CATEGORY_LT;
	}
}

/* Whether every character is of a kind; of upper and lower case, that one is and none is of the other. */
static bool
str_is_all(struct str s, enum str_kind kind)
{
	bool cased = false;
	if (kind == IS_SPACE)
		return s.n > 0 && str_strip(s, NULL, STRIP_LEFT).n == 0;
	for (size_t i = 0; i < s.n;) {
		int32_t u = 0;
		utf8proc_ssize_t n =
			utf8proc_iterate((const utf8proc_uint8_t *)s.p + i, (utf8proc_ssize_t)(s.n - i), &u);
		if (n <= 0 || !char_is(u, kind, &cased))
			return false;
		i += (size_t)n;
	}
	return s.n > 0 && (cased || (kind != IS_UPPER && kind != IS_LOWER));
}

bool
jinja_is_case(struct str s, bool upper)
{
	return str_is_all(s, upper ? IS_UPPER : IS_LOWER);
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
	M_CAPITALIZE, M_FIND, M_COUNT, M_JOIN, M_SPLITLINES, M_REMOVEPREFIX, M_REMOVESUFFIX, M_RFIND, M_STR_INDEX,
	M_RSPLIT, M_PARTITION, M_RPARTITION, M_ISDIGIT, M_ISALPHA, M_ISALNUM, M_ISSPACE, M_ISUPPER, M_ISLOWER,
	M_ITEMS, M_KEYS, M_VALUES, M_GET, M_INDEX, M_LIST_COUNT, M_COPY, M_CYCLE,
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
	{V_STRING, "rfind", M_RFIND},
	{V_STRING, "index", M_STR_INDEX},
	{V_STRING, "rsplit", M_RSPLIT},
	{V_STRING, "partition", M_PARTITION},
	{V_STRING, "rpartition", M_RPARTITION},
	{V_STRING, "isdigit", M_ISDIGIT},
	{V_STRING, "isdecimal", M_ISDIGIT},
	{V_STRING, "isnumeric", M_ISDIGIT},
	{V_STRING, "isalpha", M_ISALPHA},
	{V_STRING, "isalnum", M_ISALNUM},
	{V_STRING, "isspace", M_ISSPACE},
	{V_STRING, "isupper", M_ISUPPER},
	{V_STRING, "islower", M_ISLOWER},
	{V_STRING, "casefold", M_LOWER},
	{V_DICT, "items", M_ITEMS},
	{V_DICT, "keys", M_KEYS},
	{V_DICT, "values", M_VALUES},
	{V_DICT, "get", M_GET},
	{V_LIST, "index", M_INDEX},
	{V_LIST, "count", M_LIST_COUNT},
	{V_LIST, "copy", M_COPY},
	{V_DICT, "copy", M_COPY},
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
	struct str old = jinja_string_arg(r, a, 0, "old", name), new = jinja_string_arg(r, a, 1, "new", name);
	return jv_string(str_replace(&r->c, s, old, new, jinja_int_arg(r, a, 2, "count", -1)));
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
	case M_RFIND:
		return str_rfind(r, s, a, name);
	case M_STR_INDEX:
		return str_index(r, s, a, name);
	case M_RSPLIT:
		return str_rsplit(r, s, a, name);
	case M_PARTITION:
	case M_RPARTITION:
		return str_partition(r, s, a, id == M_RPARTITION, name);
	default:
		return jv_bool(str_is_all(s, (enum str_kind)(id - M_ISDIGIT + IS_DIGIT)));
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
	if (id == M_COPY)
		return m->self;  /* nothing can change it */
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
	if (m->self.kind == V_STRING) {
		jinja_step_text(&r->c, m->self.s);
		if (a->n && a->v[0].kind == V_STRING)
			jinja_step_pairs(&r->c, m->self.s, a->v[0].s);
		return call_string(r, id, m->self.s, a, m->name);
	}
	return call_other(r, id, m, a);
}

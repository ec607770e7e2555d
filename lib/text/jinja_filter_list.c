/* Filters on lists and mappings. */
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

static struct value
f_join(struct run *r, struct value v, const struct args *a)
{
	const struct value *d = jinja_arg(a, 0, "d");
	struct str by = d ? jv_str(&r->c, *d) : str_lit("");
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
			r, path ? path_of(r, out[i], *path) : out[i], !jinja_flag_arg(a, 1, "case_sensitive"));
	}
	sort_by(r, out, key, l->n, jinja_flag_arg(a, 0, "reverse"));
	return jv_list(&r->c, out, l->n);
}

static struct value
f_dictsort(struct run *r, struct value v, const struct args *a)
{
	const struct list *l = f_items(r, v, &(struct args){0}).list;
	const struct value *which = jinja_arg(a, 1, "by");
	size_t by = which && str_is(jv_str(&r->c, *which), "value");
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out),
		     *key = jinja_alloc(&r->c, l->n, sizeof *key);
	for (size_t i = 0; i < l->n; i++) {
		out[i] = l->v[i];
		key[i] = fold_case(r, out[i].list->v[by], !jinja_flag_arg(a, 0, "case_sensitive"));
	}
	sort_by(r, out, key, l->n, jinja_flag_arg(a, 2, "reverse"));
	return jv_list(&r->c, out, l->n);
}

static struct value
f_unique(struct run *r, struct value v, const struct args *a)
{
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value *out = jinja_alloc(&r->c, l->n, sizeof *out);
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct value key = fold_case(r, l->v[i], !jinja_flag_arg(a, 0, "case_sensitive"));
		bool seen = false;
		for (size_t k = 0; k < n && !seen; k++)
			seen = jv_equal(&r->c, fold_case(r, out[k], !jinja_flag_arg(a, 0, "case_sensitive")), key);
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

/* The smallest or the largest, by an attribute if one is given; of equal ones the first. */
static struct value
extreme(struct run *r, struct value v, const struct args *a, bool largest)
{
	const struct value *path = jinja_arg(a, 1, "attribute");
	const struct list *l = jv_iterate(&r->c, v).list;
	bool fold = !jinja_flag_arg(a, 0, "case_sensitive");
	struct value best = jv_undefined(str_lit("an item of nothing")), best_key = best;
	for (size_t i = 0; i < l->n; i++) {
		struct value key = fold_case(r, path ? path_of(r, l->v[i], *path) : l->v[i], fold);
		int order = i ? jv_compare(&r->c, key, best_key) : 0;
		if (i && (largest ? order <= 0 : order >= 0))
			continue;
		best = l->v[i];
		best_key = key;
	}
	return best;
}

static struct value
f_min(struct run *r, struct value v, const struct args *a)
{
	return extreme(r, v, a, false);
}

static struct value
f_max(struct run *r, struct value v, const struct args *a)
{
	return extreme(r, v, a, true);
}

static struct value
f_sum(struct run *r, struct value v, const struct args *a)
{
	const struct value *path = jinja_arg(a, 0, "attribute"), *start = jinja_arg(a, 1, "start");
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value sum = start ? *start : jv_int(0);
	for (size_t i = 0; i < l->n; i++)
		sum = jinja_add(r, sum, path && path->kind != V_NONE ? path_of(r, l->v[i], *path) : l->v[i]);
	return sum;
}

/* [(value of the attribute, [items with it]), ...], sorted by that value. */
static struct value
f_groupby(struct run *r, struct value v, const struct args *a)
{
	const struct value *path = jinja_arg(a, 0, "attribute");
	const struct list *l = jv_iterate(&r->c, v).list;
	struct value *item = jinja_alloc(&r->c, l->n, sizeof *item), *key = jinja_alloc(&r->c, l->n, sizeof *key),
		     *out = jinja_alloc(&r->c, l->n, sizeof *out);
	size_t n = 0;
	if (!path)
		jinja_fail(&r->c, "'groupby' wants an attribute");
	for (size_t i = 0; i < l->n; i++) {
		item[i] = l->v[i];
		key[i] = fold_case(r, path_of(r, item[i], *path), !jinja_flag_arg(a, 2, "case_sensitive"));
	}
	sort_by(r, item, key, l->n, false);
	for (size_t i = 0, end; i < l->n; i = end) {
		for (end = i + 1; end < l->n && jv_equal(&r->c, key[i], key[end]); end++)
			;
		struct value pair[2] = {path_of(r, item[i], *path), jv_list(&r->c, item + i, end - i)};
		out[n++] = jv_tuple(&r->c, pair, 2);
	}
	return jv_list(&r->c, out, n);
}

static struct value
f_attr(struct run *r, struct value v, const struct args *a)
{
	return jinja_attr(r, v, jinja_string_arg(r, a, 0, "name", str_lit("attr")));
}

static const struct {
	const char *name;
	struct value (*apply)(struct run *r, struct value v, const struct args *a);
} filters[] = {
	{"join", f_join},
	{"first", f_first},
	{"last", f_last},
	{"list", f_list},
	{"items", f_items},
	{"reverse", f_reverse},
	{"sort", f_sort},
	{"dictsort", f_dictsort},
	{"unique", f_unique},
	{"map", f_map},
	{"select", f_select},
	{"reject", f_reject},
	{"selectattr", f_selectattr},
	{"rejectattr", f_rejectattr},
	{"min", f_min},
	{"max", f_max},
	{"sum", f_sum},
	{"groupby", f_groupby},
	{"attr", f_attr},
};

bool
jinja_list_filter(struct run *r, struct str name, struct value v, const struct args *a, struct value *out)
{
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		if (str_is(name, filters[i].name)) {
			*out = filters[i].apply(r, v, a);
			return true;
		}
	return false;
}

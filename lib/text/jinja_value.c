/* Values of the template interpreter: what Python's operators say of them. */
#include <math.h>
#include <string.h>

#include "text/jinja_int.h"

const struct value jv_none = {.kind = V_NONE};

struct value
jv_undefined(struct str name)
{
	return (struct value){.kind = V_UNDEFINED, .s = name};
}

struct value
jv_bool(bool b)
{
	return (struct value){.kind = V_BOOL, .b = b};
}

struct value
jv_int(int64_t i)
{
	return (struct value){.kind = V_INT, .i = i};
}

struct value
jv_string(struct str s)
{
	return (struct value){.kind = V_STRING, .s = s};
}

static int
depth_of(struct value v)
{
	return v.kind == V_LIST ? v.list->depth : v.kind == V_DICT ? v.dict->depth : 0;
}

/* The depth of a container that holds v and was `depth` deep before. */
static int
deepen(struct jinja_ctx *c, int depth, struct value v)
{
	int d = depth_of(v) + 1;
	if (d > VALUE_DEPTH_MAX)
		jinja_fail(c, "a value is nested too deeply");
	return d > depth ? d : depth;
}

static struct list *
new_list(struct jinja_ctx *c, const struct value *v, size_t n)
{
	struct list *l = jinja_alloc(c, 1, sizeof *l);
	l->n = n;
	l->v = jinja_alloc(c, n, sizeof *l->v);
	l->depth = 1;
	for (size_t i = 0; i < n; i++) {
		l->v[i] = v[i];
		l->depth = deepen(c, l->depth, v[i]);
	}
	return l;
}

struct value
jv_list(struct jinja_ctx *c, const struct value *v, size_t n)
{
	return (struct value){.kind = V_LIST, .list = new_list(c, v, n)};
}

struct value
jv_tuple(struct jinja_ctx *c, const struct value *v, size_t n)
{
	struct list *l = new_list(c, v, n);
	l->tuple = true;
	return (struct value){.kind = V_LIST, .list = l};
}

struct value
jv_dict(struct dict *d)
{
	return (struct value){.kind = V_DICT, .dict = d};
}

const struct value *
jv_dict_get(struct jinja_ctx *c, const struct dict *d, struct value key)
{
	jinja_step(c, d->n / 8);
	for (size_t i = 0; i < d->n; i++)
		if (jv_equal(c, d->p[i].key, key))
			return &d->p[i].value;
	return NULL;
}

static void
append(struct jinja_ctx *c, struct dict *d, struct value key, struct value value)
{
	if (d->n == d->cap) {
		size_t cap = d->cap * 2 + 8;
		struct pair *p = jinja_alloc(c, cap, sizeof *p);
		if (d->n)
			memcpy(p, d->p, d->n * sizeof *p);
		d->p = p;
		d->cap = cap;
	}
	d->depth = deepen(c, d->depth ? d->depth : 1, value);
	d->p[d->n++] = (struct pair){key, value};
}

void
jv_dict_set(struct jinja_ctx *c, struct dict *d, struct value key, struct value value)
{
	struct value *there = (struct value *)jv_dict_get(c, d, key);
	if (!there) {
		append(c, d, key, value);
		return;
	}
	d->depth = deepen(c, d->depth, value);
	*there = value;
}

struct value
jv_from_json(struct jinja_ctx *c, const json_t *o)
{
	switch (json_typeof(o)) {
	case JSON_STRING:
		return jv_string((struct str){json_string_value(o), json_string_length(o)});
	case JSON_INTEGER:
		return jv_int(json_integer_value(o));
	case JSON_REAL:
		return (struct value){.kind = V_FLOAT, .f = json_real_value(o)};
	case JSON_TRUE:
	case JSON_FALSE:
		return jv_bool(json_is_true(o));
	case JSON_NULL:
		return jv_none;
	case JSON_ARRAY: {
		size_t n = json_array_size(o);
		struct value *v = jinja_alloc(c, n, sizeof *v);
		for (size_t i = 0; i < n; i++)
			v[i] = jv_from_json(c, json_array_get(o, i));
		return jv_list(c, v, n);
	}
	case JSON_OBJECT:
		break;
	}
	struct dict *d = jinja_alloc(c, 1, sizeof *d);
	d->depth = 1;
	for (void *it = json_object_iter((json_t *)o); it; it = json_object_iter_next((json_t *)o, it)) {
		struct str key = {json_object_iter_key(it), json_object_iter_key_len(it)};
		append(c, d, jv_string(key), jv_from_json(c, json_object_iter_value(it)));
	}
	return jv_dict(d);
}

const char *
jv_kind_name(struct value v)
{
	static const char *const name[] = {
		[V_UNDEFINED] = "undefined", [V_NONE] = "none", [V_BOOL] = "boolean", [V_INT] = "integer",
		[V_FLOAT] = "float", [V_STRING] = "string", [V_LIST] = "list", [V_DICT] = "mapping",
		[V_NAMESPACE] = "namespace", [V_LOOP] = "loop", [V_METHOD] = "method", [V_MACRO] = "macro",
		[V_FUNCTION] = "function",
	};
	return name[v.kind];
}

bool
jv_true(struct value v)
{
	switch (v.kind) {
	case V_UNDEFINED:
	case V_NONE:
		return false;
	case V_BOOL:
		return v.b;
	case V_INT:
		return v.i != 0;
	case V_FLOAT:
		return v.f != 0;
	case V_STRING:
		return v.s.n > 0;
	case V_LIST:
		return v.list->n > 0;
	case V_DICT:
		return v.dict->n > 0;
	default:
		return true;
	}
}

bool
jv_is_int(struct value v, int64_t *i)
{
	if (v.kind == V_INT)
		*i = v.i;
	else if (v.kind == V_BOOL)
		*i = v.b;
	else
		return false;
	return true;
}

bool
jv_is_number(struct value v)
{
	return v.kind == V_INT || v.kind == V_FLOAT || v.kind == V_BOOL;
}

double
jv_number(struct value v)
{
	return v.kind == V_FLOAT ? v.f : v.kind == V_INT ? (double)v.i : (double)v.b;
}

static bool
lists_equal(struct jinja_ctx *c, const struct list *a, const struct list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!jv_equal(c, a->v[i], b->v[i]))
			return false;
	return true;
}

static bool
dicts_equal(struct jinja_ctx *c, const struct dict *a, const struct dict *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct value *v = jv_dict_get(c, b, a->p[i].key);
		if (!v || !jv_equal(c, a->p[i].value, *v))
			return false;
	}
	return true;
}

bool
jv_equal(struct jinja_ctx *c, struct value a, struct value b)
{
	int64_t i, j;
	jinja_step(c, 1);
	if (jv_is_int(a, &i) && jv_is_int(b, &j))
		return i == j;
	if (jv_is_number(a) && jv_is_number(b))
		return jv_number(a) == jv_number(b);
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case V_STRING:
		jinja_step_text(c, a.s);
		return str_eq(a.s, b.s);
	case V_LIST:
		return lists_equal(c, a.list, b.list);
	case V_DICT:
		return dicts_equal(c, a.dict, b.dict);
	case V_UNDEFINED:
	case V_NONE:
		return true;
	case V_NAMESPACE:
		return a.ns == b.ns;
	case V_LOOP:
		return a.loop == b.loop;
	case V_METHOD:
		return a.method == b.method;
	case V_MACRO:
		return a.macro->def == b.macro->def;
	default:
		return a.function == b.function;
	}
}

int
jv_compare(struct jinja_ctx *c, struct value a, struct value b)
{
	int64_t i, j;
	jinja_step(c, 1);
	if (a.kind == V_STRING && b.kind == V_STRING) {
		jinja_step_text(c, a.s);
		return str_compare(a.s, b.s);
	}
	if (jv_is_int(a, &i) && jv_is_int(b, &j))
		return (i > j) - (i < j);
	if (jv_is_number(a) && jv_is_number(b))
		return (jv_number(a) > jv_number(b)) - (jv_number(a) < jv_number(b));
	if (a.kind == V_LIST && b.kind == V_LIST) {
		size_t n = a.list->n < b.list->n ? a.list->n : b.list->n;
		for (size_t k = 0; k < n; k++)
			if (!jv_equal(c, a.list->v[k], b.list->v[k]))
				return jv_compare(c, a.list->v[k], b.list->v[k]);
		return (a.list->n > b.list->n) - (a.list->n < b.list->n);
	}
	jinja_fail(c, "%s and %s have no order", jv_kind_name(a), jv_kind_name(b));
}

bool
jv_contains(struct jinja_ctx *c, struct value in, struct value what)
{
	switch (in.kind) {
	case V_STRING:
		if (what.kind != V_STRING)
			jinja_fail(c, "a %s cannot be looked for in a string", jv_kind_name(what));
		jinja_step_text(c, in.s);
		jinja_step_pairs(c, in.s, what.s);
		return str_find(in.s, what.s, 0) >= 0;
	case V_LIST:
		for (size_t i = 0; i < in.list->n; i++)
			if (jv_equal(c, in.list->v[i], what))
				return true;
		return false;
	case V_DICT:
		return jv_dict_get(c, in.dict, what) != NULL;
	case V_UNDEFINED:
		return false;
	default:
		jinja_fail(c, "'in' wants a string, a list or a mapping, not %s", jv_kind_name(in));
	}
}

static struct value
characters(struct jinja_ctx *c, struct str s)
{
	size_t n = str_length(s);
	struct value *v = jinja_alloc(c, n, sizeof *v);
	for (size_t i = 0; i < n; i++) {
		size_t len = str_offset(s, 1);
		v[i] = jv_string((struct str){s.p, len});
		s.p += len;
		s.n -= len;
	}
	return jv_list(c, v, n);
}

struct value
jv_iterate(struct jinja_ctx *c, struct value v)
{
	switch (v.kind) {
	case V_LIST:
		return v;
	case V_STRING:
		return characters(c, v.s);
	case V_UNDEFINED:
		return jv_list(c, NULL, 0);
	case V_DICT: {
		struct value *keys = jinja_alloc(c, v.dict->n, sizeof *keys);
		for (size_t i = 0; i < v.dict->n; i++)
			keys[i] = v.dict->p[i].key;
		return jv_list(c, keys, v.dict->n);
	}
	default:
		jinja_fail(c, "cannot iterate over %s", jv_kind_name(v));
	}
}

/* Where a slice starts or stops, by Python's rules: from the end when negative, then within [low, high]. */
static int64_t
slice_bound(const int64_t *given, int64_t otherwise, int64_t n, int64_t low, int64_t high)
{
	if (!given)
		return otherwise;
	int64_t i = *given < 0 ? *given + n : *given;
	return i < low ? low : i > high ? high : i;
}

struct value
jv_slice(struct jinja_ctx *c, struct value v, const int64_t *start, const int64_t *stop, int64_t step)
{
	if (v.kind != V_STRING && v.kind != V_LIST)
		jinja_fail(c, "a %s has no slices", jv_kind_name(v));
	if (step == 0)
		jinja_fail(c, "a slice has step 0");
	struct value all = jv_iterate(c, v);
	int64_t n = (int64_t)all.list->n, low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
	int64_t from = slice_bound(start, step < 0 ? n - 1 : 0, n, low, high);
	int64_t to = slice_bound(stop, step < 0 ? -1 : n, n, low, high);
	struct value *part = jinja_alloc(c, (size_t)n, sizeof *part);
	size_t m = 0;
	for (int64_t i = from; step > 0 ? i < to : i > to; i += step) {
		part[m++] = all.list->v[i];
		if (step > n || step < -n)
			break;
	}
	if (v.kind == V_LIST)
		return jv_list(c, part, m);
	struct strbuf b = {.c = c};
	for (size_t i = 0; i < m; i++)
		strbuf_str(&b, part[i].s);
	return jv_string(strbuf_get(&b));
}

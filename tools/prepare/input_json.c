/* Records of JSON: a list of objects, of which each is read by itself; JSON lines; or one object, which is a record, a
 * table by columns, a table by rows, or has a list of records as its only member of that kind. */
#include <stdlib.h>
#include <string.h>

#include "prepare.h"

enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL };

struct scan {
	const char *p, *end;
	uint64_t line;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
skip_space(struct scan *s)
{
	for (; s->p < s->end && is_space(*s->p); s->p++)
		s->line += *s->p == '\n';
}

/* The value at s, which moves behind it; NULL and *e when there is none. */
static json_t *
next_value(struct scan *s, struct err *e)
{
	json_error_t je;
	json_t *v = json_loadb(s->p, (size_t)(s->end - s->p), FLAGS | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &je);
	if (!v) {
		err_set(e, ERR_DATA, "line %llu, column %d: %s",
			(unsigned long long)s->line + (unsigned)(je.line > 0 ? je.line - 1 : 0), je.column, je.text);
		return NULL;
	}
	for (const char *stop = s->p + je.position; s->p < stop; s->p++)
		s->line += *s->p == '\n';
	return v;
}

static int
hand_on(const struct input_sink *sink, uint64_t line, const json_t *v, const char *end, struct err *e)
{
	struct record r = {.line = line, .object = json_is_object(v) ? v : NULL, .end = end};
	if (!r.object)
		r.wrong = "not a JSON object";
	return sink->record(sink->arg, &r, e);
}

/* ---- a list ---- */

static int
unexpected(const struct input *in, const struct scan *s, const char *want, struct err *e)
{
	return err_set(e, ERR_DATA, "'%s': line %llu: %s is wanted", in->name, (unsigned long long)s->line, want);
}

static int
each_of_list(const struct input *in, struct scan *s, const struct input_sink *sink, struct err *e)
{
	s->p++;
	for (skip_space(s); s->p < s->end && *s->p != ']'; skip_space(s)) {
		uint64_t line = s->line;
		json_t *v = next_value(s, e);
		if (!v)
			return err_prefix(e, "'%s': ", in->name);
		int rc = hand_on(sink, line, v, s->p, e);
		json_decref(v);
		if (rc < 0)
			return -1;
		skip_space(s);
		if (s->p < s->end && *s->p == ',')
			s->p++;
		else if (s->p == s->end || *s->p != ']')
			return unexpected(in, s, "',' or ']'", e);
	}
	if (s->p == s->end)
		return unexpected(in, s, "']'", e);
	s->p++;
	skip_space(s);
	return s->p == s->end ? 0 : unexpected(in, s, "the end of the file", e);
}

/* ---- lines ---- */

static int
each_line(struct scan *s, const struct input_sink *sink, struct err *e)
{
	int rc = 0;
	for (; s->p < s->end && rc == 0; s->line++) {
		const char *lf = memchr(s->p, '\n', (size_t)(s->end - s->p)), *stop = lf ? lf : s->end;
		struct scan one = {s->p, stop, s->line};
		json_error_t je;
		skip_space(&one);
		if (one.p < stop) {
			json_t *v = json_loadb(one.p, (size_t)(stop - one.p), FLAGS | JSON_DECODE_ANY, &je);
			struct record wrong = {.line = s->line, .wrong = je.text, .end = stop};
			rc = v ? hand_on(sink, s->line, v, stop, e) : sink->record(sink->arg, &wrong, e);
			json_decref(v);
		}
		s->p = lf ? lf + 1 : s->end;
	}
	return rc;
}

/* ---- one object ---- */

static bool
all_members(const json_t *o, int (*is)(const json_t *))
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)o, key, v)
		if (!is(v))
			return false;
	return json_object_size(o) > 0;
}

static int
is_object(const json_t *v)
{
	return json_is_object(v);
}

/* A list of plain values. */
static int
is_column(const json_t *v)
{
	return json_is_array(v) && !json_is_object(json_array_get(v, 0));
}

static int
is_number_key(const json_t *o)
{
	const char *key = json_object_iter_key(json_object_iter((json_t *)o));
	return json_is_object(o) && key && key[strspn(key, "0123456789")] == '\0';
}

/* {"text": ["a", "b"], "label": ["x", "y"]}, or with objects {"0": "a", "1": "b"} for the lists. */
static int
each_of_columns(const json_t *o, const struct input_sink *sink, struct err *e)
{
	json_t *first = json_object_iter_value(json_object_iter((json_t *)o)), *column;
	bool lists = json_is_array(first);
	size_t n = lists ? json_array_size(first) : json_object_size(first);
	void *at = lists ? NULL : json_object_iter(first);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		json_t *row = json_object();
		const char *key, *index = lists ? NULL : json_object_iter_key(at);
		json_object_foreach((json_t *)o, key, column) {
			json_t *v = lists ? json_array_get(column, i) : json_object_get(column, index);
			json_object_set(row, key, v ? v : json_null());
		}
		rc = hand_on(sink, i + 1, row, NULL, e);
		json_decref(row);
		at = lists ? NULL : json_object_iter_next(first, at);
	}
	return rc;
}

static int
each_member(const json_t *o, const struct input_sink *sink, struct err *e)
{
	const char *key;
	json_t *v;
	uint64_t n = 0;
	json_object_foreach((json_t *)o, key, v)
		if (hand_on(sink, ++n, v, NULL, e) < 0)
			return -1;
	return 0;
}

static int
each_item(const json_t *list, const struct input_sink *sink, struct err *e)
{
	json_t *v;
	size_t i;
	json_array_foreach((json_t *)list, i, v)
		if (hand_on(sink, i + 1, v, NULL, e) < 0)
			return -1;
	return 0;
}

/* The only member that is a list of objects, unless it is a record's own. */
static const json_t *
list_of_records(const json_t *o)
{
	const json_t *found = NULL;
	const char *key;
	json_t *v;
	if (json_object_get(o, "messages") || json_object_get(o, "conversations"))
		return NULL;
	json_object_foreach((json_t *)o, key, v) {
		if (!json_is_array(v) || !json_is_object(json_array_get(v, 0)))
			continue;
		if (found)
			return NULL;
		found = v;
	}
	return found;
}

static int
each_of_object(const json_t *o, const struct input_sink *sink, struct err *e)
{
	const json_t *list = list_of_records(o);
	if (all_members(o, is_column) || all_members(o, is_number_key))
		return each_of_columns(o, sink, e);
	if (all_members(o, is_object))
		return each_member(o, sink, e);
	return list ? each_item(list, sink, e) : hand_on(sink, 1, o, NULL, e);
}

static int
each_of_value(const struct input *in, struct scan *s, const struct input_sink *sink, struct err *e)
{
	json_t *v = next_value(s, e);
	if (!v)
		return err_prefix(e, "'%s': ", in->name);
	int rc = json_is_object(v) ? each_of_object(v, sink, e)
				   : err_set(e, ERR_DATA, "'%s': neither a list nor an object of records", in->name);
	json_decref(v);
	return rc;
}

/* ---- the interface ---- */

int
input_json_each(const struct input *in, const struct input_sink *sink, struct err *e)
{
	struct scan s = {in->text, in->text + in->n, 1};
	if (in->format == INPUT_JSONL)
		return each_line(&s, sink, e);
	skip_space(&s);
	if (s.p == s.end)
		return 0;
	return *s.p == '[' ? each_of_list(in, &s, sink, e) : each_of_value(in, &s, sink, e);
}

static int
add_columns(void *arg, const struct record *r, struct err *e)
{
	struct input *in = arg;
	const char *key;
	json_t *v;
	(void)e;
	json_object_foreach((json_t *)r->object, key, v) {
		size_t i = 0;
		while (i < in->columns && strcmp(in->column[i], key) != 0)
			i++;
		if (i == in->columns && i < COLUMNS_MAX)
			in->column[in->columns++] = xstrdup(key);
		else
			in->more_columns |= i == COLUMNS_MAX;
	}
	return 0;
}

/* Whether what begins with '{' goes on behind that object: then it is JSON lines. */
static bool
has_several_values(struct scan s)
{
	struct err ignored;
	json_t *v = next_value(&s, &ignored);
	skip_space(&s);
	bool several = v && s.p < s.end && *s.p == '{';
	json_decref(v);
	return several;
}

int
input_json_settle(struct input *in, struct err *e)
{
	struct scan s = {in->text, in->text + in->n, 1};
	skip_space(&s);
	bool list = s.p < s.end && *s.p == '[';
	enum input_format format = list ? INPUT_JSON : has_several_values(s) ? INPUT_JSONL : in->format;
	in->mislabelled = format != in->format;
	in->format = format;
	in->records = format == INPUT_JSON && !list;
	struct input_sink sink = {add_columns, in};
	return input_json_each(in, &sink, e);
}

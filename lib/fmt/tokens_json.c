#include "fmt/tokens_json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/json.h"

static const int not_a_target = -100;

/* ---- writing ---- */

/* Number `i` of a list. These are nearly all of the output, and printf would be most of its time. */
static void
put_number(struct buf *b, uint32_t i, int32_t v)
{
	char digits[16], *p = digits + sizeof digits;
	uint32_t u = v < 0 ? 0 - (uint32_t)v : (uint32_t)v;
	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	if (i)
		*--p = ',';
	buf_append(b, p, (size_t)(digits + sizeof digits - p));
}

static void
put_ids(struct buf *b, const struct example *x)
{
	for (uint32_t i = 0; i < x->n; i++)
		put_number(b, i, x->ids[i]);
}

static void
put_labels(struct buf *b, const struct example *x)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < x->n_spans; i++)
		for (uint32_t end = at + x->spans[i].n; at < end; at++)
			put_number(b, at, x->spans[i].weight > 0 ? x->ids[at] : not_a_target);
}

/* One number when all targets have the same weight, nothing when it is 1, else a list with every token's.
 * Nine digits bring a float back exactly. */
static void
put_weight(struct buf *b, const struct example *x)
{
	float weight = 0;
	bool uniform = true;
	for (uint32_t i = 0; i < x->n_spans; i++) {
		float w = x->spans[i].weight;
		if (w > 0 && weight > 0 && w != weight)
			uniform = false;
		if (w > 0)
			weight = w;
	}
	if (uniform) {
		if (weight > 0 && weight != 1)
			buf_printf(b, ",\"weight\":%.9g", (double)weight);
		return;
	}
	buf_puts(b, ",\"weight\":[");
	for (uint32_t i = 0, at = 0; i < x->n_spans; i++)
		for (uint32_t end = at + x->spans[i].n; at < end; at++)
			buf_printf(b, "%s%.9g", at ? "," : "", (double)x->spans[i].weight);
	buf_putc(b, ']');
}

static int
append_dump(const char *text, size_t n, void *b)
{
	buf_append(b, text, n);
	return 0;
}

static void
put_member(struct buf *b, const char *key, const json_t *value)
{
	buf_printf(b, ",\"%s\":", key);
	json_dump_callback(value, append_dump, b, JSON_ENCODE_ANY | JSON_COMPACT);
}

void
tokens_json_write(struct buf *b, const struct example *x, const json_t *header)
{
	buf_puts(b, "{\"input_ids\":[");
	put_ids(b, x);
	buf_puts(b, "],\"labels\":[");
	put_labels(b, x);
	buf_putc(b, ']');
	put_weight(b, x);
	if (x->label) {
		json_t *label = json_stringn(x->label, x->label_len);
		assert(label);  /* UTF-8, by the limits of fmt/example.h */
		put_member(b, "label", label);
		json_decref(label);
	}
	if (x->line)
		buf_printf(b, ",\"line\":%llu", (unsigned long long)x->line);
	if (x->completion)
		buf_printf(b, ",\"completion\":%u", x->completion);
	if (header)
		put_member(b, "header", header);
	buf_puts(b, "}\n");
}

/* ---- reading ---- */

void
tokens_json_release(struct tokens_json *j)
{
	json_decref(j->line);
	record_release(&j->record);
	*j = (struct tokens_json){0};
}

/* The member, or NULL when it is absent or null. */
static json_t *
member(const struct tokens_json *j, const char *key)
{
	json_t *v = json_object_get(j->line, key);
	return json_is_null(v) ? NULL : v;
}

json_t *
tokens_json_header(const struct tokens_json *j)
{
	return member(j, "header");
}

static int
read_ids(struct tokens_json *j, struct example *x, struct err *e)
{
	json_t *ids = member(j, "input_ids"), *v;
	size_t i, n = json_array_size(ids);
	if (!json_is_array(ids))
		return err_set(e, ERR_DATA, "'input_ids' is %s", ids ? "not a list" : "missing: records go through hone-tokenize first");
	if (n > EXAMPLE_MAX_TOKENS)
		return err_set(e, ERR_DATA, "%zu tokens; at most %d are allowed", n, EXAMPLE_MAX_TOKENS);
	GROW(j->record.ids, j->record.ids_cap, n);
	json_array_foreach(ids, i, v) {
		json_int_t id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
			return err_set(e, ERR_DATA, "'input_ids'[%zu] is not a token id", i);
		j->record.ids[i] = (int32_t)id;
	}
	x->ids = j->record.ids;
	x->n = (uint32_t)n;
	return 0;
}

/* A list member that must be as long as the ids; *list stays NULL when it is absent or not a list. */
static int
parallel_list(json_t *v, const char *key, uint32_t n, json_t **list, struct err *e)
{
	*list = json_is_array(v) ? v : NULL;
	if (*list && json_array_size(v) != n)
		return err_set(e, ERR_DATA, "'%s' has %zu elements, 'input_ids' has %u", key, json_array_size(v), n);
	return 0;
}

static int
read_label(const json_t *labels, uint32_t i, int32_t id, bool *target, struct err *e)
{
	const json_t *v = json_array_get(labels, i);
	if (!json_is_integer(v) || (json_integer_value(v) != id && json_integer_value(v) != not_a_target))
		return err_set(e, ERR_DATA, "'labels'[%u] is neither %d nor the token %d that stands at its place", i,
			not_a_target, id);
	*target = json_integer_value(v) == id;
	return 0;
}

static int
read_weight(const json_t *v, float *weight, struct err *e)
{
	*weight = (float)json_number_value(v);
	if (!json_is_number(v) || !isfinite(*weight) || *weight < 0)
		return err_set(e, ERR_DATA, "a 'weight' is not a number of at least 0");
	return 0;
}

static void
add_token(struct record *r, struct example *x, float weight)
{
	if (x->n_spans && r->spans[x->n_spans - 1].weight == weight) {
		r->spans[x->n_spans - 1].n++;
		return;
	}
	GROW(r->spans, r->spans_cap, x->n_spans + 1);
	r->spans[x->n_spans++] = (struct span){1, weight};
}

static int
read_spans(struct tokens_json *j, struct example *x, struct err *e)
{
	json_t *v = member(j, "labels"), *w = member(j, "weight"), *labels, *weights;
	float weight = 1;
	if (parallel_list(v, "labels", x->n, &labels, e) < 0 || parallel_list(w, "weight", x->n, &weights, e) < 0)
		return -1;
	if (v && !labels)
		return err_set(e, ERR_DATA, "'labels' is not a list");
	if (w && !weights && read_weight(w, &weight, e) < 0)
		return -1;
	for (uint32_t i = 0; i < x->n; i++) {
		bool target = true;
		if (labels && read_label(labels, i, x->ids[i], &target, e) < 0)
			return -1;
		if (weights && read_weight(json_array_get(weights, i), &weight, e) < 0)
			return -1;
		add_token(&j->record, x, target && weight > 0 ? weight : 0);
	}
	x->spans = j->record.spans;
	return 0;
}

static int
read_rest(struct tokens_json *j, struct example *x, struct err *e)
{
	int64_t line = 0, completion = 0;
	const json_t *label = member(j, "label");
	if (json_get_int(j->line, "line", 0, INT64_MAX, &line, e) < 0 ||
		json_get_int(j->line, "completion", 0, x->n, &completion, e) < 0) {
		e->code = ERR_DATA;
		return -1;
	}
	x->line = (uint64_t)line;
	x->completion = (uint32_t)completion;
	if (!label)
		return 0;
	if (!json_is_string(label) || json_string_length(label) > EXAMPLE_MAX_LABEL)
		return err_set(e, ERR_DATA, "'label' is not a string of at most %d bytes", EXAMPLE_MAX_LABEL);
	x->label = json_string_value(label);
	x->label_len = (uint32_t)json_string_length(label);
	return 0;
}

int
tokens_json_read(struct tokens_json *j, const char *text, size_t n, struct example *x, struct err *e)
{
	json_error_t je;
	json_decref(j->line);
	j->line = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
	if (!j->line)
		return err_set(e, ERR_DATA, "column %d: %s", je.column, je.text);
	if (!json_is_object(j->line))
		return err_set(e, ERR_DATA, "it is not a JSON object");
	*x = (struct example){0};
	if (read_ids(j, x, e) < 0 || read_spans(j, x, e) < 0 || read_rest(j, x, e) < 0)
		return -1;
	return record_check(x, 0, e);
}

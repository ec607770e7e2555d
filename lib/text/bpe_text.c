#include "text/bpe_text.h"

#include <stdint.h>
#include <string.h>

#include "text/json_cursor.h"
#include "text/unicode.h"

/* ---- cutting ---- */

static bool
skip_string(struct json_cursor *c)
{
	static const bool sign[256] = {['"'] = true, ['\\'] = true};
	if (!json_cursor_take(c, '"'))
		return false;
	for (;;) {
		while (c->p < c->end && !sign[(unsigned char)*c->p])
			c->p++;
		if (c->p >= c->end || *c->p == '"')
			break;
		c->p += 2;
	}
	if (c->p >= c->end)
		return false;
	c->p++;
	return true;
}

/* Passes over what is between the members of lists and objects. */
static void
skip_between(struct json_cursor *c)
{
	static const bool sign[256] = {
		['"'] = true, ['{'] = true, ['['] = true, ['}'] = true, [']'] = true};
	while (c->p < c->end && !sign[(unsigned char)*c->p])
		c->p++;
}

/* Any value; what is between its brackets is checked by who reads it. */
static bool
skip_value(struct json_cursor *c)
{
	size_t depth = 0;
	json_cursor_space(c);
	do {
		if (depth)
			skip_between(c);
		if (c->p >= c->end)
			return false;
		if (*c->p == '"') {
			if (!skip_string(c))
				return false;
			continue;
		}
		depth += *c->p == '{' || *c->p == '[';
		if (*c->p == '}' || *c->p == ']') {
			if (!depth)
				return true;
			depth--;
		}
		if (!depth && *c->p == ',')
			return true;
		c->p++;
	} while (depth || (c->p < c->end && *c->p != ',' && *c->p != '}'));
	return true;
}

/* Goes to the value of a member of the object at c; false when there is none of this name. */
static bool
enter(struct json_cursor *c, const char *name)
{
	size_t n = strlen(name);
	if (!json_cursor_take(c, '{'))
		return false;
	do {
		json_cursor_space(c);
		const char *key = c->p;
		if (!skip_string(c))
			return false;
		bool found = (size_t)(c->p - key) == n + 2 && !memcmp(key + 1, name, n);
		if (!json_cursor_take(c, ':'))
			return false;
		json_cursor_space(c);
		if (found)
			return true;
		if (!skip_value(c))
			return false;
	} while (json_cursor_take(c, ','));
	return false;
}

static bool
find(struct json_cursor model, const char *name, char bracket, const char **start, const char **end)
{
	if (!enter(&model, name) || model.p == model.end || *model.p != bracket)
		return false;
	*start = model.p;
	if (!skip_value(&model))
		return false;
	for (*end = model.p; (*end)[-1] != '}' && (*end)[-1] != ']';)
		--*end;  /* white space */
	return true;
}

bool
bpe_text_cut(struct bpe_text *x, const char *text, size_t n, struct buf *rest)
{
	struct json_cursor c = {text, text + n};
	if (!enter(&c, "model") || !find(c, "vocab", '{', &x->vocab, &x->vocab_end) ||
		!find(c, "merges", '[', &x->merges, &x->merges_end))
		return false;
	bool vocab_first = x->vocab < x->merges;
	const char *a = vocab_first ? x->vocab : x->merges, *a_end = vocab_first ? x->vocab_end : x->merges_end,
		   *b = vocab_first ? x->merges : x->vocab, *b_end = vocab_first ? x->merges_end : x->vocab_end;
	buf_append(rest, text, (size_t)(a - text));
	buf_puts(rest, vocab_first ? "{}" : "[]");
	buf_append(rest, a_end, (size_t)(b - a_end));
	buf_puts(rest, vocab_first ? "[]" : "{}");
	buf_append(rest, b_end, (size_t)(text + n - b_end));
	return true;
}

/* ---- reading ---- */

static bool
read_id(struct json_cursor *c, int64_t *id)
{
	json_cursor_space(c);
	const char *start = c->p;
	for (*id = 0; c->p < c->end && *c->p >= '0' && *c->p <= '9' && *id < VOCAB_MAX_ID; c->p++)
		*id = *id * 10 + (*c->p - '0');
	return c->p > start && (*start != '0' || c->p == start + 1);
}

/* Tokens that are added together. */
struct entries {
	char text[4096];
	size_t used, n;
	struct vocab_key key[VOCAB_BATCH];
	int64_t id[VOCAB_BATCH];
};

static bool
flush_entries(struct entries *x, struct vocab *v)
{
	struct err unused;
	vocab_expect(v, x->key, x->n);
	for (size_t i = 0; i < x->n; i++)
		if (vocab_add(v, x->key[i].text, x->key[i].n, x->id[i], &unused) < 0)
			return false;
	x->n = x->used = 0;
	return true;
}

static bool
add_entry(struct entries *x, struct vocab *v, const char *s, size_t n, int64_t id)
{
	struct err unused;
	if ((x->n == VOCAB_BATCH || n > sizeof x->text - x->used) && !flush_entries(x, v))
		return false;
	if (n > sizeof x->text)
		return vocab_add(v, s, n, id, &unused) == 0;
	x->key[x->n] = (struct vocab_key){memcpy(x->text + x->used, s, n), n};
	x->id[x->n++] = id;
	x->used += n;
	return true;
}

bool
bpe_text_vocab(const struct bpe_text *x, struct vocab *v)
{
	struct json_cursor c = {x->vocab, x->vocab_end};
	struct buf tmp = {0};
	struct entries all = {.n = 0};
	size_t n;
	const char *s;
	int64_t id;
	bool ok = uni_check(c.p, (size_t)(c.end - c.p)) == (size_t)(c.end - c.p) && json_cursor_take(&c, '{');
	do
		ok = ok && json_cursor_string(&c, &tmp, &s, &n) && json_cursor_take(&c, ':') && read_id(&c, &id) &&
			add_entry(&all, v, s, n, id);
	while (ok && json_cursor_take(&c, ','));
	buf_release(&tmp);
	return ok && flush_entries(&all, v) && json_cursor_take(&c, '}') && c.p == c.end;
}

/* The two halves of one string. */
static bool
read_joined(struct json_cursor *c, struct buf *tmp, const char **s, size_t *left_n, size_t *n)
{
	if (!json_cursor_string(c, tmp, s, n))
		return false;
	size_t spaces = 0;
	for (size_t i = 0; i < *n; i++)
		if ((*s)[i] == ' ') {
			*left_n = i;
			spaces++;
		}
	return spaces == 1 && !((*s)[0] == '#' && *n >= 8 && !memcmp(*s, "#version", 8));
}

static bool
read_merge(struct json_cursor *c, struct buf tmp[2], bpe_text_merge_fn *merge, void *ctx, size_t rank)
{
	const char *left, *right;
	size_t left_n, right_n, n;
	json_cursor_space(c);
	if (c->p < c->end && *c->p == '"')
		return read_joined(c, &tmp[0], &left, &left_n, &n) &&
			merge(ctx, left, left_n, left + left_n + 1, n - left_n - 1, rank);
	return json_cursor_take(c, '[') && json_cursor_string(c, &tmp[0], &left, &left_n) && json_cursor_take(c, ',') &&
		json_cursor_string(c, &tmp[1], &right, &right_n) && json_cursor_take(c, ']') &&
		merge(ctx, left, left_n, right, right_n, rank);
}

bool
bpe_text_merges(const struct bpe_text *x, bpe_text_merge_fn *merge, void *ctx)
{
	struct json_cursor c = {x->merges, x->merges_end};
	struct buf tmp[2] = {{0}};
	size_t rank = 0;
	bool ok = json_cursor_take(&c, '[');
	if (ok && json_cursor_take(&c, ']'))
		return c.p == c.end;
	do
		ok = ok && read_merge(&c, tmp, merge, ctx, rank++);
	while (ok && json_cursor_take(&c, ','));
	buf_release(&tmp[0]);
	buf_release(&tmp[1]);
	return ok && json_cursor_take(&c, ']') && c.p == c.end;
}

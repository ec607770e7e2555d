#include "text/bpe_text.h"

#include <stdint.h>
#include <string.h>

#include "text/unicode.h"

struct cursor {
	const char *p, *end;
};

static void
skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
		c->p++;
}

/* Takes a character, and white space before it. */
static bool
take(struct cursor *c, char what)
{
	skip_space(c);
	if (c->p == c->end || *c->p != what)
		return false;
	c->p++;
	return true;
}

/* ---- cutting ---- */

static bool
skip_string(struct cursor *c)
{
	if (!take(c, '"'))
		return false;
	while (c->p < c->end && *c->p != '"')
		c->p += *c->p == '\\' ? 2 : 1;
	if (c->p >= c->end)
		return false;
	c->p++;
	return true;
}

/* Any value; what is between its brackets is checked by who reads it. */
static bool
skip_value(struct cursor *c)
{
	size_t depth = 0;
	skip_space(c);
	do {
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
enter(struct cursor *c, const char *name)
{
	size_t n = strlen(name);
	if (!take(c, '{'))
		return false;
	do {
		skip_space(c);
		const char *key = c->p;
		if (!skip_string(c))
			return false;
		bool found = (size_t)(c->p - key) == n + 2 && !memcmp(key + 1, name, n);
		if (!take(c, ':'))
			return false;
		skip_space(c);
		if (found)
			return true;
		if (!skip_value(c))
			return false;
	} while (take(c, ','));
	return false;
}

static bool
find(struct cursor model, const char *name, char bracket, const char **start, const char **end)
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
	struct cursor c = {text, text + n};
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

static int
hex4(const char *p)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* \uXXXX, or two of them, behind the u. */
static bool
read_u(struct cursor *c, struct buf *out)
{
	char u[4];
	if (c->end - c->p < 4)
		return false;
	int v = hex4(c->p);
	c->p += 4;
	if (v <= 0 || (v >= 0xdc00 && v < 0xe000))
		return false;
	if (v >= 0xd800 && v < 0xdc00) {
		int low = c->end - c->p >= 6 && c->p[0] == '\\' && c->p[1] == 'u' ? hex4(c->p + 2) : -1;
		if (low < 0xdc00 || low >= 0xe000)
			return false;
		v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
		c->p += 6;
	}
	buf_append(out, u, uni_encode((uint32_t)v, u));
	return true;
}

static bool
read_escapes(struct cursor *c, const char *start, struct buf *tmp)
{
	buf_clear(tmp);
	buf_append(tmp, start, (size_t)(c->p - start));
	while (c->p < c->end && *c->p != '"') {
		static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
		const char *at;
		if ((unsigned char)*c->p < 0x20)
			return false;
		if (*c->p != '\\') {
			buf_putc(tmp, *c->p++);
			continue;
		}
		if (++c->p == c->end)
			return false;
		char k = *c->p++;
		if (k == 'u') {
			if (!read_u(c, tmp))
				return false;
		} else if (k && (at = strchr(names, k)))
			buf_putc(tmp, values[at - names]);
		else
			return false;
	}
	return c->p < c->end;
}

/* A string, in the text itself or, when it has escapes, in tmp. */
static bool
read_string(struct cursor *c, struct buf *tmp, const char **s, size_t *n)
{
	if (!take(c, '"'))
		return false;
	const char *start = c->p;
	while (c->p < c->end && (unsigned char)*c->p >= 0x20 && *c->p != '"' && *c->p != '\\')
		c->p++;
	*s = start;
	*n = (size_t)(c->p - start);
	if (c->p < c->end && *c->p == '\\') {
		if (!read_escapes(c, start, tmp))
			return false;
		*s = tmp->data;
		*n = tmp->len;
	}
	return take(c, '"');
}

static bool
read_id(struct cursor *c, int64_t *id)
{
	skip_space(c);
	const char *start = c->p;
	for (*id = 0; c->p < c->end && *c->p >= '0' && *c->p <= '9' && *id < VOCAB_MAX_ID; c->p++)
		*id = *id * 10 + (*c->p - '0');
	return c->p > start && (*start != '0' || c->p == start + 1);
}

bool
bpe_text_vocab(const struct bpe_text *x, struct vocab *v)
{
	struct cursor c = {x->vocab, x->vocab_end};
	struct buf tmp = {0};
	size_t n;
	const char *s;
	int64_t id;
	struct err unused;
	bool ok = uni_check(c.p, (size_t)(c.end - c.p)) == (size_t)(c.end - c.p) && take(&c, '{');
	do
		ok = ok && read_string(&c, &tmp, &s, &n) && take(&c, ':') && read_id(&c, &id) &&
			vocab_add(v, s, n, id, &unused) == 0;
	while (ok && take(&c, ','));
	buf_release(&tmp);
	return ok && take(&c, '}') && c.p == c.end;
}

/* The two halves of one string. */
static bool
read_joined(struct cursor *c, struct buf *tmp, const char **s, size_t *left_n, size_t *n)
{
	if (!read_string(c, tmp, s, n))
		return false;
	const char *space = memchr(*s, ' ', *n);
	*left_n = space ? (size_t)(space - *s) : 0;
	return space && !memchr(space + 1, ' ', *n - *left_n - 1) && !(*n >= 8 && !memcmp(*s, "#version", 8));
}

static bool
read_merge(struct cursor *c, struct buf tmp[2], bpe_text_merge_fn *merge, void *ctx, size_t rank)
{
	const char *left, *right;
	size_t left_n, right_n, n;
	skip_space(c);
	if (c->p < c->end && *c->p == '"')
		return read_joined(c, &tmp[0], &left, &left_n, &n) &&
			merge(ctx, left, left_n, left + left_n + 1, n - left_n - 1, rank);
	return take(c, '[') && read_string(c, &tmp[0], &left, &left_n) && take(c, ',') &&
		read_string(c, &tmp[1], &right, &right_n) && take(c, ']') &&
		merge(ctx, left, left_n, right, right_n, rank);
}

bool
bpe_text_merges(const struct bpe_text *x, bpe_text_merge_fn *merge, void *ctx)
{
	struct cursor c = {x->merges, x->merges_end};
	struct buf tmp[2] = {{0}};
	size_t rank = 0;
	bool ok = uni_check(c.p, (size_t)(c.end - c.p)) == (size_t)(c.end - c.p) && take(&c, '[');
	if (ok && take(&c, ']'))
		return c.p == c.end;
	do
		ok = ok && read_merge(&c, tmp, merge, ctx, rank++);
	while (ok && take(&c, ','));
	buf_release(&tmp[0]);
	buf_release(&tmp[1]);
	return ok && take(&c, ']') && c.p == c.end;
}

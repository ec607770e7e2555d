#include "text/bpe_text.h"

#include <stdint.h>
#include <string.h>

#include "text/json_cursor.h"
#include "text/unicode.h"

/* ---- passing over ---- */

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

/* The object at c. */
static bool
read_vocab(struct json_cursor *c, struct vocab *v)
{
	struct buf tmp = {0};
	struct entries all = {.n = 0};
	size_t n;
	const char *s, *start = c->p;
	int64_t id;
	bool ok = json_cursor_take(c, '{');
	do {
		buf_clear(&tmp);
		ok = ok && json_cursor_string(c, &tmp, &s, &n) && json_cursor_take(c, ':') && read_id(c, &id) &&
			add_entry(&all, v, s, n, id);
	} while (ok && json_cursor_take(c, ','));
	buf_release(&tmp);
	ok = ok && flush_entries(&all, v) && json_cursor_take(c, '}');
	return ok && uni_check(start, (size_t)(c->p - start)) == (size_t)(c->p - start);
}

/* Merges of which the tokens are looked up together. The halves lie in the file's text, or in `tmp` when there are
 * escapes in them. */
struct merges {
	const struct vocab *vocab;
	struct bpe_rules *rules;
	struct buf tmp;
	size_t n;
	struct vocab_key half[VOCAB_BATCH];  /* [2 n] */
	uint32_t rank[VOCAB_BATCH / 2];
	int32_t last;          /* what the last merge made: the next one makes the same, or the next token, nearly always */
};

static bool
joins_to(const struct vocab *v, int32_t id, const struct vocab_key half[2])
{
	const struct vocab_token *t = vocab_token(v, id);
	return t && t->n == half[0].n + half[1].n && !memcmp(t->text, half[0].text, half[0].n) &&
		!memcmp(t->text + half[0].n, half[1].text, half[1].n);
}

static int32_t
joined_id(const struct vocab *v, const struct vocab_key half[2])
{
	struct buf b = {0};
	buf_append(&b, half[0].text, half[0].n);
	buf_append(&b, half[1].text, half[1].n);
	int32_t id = vocab_id(v, b.data, b.len);
	buf_release(&b);
	return id;
}

static bool
flush_merges(struct merges *m)
{
	const struct vocab *v = m->vocab;
	int32_t id[VOCAB_BATCH];
	vocab_ids(v, m->half, 2 * m->n, id);
	for (size_t i = 0; i < m->n; i++) {
		const struct vocab_key *half = &m->half[2 * i];
		int32_t joined = joins_to(v, m->last, half) ? m->last :
			joins_to(v, m->last + 1, half)      ? m->last + 1 :
							      joined_id(v, half);
		if (id[2 * i] < 0 || id[2 * i + 1] < 0 || joined < 0)
			return false;
		m->last = joined;
		bpe_rules_add(m->rules, (struct bpe_rule){id[2 * i], id[2 * i + 1], joined, m->rank[i]});
	}
	m->n = 0;
	buf_clear(&m->tmp);
	return true;
}

/* The next two halves, to be filled in; `tmp` has room for `n` more bytes without moving. */
static struct vocab_key *
next_halves(struct merges *m, size_t n)
{
	bool full = m->n == VOCAB_BATCH / 2 || n > m->tmp.cap - m->tmp.len;
	if (full && m->n && !flush_merges(m))
		return NULL;
	if (n > m->tmp.cap - m->tmp.len)
		GROW(m->tmp.data, m->tmp.cap, m->tmp.len + n);
	return &m->half[2 * m->n];
}

/* "left right" without escapes, its opening quote taken: the closing quote, or NULL. */
static const char *
plain_halves(const char *p, const char *end, struct vocab_key half[2])
{
	const char *start = p, *space = NULL;
	for (; p < end && *p != '"'; p++) {
		if (*p == '\\' || (unsigned char)*p < 0x20 || (*p == ' ' && space))
			return NULL;
		if (*p == ' ')
			space = p;
	}
	if (p == end || !space)
		return NULL;
	half[0] = (struct vocab_key){start, (size_t)(space - start)};
	half[1] = (struct vocab_key){space + 1, (size_t)(p - space - 1)};
	return p;
}

static bool
read_joined(struct json_cursor *c, struct buf *tmp, struct vocab_key half[2])
{
	const char *s, *space, *plain = plain_halves(c->p + 1, c->end, half);
	size_t n;
	if (plain)
		c->p = plain + 1;
	else {
		if (!json_cursor_string(c, tmp, &s, &n) || !(space = memchr(s, ' ', n)))
			return false;
		half[0] = (struct vocab_key){s, (size_t)(space - s)};
		half[1] = (struct vocab_key){space + 1, n - half[0].n - 1};
		if (memchr(half[1].text, ' ', half[1].n))
			return false;
	}
	return !(half[0].n >= 8 && !memcmp(half[0].text, "#version", 8));
}

static bool
read_merge(struct json_cursor *c, struct merges *m, size_t rank)
{
	enum { LONGEST = 1 << 16 };  /* bytes of a merge with escapes that are decoded; longer ones are for the other reader */
	struct vocab_key *half = next_halves(m, LONGEST);
	size_t before = m->tmp.len;
	json_cursor_space(c);
	if (!half || rank >= BPE_NO_RANK || c->p == c->end)
		return false;
	bool ok = *c->p == '"' ?
		read_joined(c, &m->tmp, half) :
		json_cursor_take(c, '[') && json_cursor_string(c, &m->tmp, &half[0].text, &half[0].n) &&
			json_cursor_take(c, ',') && json_cursor_string(c, &m->tmp, &half[1].text, &half[1].n) &&
			json_cursor_take(c, ']');
	m->rank[m->n++] = (uint32_t)rank;
	return ok && m->tmp.len - before < LONGEST;
}

/* The list at c. That its strings are UTF-8 is known from the tokens that they are. */
static bool
read_merges(struct json_cursor *c, const struct vocab *v, struct bpe_rules *rules)
{
	struct merges m = {.vocab = v, .rules = rules, .last = -1};
	size_t rank = 0;
	bool ok = json_cursor_take(c, '[');
	if (ok && json_cursor_take(c, ']'))
		return true;
	do
		ok = ok && read_merge(c, &m, rank++);
	while (ok && json_cursor_take(c, ','));
	ok = ok && flush_merges(&m) && json_cursor_take(c, ']');
	buf_release(&m.tmp);
	return ok;
}

/* ---- the file ---- */

/* A member's name and the colon. */
static bool
read_name(struct json_cursor *c, const char **name, size_t *n)
{
	json_cursor_space(c);
	*name = c->p + 1;
	if (!skip_string(c))
		return false;
	*n = (size_t)(c->p - *name) - 1;
	bool ok = json_cursor_take(c, ':');
	json_cursor_space(c);
	return ok;
}

static bool
is(const char *name, size_t n, const char *what)
{
	return n == strlen(what) && !memcmp(name, what, n);
}

/* Goes to the value of the member "model" of the object at c. */
static bool
enter_model(struct json_cursor *c)
{
	const char *name;
	size_t n;
	if (!json_cursor_take(c, '{'))
		return false;
	do {
		if (!read_name(c, &name, &n))
			return false;
		if (is(name, n, "model"))
			return true;
		if (!skip_value(c))
			return false;
	} while (json_cursor_take(c, ','));
	return false;
}

/* The model at c; *from is what of the text is in *rest already. */
static bool
read_model(struct json_cursor *c, struct bpe_text *x, const char **from, struct buf *rest)
{
	bool vocab = false;
	const char *name;
	size_t n;
	if (!json_cursor_take(c, '{'))
		return false;
	do {
		if (!read_name(c, &name, &n))
			return false;
		bool is_vocab = is(name, n, "vocab"), is_merges = is(name, n, "merges");
		if ((is_vocab && vocab) || (is_merges && !vocab))
			return false;
		if (is_vocab || is_merges)
			buf_append(rest, *from, (size_t)(c->p - *from));
		if (is_vocab ? !read_vocab(c, &x->vocab) : is_merges ? !read_merges(c, &x->vocab, &x->rules) : !skip_value(c))
			return false;
		if (is_vocab || is_merges) {
			buf_puts(rest, is_vocab ? "{}" : "[]");
			*from = c->p;
		}
		vocab |= is_vocab;
		if (is_merges)
			return true;
	} while (json_cursor_take(c, ','));
	return false;
}

bool
bpe_text_read(struct bpe_text *x, const char *text, size_t n, struct buf *rest)
{
	struct json_cursor c = {text, text + n};
	const char *from = text;
	*x = (struct bpe_text){0};
	vocab_init(&x->vocab, n / 40);  /* as many as vocabularies and merges of the usual kind have */
	if (enter_model(&c) && read_model(&c, x, &from, rest)) {
		buf_append(rest, from, (size_t)(text + n - from));
		return true;
	}
	bpe_text_release(x);
	return false;
}

void
bpe_text_release(struct bpe_text *x)
{
	vocab_release(&x->vocab);
	bpe_rules_release(&x->rules);
}

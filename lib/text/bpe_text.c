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

/* Merges of which the tokens are looked up together. */
struct merges {
	const struct vocab *vocab;
	struct bpe_rules *rules;
	struct buf tmp[2];
	char text[4096];       /* of both halves of each, one behind the other */
	size_t used, n;
	struct vocab_key half[VOCAB_BATCH];  /* [2 n] */
	uint32_t rank[VOCAB_BATCH / 2];
	int32_t last;          /* what the last merge made: the next one makes the same, or the next token, nearly always */
};

static bool
is_token(const struct vocab *v, int32_t id, const char *text, size_t n)
{
	const struct vocab_token *t = vocab_token(v, id);
	return t && t->n == n && !memcmp(t->text, text, n);
}

static bool
flush_merges(struct merges *m)
{
	const struct vocab *v = m->vocab;
	int32_t id[VOCAB_BATCH];
	vocab_ids(v, m->half, 2 * m->n, id);
	for (size_t i = 0; i < m->n; i++) {
		const char *text = m->half[2 * i].text;
		size_t n = m->half[2 * i].n + m->half[2 * i + 1].n;
		int32_t joined = is_token(v, m->last, text, n) ? m->last :
			is_token(v, m->last + 1, text, n)      ? m->last + 1 :
								 vocab_id(v, text, n);
		if (id[2 * i] < 0 || id[2 * i + 1] < 0 || joined < 0)
			return false;
		m->last = joined;
		bpe_rules_add(m->rules, (struct bpe_rule){id[2 * i], id[2 * i + 1], joined, m->rank[i]});
	}
	m->n = m->used = 0;
	return true;
}

static const char *
keep_text(struct merges *m, const char *s, size_t n)
{
	char *p = memcpy(m->text + m->used, s, n);
	m->used += n;
	return p;
}

/* A merge that is longer than any token is none, or one for the other reader. */
static bool
add_merge(struct merges *m, const char *left, size_t left_n, const char *right, size_t right_n, size_t rank)
{
	if (left_n > sizeof m->text / 2 || right_n > sizeof m->text / 2 || rank >= BPE_NO_RANK)
		return false;
	if ((m->n == VOCAB_BATCH / 2 || left_n + right_n > sizeof m->text - m->used) && !flush_merges(m))
		return false;
	m->half[2 * m->n] = (struct vocab_key){keep_text(m, left, left_n), left_n};
	m->half[2 * m->n + 1] = (struct vocab_key){keep_text(m, right, right_n), right_n};
	m->rank[m->n++] = (uint32_t)rank;
	return true;
}

/* The two halves of one string. */
static bool
read_joined(struct json_cursor *c, struct buf *tmp, const char **s, size_t *left_n, size_t *n)
{
	size_t spaces = 0;
	if (!json_cursor_string(c, tmp, s, n))
		return false;
	for (size_t i = 0; i < *n; i++)
		if ((*s)[i] == ' ') {
			*left_n = i;
			spaces++;
		}
	return spaces == 1 && !((*s)[0] == '#' && *n >= 8 && !memcmp(*s, "#version", 8));
}

static bool
read_merge(struct json_cursor *c, struct merges *m, size_t rank)
{
	const char *left, *right;
	size_t left_n, right_n, n;
	buf_clear(&m->tmp[0]);
	buf_clear(&m->tmp[1]);
	json_cursor_space(c);
	if (c->p < c->end && *c->p == '"')
		return read_joined(c, &m->tmp[0], &left, &left_n, &n) &&
			add_merge(m, left, left_n, left + left_n + 1, n - left_n - 1, rank);
	return json_cursor_take(c, '[') && json_cursor_string(c, &m->tmp[0], &left, &left_n) && json_cursor_take(c, ',') &&
		json_cursor_string(c, &m->tmp[1], &right, &right_n) && json_cursor_take(c, ']') &&
		add_merge(m, left, left_n, right, right_n, rank);
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
	buf_release(&m.tmp[0]);
	buf_release(&m.tmp[1]);
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

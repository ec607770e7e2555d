/* Conversations: where in the rendered text each assistant's turn is.
 *
 * Let R be the template's text of all messages. Turn i starts where the template's text of the messages
 * before it, with add_generation_prompt, ends, and ends where the text of the messages up to it ends; both
 * are prefixes of R for most templates. They are not where a template prints a message otherwise once
 * others follow (reasoning that is dropped from earlier turns, an end-of-text token behind the last turn
 * only); what is done then stands at turn_start and turn_end. The pieces always add up to R. */
#include <string.h>

#include "base/mem.h"
#include "text/record_int.h"

/* A text that no message holds: put into one, it shows where the template prints that one's content. */
static const char mark[] = "\xe2\x90\x9e<-\xe2\x90\x9e";

/* ---- rendering ---- */

const json_t *
record_messages(const struct record_maker *m)
{
	return json_object_get(m->record, "messages");
}

int
record_render(struct record_maker *m, const json_t *messages, bool generate, struct buf *out, struct err *e)
{
	struct conversation c = {
		.messages = messages,
		.tools = json_object_get(m->record, "tools"),
		.variables = json_object_get(m->record, "chat_template_kwargs"),
		.generate = generate,
	};
	buf_clear(out);
	return template_render(m->opt->template, &c, out, e);
}

static json_t *
first_messages(const struct record_maker *m, size_t n)
{
	json_t *some = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append(some, json_array_get(record_messages(m), i));
	return some;
}

int
record_render_first(struct record_maker *m, size_t n, bool generate, struct buf *out, struct err *e)
{
	json_t *some = first_messages(m, n);
	int rc = record_render(m, some, generate, out, e);
	json_decref(some);
	return rc;
}

/* The first n messages, with the mark before or behind the content of message i, which is a string. */
static int
render_marked(struct record_maker *m, size_t n, size_t i, bool before, struct buf *out, struct err *e)
{
	json_t *all = first_messages(m, n);
	json_t *one = json_copy(json_array_get(all, i)), *content = json_object_get(one, "content");
	struct buf b = {0};
	buf_puts(&b, before ? mark : "");
	buf_append(&b, json_string_value(content), json_string_length(content));
	buf_puts(&b, before ? "" : mark);
	json_object_set_new(one, "content", json_stringn(b.data, b.len));
	json_array_set_new(all, i, one);
	int rc = record_render(m, all, false, out, e);
	json_decref(all);
	buf_release(&b);
	return rc;
}

/* ---- comparing texts ---- */

static bool
is_prefix(const struct buf *a, const struct buf *of)
{
	return a->len <= of->len && memcmp(a->data, of->data, a->len) == 0;
}

/* How long a text starts both, not ending within a character. */
static size_t
common_prefix(const struct buf *a, const struct buf *b)
{
	size_t n = 0, max = a->len < b->len ? a->len : b->len;
	while (n < max && a->data[n] == b->data[n])
		n++;
	while (n && n < a->len && ((unsigned char)a->data[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* ---- special tokens in a text ---- */

/* The length of the longest special token that starts at b[at] and ends by `to`; 0 when there is none. */
static size_t
token_at(const struct record_maker *m, const struct buf *b, size_t at, size_t to)
{
	const struct record_specials *s = &m->specials;
	size_t best = 0;
	if (!s->first[(unsigned char)b->data[at]])
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->len[i] > best && s->len[i] <= to - at &&
			memcmp(b->data + at, s->text[i], s->len[i]) == 0)
			best = s->len[i];
	return best;
}

/* Where the special token starts that covers position `at` of b, or `at` itself: two texts part within a
 * token when only their tokens differ ("<|end" of "<|endoftext|>" and "<|end|>"). */
static size_t
outside_token(const struct record_maker *m, const struct buf *b, size_t at)
{
	size_t longest = m->specials.longest;
	for (size_t from = at < longest ? 0 : at - longest; from < at; from++) {
		size_t n = token_at(m, b, from, b->len);
		if (n && from + n > at)
			return from;
	}
	return at;
}

/* The special tokens in a part of a text. */
struct found {
	size_t n, first_end, last_start, last_end;
};

static struct found
find_tokens(const struct record_maker *m, const struct buf *b, size_t from, size_t to)
{
	struct found f = {0};
	for (size_t at = from, n; at < to; at += n ? n : 1) {
		n = token_at(m, b, at, to);
		if (!n)
			continue;
		f.last_start = at;
		f.last_end = at + n;
		if (f.n++ == 0)
			f.first_end = at + n;
	}
	return f;
}

/* Where two texts part, outside any special token of either. */
static size_t
parting(const struct record_maker *m, const struct buf *a, const struct buf *b)
{
	size_t at = common_prefix(a, b), in_a = outside_token(m, a, at), in_b = outside_token(m, b, at);
	return in_a < in_b ? in_a : in_b;
}

/* ---- where a turn is ---- */

static bool
has_text(const struct record_maker *m, size_t i)
{
	return json_is_string(json_object_get(json_array_get(record_messages(m), i), "content"));
}

/* Where in `text`, which is that of the first n messages, the content of message i starts or ends, by what the mark at
 * it changes; *found tells whether it shows. */
static int
find_mark(struct record_maker *m, const struct buf *text, size_t n, size_t i, bool before, size_t *at, bool *found,
	struct err *e)
{
	*found = false;
	if (!has_text(m, i))
		return 0;
	if (render_marked(m, n, i, before, &m->text, e) < 0)
		return -1;
	*at = common_prefix(&m->text, text);
	*found = m->text.len - *at >= strlen(mark) && memcmp(m->text.data + *at, mark, strlen(mark)) == 0;
	return 0;
}

static int
find_content(struct record_maker *m, struct record_turn *t, struct err *e)
{
	return find_mark(m, &m->whole, json_array_size(record_messages(m)), t->index, false, &t->content_end,
		&t->found_content, e);
}

/* The last place in R[from, to) where `text` stands; where it ends, 0 when nowhere. */
static size_t
find_last(const struct buf *whole, size_t from, size_t to, const char *text, size_t n)
{
	for (size_t at = to; n && at >= from + n; at--)
		if (memcmp(whole->data + at - n, text, n) == 0)
			return at;
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* How many bytes the text before position `at` of a and all of b end with in common. */
static size_t
common_end(const struct buf *a, size_t at, const struct buf *b)
{
	size_t n = 0;
	while (n < at && n < b->len && a->data[at - 1 - n] == b->data[b->len - 1 - n])
		n++;
	return n;
}

/* The place before the content, of those with only white space between, where R ends most like the
 * context. */
static size_t
likest_end(const struct buf *whole, size_t from, size_t content, const struct buf *context)
{
	size_t best = content, most = common_end(whole, content, context);
	for (size_t at = content; at > from && is_blank(whole->data[at - 1]); at--) {
		size_t n = common_end(whole, at - 1, context);
		if (n > most) {
			most = n;
			best = at - 1;
		}
	}
	return best;
}

/* What comes before is printed otherwise, too (reasoning that earlier turns lose, a system message that
 * moves on). The turn starts behind the last generation prompt before its content ends, or, when the
 * template has none, before its content. */
static int
odd_turn_start(struct record_maker *m, struct record_turn *t, size_t from, struct err *e)
{
	struct buf context = {0};
	bool found;
	t->start = 0;
	int rc = record_render_first(m, t->index, true, &context, e);
	if (rc == 0)
		rc = find_content(m, t, e);
	if (rc == 0)
		rc = record_render_first(m, t->index, false, &m->other, e);
	if (rc == 0 && t->found_content && is_prefix(&m->other, &context))
		t->start = find_last(&m->whole, from, t->content_end, context.data + m->other.len,
			context.len - m->other.len);
	if (rc == 0 && !t->start) {
		rc = find_mark(m, &m->whole, json_array_size(record_messages(m)), t->index, true, &t->start, &found, e);
		t->start = rc == 0 && found ? likest_end(&m->whole, from, t->start, &context) : 0;
	}
	buf_release(&context);
	if (rc == 0 && !t->start)
		rc = err_set(e, ERR_DATA,
			"message %zu is printed otherwise when others follow it, and its start cannot be "
			"told",
			t->index + 1);
	return rc;
}

/* A template may print the generation prompt otherwise than the turn itself (an empty block of reasoning):
 * the turn starts where the two part, if all before is the same. */
static int
turn_start(struct record_maker *m, struct record_turn *t, size_t from, struct err *e)
{
	const struct buf *whole = &m->whole;
	if (record_render_first(m, t->index, true, &m->other, e) < 0)
		return -1;
	t->start = m->other.len;
	if (is_prefix(&m->other, whole))
		return 0;
	t->start = parting(m, &m->other, whole);
	if (record_render_first(m, t->index, false, &m->other, e) == 0 && is_prefix(&m->other, whole) &&
		t->start >= m->other.len)
		return 0;
	return odd_turn_start(m, t, from, e);
}

/* A turn that is printed otherwise when it is the last: it ends where the two texts part behind its
 * content, if that is in the same place in both, or else with what the last turn ends with, from its last special token on. */
static int
odd_turn_end(struct record_maker *m, struct record_turn *t, struct err *e)
{
	const struct buf *whole = &m->whole;
	size_t content_end = 0;
	bool found;
	if (find_content(m, t, e) < 0 || record_render_first(m, t->index + 1, false, &m->other, e) < 0 ||
		find_mark(m, &m->other, t->index + 1, t->index, false, &content_end, &found, e) < 0)
		return -1;
	t->end = parting(m, &m->other, whole);
	if (t->found_content && found && content_end == t->content_end && t->end >= content_end)
		return 0;
	struct found last = find_tokens(m, &m->other, 0, m->other.len);
	size_t n = m->other.len - last.last_start;
	for (size_t at = t->found_content ? t->content_end : t->start; last.n && at + n <= whole->len; at++)
		if (memcmp(whole->data + at, m->other.data + last.last_start, n) == 0) {
			t->end = at + n;
			return 0;
		}
	return err_set(e, ERR_DATA,
		"message %zu is printed otherwise when others follow it, and its end cannot be told",
		t->index + 1);
}

static int
turn_end(struct record_maker *m, struct record_turn *t, struct err *e)
{
	struct err ignored;
	t->end = m->whole.len;
	if (t->index + 1 == json_array_size(record_messages(m)))
		return 0;
	if (record_render_first(m, t->index + 1, false, &m->other, &ignored) < 0 ||
		!is_prefix(&m->other, &m->whole))
		return odd_turn_end(m, t, e);
	t->end = m->other.len;
	return 0;
}

static bool
all_blank(const struct buf *b, size_t from, size_t to)
{
	while (from < to && is_blank(b->data[from]))
		from++;
	return from == to;
}

/* The token that ends the turn: the first special one behind the content, or where only tool calls are
 * known the last one. Text behind it other than white space belongs to the turn. */
static int
turn_stop(struct record_maker *m, struct record_turn *t, struct err *e)
{
	const struct buf *whole = &m->whole;
	struct found f = find_tokens(m, whole, t->start, t->end);
	bool calls = json_array_size(
			     json_object_get(json_array_get(record_messages(m), t->index), "tool_calls")) > 0;
	t->stop = t->end;
	if (f.n > 1 && !calls && has_text(m, t->index)) {
		if (find_content(m, t, e) < 0)
			return -1;
		f = find_tokens(m, whole, t->found_content ? t->content_end : t->start, t->end);
		if (f.n)
			t->stop = t->found_content ? f.first_end : f.last_end;
	} else if (f.n && all_blank(whole, f.last_end, t->end)) {
		t->stop = f.last_end;
	}
	return 0;
}

int
record_locate(struct record_maker *m, struct record_turn *t, size_t from, struct err *e)
{
	if (turn_start(m, t, from, e) < 0 || turn_end(m, t, e) < 0 || turn_stop(m, t, e) < 0)
		return -1;
	if (t->start < from || t->end < t->start)
		return err_set(
			e, ERR_DATA, "the template does not print message %zu in its place", t->index + 1);
	return 0;
}

/* Conversations: the tokens of their turns, and which of them are targets. */
#include <string.h>

#include "text/record_int.h"

static int
encode(struct record_maker *m, size_t from, size_t to, struct ids *out, struct err *e)
{
	return encoder_encode(m->encoder, m->whole.data + from, to - from, false, out, e);
}

/* How many of the ids behind `base` are those of the bytes [from, to) alone; -1 in *n when they do not
 * start so. */
static int
count_prefix(struct record_maker *m, size_t base, size_t from, size_t to, long *n, struct err *e)
{
	m->joined.n = 0;
	if (encode(m, from, to, &m->joined, e) < 0)
		return -1;
	size_t k = m->joined.n;
	bool same =
		k <= m->ids.n - base && memcmp(m->ids.v + base, m->joined.v, k * sizeof *m->joined.v) == 0;
	*n = k == 0 ? 0 : same ? (long)k : -1;
	return 0;
}

/* Gives the first n tokens behind `base` weight 0, those up to what [from, stop) comes to the turn's, the
 * rest 0. */
static int
weigh(struct record_maker *m, size_t base, long n, size_t from, const struct record_turn *t, struct err *e)
{
	size_t total = m->ids.n;
	long k = (long)(total - base);
	if (t->stop < t->end && (count_prefix(m, base, from, t->stop, &k, e) < 0))
		return -1;
	m->ids.n = base + (size_t)n;
	record_span(m, 0);
	m->ids.n = k < 0 ? total : base + (size_t)k;
	record_span(m, t->weight);
	if (m->ids.n && !tokenizer_is_special(m->opt->tokenizer, m->ids.v[m->ids.n - 1]))
		m->remarks |= 1u << REMARK_NO_END;
	m->ids.n = total;
	record_span(m, 0);
	return 0;
}

/* The tokens from the end of the last turn to the end of this one. */
static int
add_turn(struct record_maker *m, size_t from, const struct record_turn *t, struct err *e)
{
	size_t base = m->ids.n;
	long n;
	if (encode(m, from, t->end, &m->ids, e) < 0 || count_prefix(m, base, from, t->start, &n, e) < 0)
		return -1;
	if (n < 0) {  /* tokens cross the boundary: context and turn apart */
		m->ids.n = base;
		if (encode(m, from, t->start, &m->ids, e) < 0)
			return -1;
		record_span(m, 0);
		base = m->ids.n;
		from = t->start;
		n = 0;
		if (encode(m, from, t->end, &m->ids, e) < 0)
			return -1;
	}
	if (!m->completion)
		m->completion = (uint32_t)(base + (size_t)n);
	return weigh(m, base, n, from, t, e);
}

/* ---- the record ---- */

static int
add_turns(struct record_maker *m, size_t last, size_t *at, struct err *e)
{
	const json_t *all = record_messages(m);
	for (size_t i = 0; i < json_array_size(all); i++) {
		struct record_turn t = {.index = i, .weight = m->weights[i]};
		if (!record_is_assistant(json_array_get(all, i)))
			continue;
		if (t.weight == 0 || (m->opt->train_on == TRAIN_ON_COMPLETION && i != last))
			continue;
		if (record_locate(m, &t, *at, e) < 0 || add_turn(m, *at, &t, e) < 0)
			return -1;
		*at = t.end;
	}
	return 0;
}

/* A template that prints BOS before a text that begins with it, or the like. */
static void
look_for_bos(struct record_maker *m)
{
	const struct ids *ids = &m->ids;
	int32_t bos = tokenizer_bos(m->opt->tokenizer);
	for (size_t i = 0; bos >= 0 && i + 1 < ids->n; i++)
		if (ids->v[i] == bos && ids->v[i + 1] == bos && (i == 0 || bos != m->eos))
			m->remarks |= 1u << REMARK_BOS_DOUBLED;
}

int
record_chat(struct record_maker *m, struct err *e)
{
	size_t at = 0, assistants = 0, last = 0;
	if (record_messages_prepare(m, e) < 0)
		return -1;
	const json_t *all = record_messages(m);
	for (size_t i = 0; i < json_array_size(all); i++)
		if (record_is_assistant(json_array_get(all, i))) {
			last = i;
			assistants++;
		}
	if (record_render(m, all, false, &m->whole, e) < 0)
		return -1;
	bool everything = m->opt->train_on == TRAIN_ON_ALL;
	if (!assistants && !everything)
		return err_set(e, ERR_DATA, "no message is the assistant's");
	if (!everything && add_turns(m, last, &at, e) < 0)
		return -1;
	if (encode(m, at, m->whole.len, &m->ids, e) < 0)
		return -1;
	record_span(m, everything);
	look_for_bos(m);
	if (assistants != 1)
		m->completion = 0;
	return 0;
}

int
record_chat_prompt(struct record_maker *m, struct err *e)
{
	if (record_messages_prepare(m, e) < 0)
		return -1;
	size_t n = json_array_size(record_messages(m));
	bool answered = n > 1 && record_is_assistant(json_array_get(record_messages(m), n - 1));
	if (record_render_first(m, n - answered, true, &m->whole, e) < 0)
		return -1;
	return encode(m, 0, m->whole.len, &m->ids, e);
}

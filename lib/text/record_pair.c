/* Forms of a prompt and its answer, and plain texts. */
#include <string.h>

#include "text/record_int.h"

enum { LABEL_BYTES_MAX = 100 };

/* What the legacy fine-tunes service's tool puts behind a text that is to be classified. */
static const char separator[] = "\n\n###\n\n";

static void
append(struct buf *b, struct text t)
{
	buf_append(b, t.p, t.n);
}

/* ---- tokens ---- */

/* A text that begins with the token that the post-processor puts before it (BOS, most often) gets no second. */
static void
drop_second(struct record_maker *m)
{
	struct ids *ids = &m->ids;
	size_t at = m->front;
	if (at == 0 || ids->n <= at || ids->v[at] != ids->v[at - 1] ||
		!tokenizer_is_special(m->opt->tokenizer, ids->v[at]))
		return;
	memmove(ids->v + at, ids->v + at + 1, (ids->n - at - 1) * sizeof *ids->v);
	ids->n--;
	m->remarks |= 1u << REMARK_BOS_GIVEN;
}

/* A text as a prompt: with what stands before it, without what the post-processor puts behind. */
static int
encode_front(struct record_maker *m, struct text t, struct err *e)
{
	bool special = !m->opt->no_special;
	if (encoder_encode_valid(m->encoder, t.p, t.n, special, &m->ids, e) < 0)
		return -1;
	if (special) {
		m->ids.n -= m->behind;
		drop_second(m);
	}
	return 0;
}

static int
encode_behind(struct record_maker *m, struct text t, struct err *e)
{
	return encoder_encode_valid(m->encoder, t.p, t.n, false, &m->ids, e);
}

static void
end_of_text(struct record_maker *m, size_t from)
{
	bool there = m->ids.n > from && m->ids.v[m->ids.n - 1] == m->eos;
	if (m->eos >= 0 && !there)
		ids_push(&m->ids, m->eos);
}

static double
prompt_weight(const struct record_maker *m)
{
	return m->opt->train_on == TRAIN_ON_ALL ? 1 : m->opt->prompt_loss_weight;
}

static int
add_answer(struct record_maker *m, struct text t, double weight, struct err *e)
{
	size_t from = m->ids.n;
	if (encode_behind(m, t, e) < 0)
		return -1;
	end_of_text(m, from);
	record_span(m, weight);
	return 0;
}

/* ---- Alpaca ---- */

static void
put_instruction(struct buf *b, struct text instruction, struct text input)
{
	buf_puts(b, "\n\n### Instruction:\n");
	append(b, instruction);
	if (input.n) {
		buf_puts(b, "\n\n### Input:\n");
		append(b, input);
	}
	buf_puts(b, "\n\n### Response:");
}

/* One question and answer of "history". */
static int
history_pair(const json_t *pair, size_t i, struct text out[2], struct err *e)
{
	for (size_t k = 0; k < 2; k++) {
		const json_t *s = json_array_get(pair, k);
		if (json_array_size(pair) != 2 || !json_is_string(s))
			return err_set(e, ERR_DATA, "pair %zu of 'history' is not a list of two strings", i + 1);
		out[k] = (struct text){json_string_value(s), json_string_length(s)};
	}
	return 0;
}

/* Tokens and spans of what m->text has so far; the first part has BOS before it. */
static int
flush_prompt(struct record_maker *m, struct err *e)
{
	struct text t = {m->text.data, m->text.len};
	if ((m->ids.n ? encode_behind(m, t, e) : encode_front(m, t, e)) < 0)
		return -1;
	record_span(m, prompt_weight(m));
	buf_clear(&m->text);
	return 0;
}

/* Earlier pairs in the same frame, each answer ended as it is at inference. */
static int
add_history(struct record_maker *m, struct err *e)
{
	const json_t *all = json_object_get(m->record, "history");
	if (record_has(m, "history") && !json_is_array(all) && !json_is_null(all))
		return err_set(e, ERR_DATA, "'history' is not a list of pairs");
	for (size_t i = 0; i < json_array_size(all); i++) {
		struct text pair[2] = {{0}};
		if (history_pair(json_array_get(all, i), i, pair, e) < 0)
			return -1;
		put_instruction(&m->text, pair[0], (struct text){"", 0});
		bool target = m->opt->train_on != TRAIN_ON_COMPLETION;
		if (flush_prompt(m, e) < 0 || add_answer(m, pair[1], target, e) < 0)
			return -1;
	}
	return 0;
}

static int
add_alpaca_prompt(struct record_maker *m, struct err *e)
{
	struct text system = {0}, instruction = {0}, input = {0};
	if (record_text(m, "system", true, &system, e) < 0 ||
		record_text(m, "instruction", false, &instruction, e) < 0 ||
		record_text(m, "input", true, &input, e) < 0)
		return -1;
	append(&m->text, system);
	if (!system.n) {
		buf_puts(&m->text, "Below is an instruction that describes a task");
		buf_puts(&m->text, input.n ? ", paired with an input that provides further context" : "");
		buf_puts(&m->text, ". Write a response that appropriately completes the request.");
	}
	if (add_history(m, e) < 0)
		return -1;
	put_instruction(&m->text, instruction, input);
	return flush_prompt(m, e);
}

/* ---- prompt and completion ---- */

/* Whether it is {"input", "target"} instead of {"prompt", "completion"}. */
static bool
is_input_target(const struct record_maker *m)
{
	return record_has(m, "input") && !record_has(m, "prompt");
}

static int
add_prompt(struct record_maker *m, struct err *e)
{
	const char *key = m->format != RECORD_COMPLETION ? "text" : is_input_target(m) ? "input" : "prompt";
	struct text t = {0};
	if (m->format == RECORD_ALPACA)
		return add_alpaca_prompt(m, e);
	if (record_text(m, key, false, &t, e) < 0)
		return -1;
	if (m->format == RECORD_CLASSIFICATION) {
		append(&m->text, t);
		buf_puts(&m->text, separator);
		t = (struct text){m->text.data, m->text.len};
	}
	if (encode_front(m, t, e) < 0)
		return -1;
	record_span(m, prompt_weight(m));
	return 0;
}

static int
completion_text(struct record_maker *m, struct text *t, struct err *e)
{
	if (m->format != RECORD_CLASSIFICATION)
		return record_text(m,
			m->format == RECORD_ALPACA   ? "output"
				: is_input_target(m) ? "target"
						     : "completion",
			false, t, e);
	if (record_label(m, &m->other, e) < 0)
		return -1;
	*t = (struct text){m->other.data, m->other.len};
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The class a completion shows: what it says, if that is short and on one line. */
static void
set_label(struct record_maker *m, struct text completion)
{
	const char *p = completion.p, *end = p + completion.n;
	while (p < end && is_blank(*p))
		p++;
	while (p < end && is_blank(end[-1]))
		end--;
	size_t n = (size_t)(end - p);
	if (n == 0 || n > LABEL_BYTES_MAX || memchr(p, '\n', n) || memchr(p, '\0', n))
		return;
	buf_append(&m->label, p, n);
	m->has_label = true;
}

int
record_pair(struct record_maker *m, struct err *e)
{
	struct text completion = {0};
	if (add_prompt(m, e) < 0)
		return -1;
	m->completion = (uint32_t)m->ids.n;
	if (completion_text(m, &completion, e) < 0 || add_answer(m, completion, 1, e) < 0)
		return -1;
	if (m->format != RECORD_ALPACA)
		set_label(m, completion);
	if (m->format == RECORD_CLASSIFICATION && !m->has_label)
		return err_set(e, ERR_DATA, "'label' is not a short text on one line");
	return 0;
}

int
record_pair_prompt(struct record_maker *m, struct err *e)
{
	return add_prompt(m, e);
}

int
record_plain(struct record_maker *m, struct err *e)
{
	struct text t = {0};
	if (record_text(m, "text", false, &t, e) < 0 || encode_front(m, t, e) < 0)
		return -1;
	end_of_text(m, m->opt->no_special ? 0 : m->front);
	record_span(m, 1);
	return 0;
}

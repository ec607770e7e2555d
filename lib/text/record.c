#include "text/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/record_int.h"

/* ---- the maker ---- */

/* How many tokens the post-processor puts before and behind: seen on a text of one letter. */
static int
measure_affixes(struct record_maker *m, struct err *e)
{
	struct ids bare = {0}, full = {0};
	int rc = encoder_encode(m->encoder, "a", 1, false, &bare, e);
	if (rc == 0)
		rc = encoder_encode(m->encoder, "a", 1, true, &full, e);
	while (rc == 0 && m->front + bare.n <= full.n &&
		(bare.n == 0 || memcmp(full.v + m->front, bare.v, bare.n * sizeof *bare.v) != 0))
		m->front++;
	if (rc == 0 && m->front + bare.n <= full.n)
		m->behind = full.n - bare.n - m->front;
	else
		m->front = 0;
	ids_release(&bare);
	ids_release(&full);
	return rc;
}

static void
collect_specials(struct record_maker *m)
{
	const struct tokenizer *t = m->opt->tokenizer;
	struct record_specials *s = &m->specials;
	size_t texts = 0, lens = 0;
	for (size_t id = 0; id < tokenizer_vocab_size(t); id++) {
		const char *text =
			tokenizer_is_special(t, (int32_t)id) ? tokenizer_token(t, (int32_t)id) : NULL;
		if (!text || !*text)
			continue;
		GROW(s->text, texts, s->n + 1);
		GROW(s->len, lens, s->n + 1);
		s->text[s->n] = text;
		s->len[s->n] = strlen(text);
		s->longest = s->len[s->n] > s->longest ? s->len[s->n] : s->longest;
		s->first[(unsigned char)*text] = true;
		s->n++;
	}
}

struct record_maker *
record_maker_new(const struct record_options *opt, struct err *e)
{
	struct record_maker *m = xcalloc(1, sizeof *m);
	m->opt = opt;
	m->format = opt->format;
	m->encoder = encoder_new(opt->tokenizer);
	collect_specials(m);
	m->eos = opt->no_eos || opt->no_special ? -1 : tokenizer_eos(opt->tokenizer);
	bool wants_eos = !opt->no_eos && !opt->no_special && opt->format != RECORD_AUTO &&
		!record_format_is_chat(opt->format);
	int rc = 0;
	if (wants_eos && m->eos < 0)
		rc = err_set(e, ERR_CONFIG, "the tokenizer has no end-of-text token; --no-eos does without");
	if (rc == 0)
		rc = measure_affixes(m, e);
	if (rc < 0) {
		record_maker_free(m);
		return NULL;
	}
	return m;
}

void
record_maker_free(struct record_maker *m)
{
	if (!m)
		return;
	encoder_free(m->encoder);
	json_decref(m->record);
	fields_release(&m->fields);
	free(m->weights);
	free(m->specials.text);
	free(m->specials.len);
	ids_release(&m->ids);
	ids_release(&m->joined);
	free(m->spans);
	buf_release(&m->text);
	buf_release(&m->other);
	buf_release(&m->label);
	buf_release(&m->whole);
	free(m);
}

void
record_span(struct record_maker *m, double weight)
{
	if (m->covered == m->ids.n)
		return;
	GROW(m->spans, m->spans_cap, m->n_spans + 1);
	m->spans[m->n_spans++] = (struct span){(uint32_t)(m->ids.n - m->covered), (float)weight};
	m->covered = m->ids.n;
}

/* ---- length ---- */

/* Removes `n` tokens from position `at`, and their share of the spans. */
static void
cut(struct record_maker *m, size_t at, size_t n)
{
	memmove(m->ids.v + at, m->ids.v + at + n, (m->ids.n - at - n) * sizeof *m->ids.v);
	size_t start = 0, kept = 0;
	for (size_t i = 0; i < m->n_spans; i++) {
		size_t end = start + m->spans[i].n, from = start > at ? start : at,
		       to = end < at + n ? end : at + n;
		uint32_t left = m->spans[i].n - (uint32_t)(to > from ? to - from : 0);
		start = end;
		if (left)
			m->spans[kept++] = (struct span){left, m->spans[i].weight};
	}
	m->n_spans = kept;
	m->ids.n -= n;
}

static int
truncate_record(struct record_maker *m, struct err *e)
{
	size_t over = m->ids.n - m->opt->max_length;
	bool has_prompt = m->format != RECORD_TEXT && !record_format_is_chat(m->format);
	if (!has_prompt) {
		cut(m, m->opt->max_length, over);
		if (m->completion > m->ids.n)
			m->completion = 0;
		return RECORD_CUT;
	}
	size_t front = m->opt->no_special ? 0 : m->front;
	if (m->completion < front + over)
		return err_set(e, ERR_DATA,
			"the completion alone has %zu tokens, more than fit into %u beside the %zu before it",
			m->ids.n - m->completion, m->opt->max_length, front);
	cut(m, front, over);
	m->completion -= (uint32_t)over;
	return RECORD_CUT;
}

/* What becomes of an example that is too long. */
static int
limit_length(struct record_maker *m, struct err *e)
{
	uint32_t max = m->opt->max_length;
	if (m->ids.n > EXAMPLE_MAX_TOKENS && !(max && max <= EXAMPLE_MAX_TOKENS))
		return err_set(e, ERR_DATA, "has %zu tokens, more than the %d that an example may have",
			m->ids.n, EXAMPLE_MAX_TOKENS);
	if (!max || m->ids.n <= max)
		return RECORD_WHOLE;
	switch (m->opt->overlong) {
	case OVERLONG_DROP:
		return RECORD_DROPPED;
	case OVERLONG_TRUNCATE:
		return truncate_record(m, e);
	case OVERLONG_SPLIT:
		if (m->format == RECORD_TEXT)
			return RECORD_WHOLE;
		return err_set(e, ERR_USAGE,
			"has %zu tokens, more than %u, and only text records can be split", m->ids.n, max);
	default:
		return err_set(e, ERR_DATA,
			"has %zu tokens, more than %u; --overlong chooses what to do with such", m->ids.n,
			max);
	}
}

/* ---- the interface ---- */

/* Reads the line and empties everything else. */
static int
begin(struct record_maker *m, const char *line, size_t n, struct err *e)
{
	m->ids.n = m->n_spans = m->covered = 0;
	m->completion = 0;
	m->remarks = 0;
	m->has_label = false;
	buf_clear(&m->text);
	buf_clear(&m->other);
	buf_clear(&m->label);
	return record_load(m, line, n, e);
}

/* Under RECORD_AUTO, the form of the record at hand; the answer may be missing where none is needed. */
static int
settle_form(struct record_maker *m, bool answered, struct err *e)
{
	if (m->format != RECORD_AUTO)
		return 0;
	int found = record_form(m, answered, NULL, e);
	if (found < 0)
		return -1;
	m->format = (enum record_format)found;
	return 0;
}

static int
make(struct record_maker *m, struct err *e)
{
	if (record_format_is_chat(m->format))
		return record_chat(m, e);
	if (m->eos < 0 && !m->opt->no_eos && !m->opt->no_special)
		return err_set(
			e, ERR_CONFIG, "the tokenizer has no end-of-text token; --no-eos does without");
	return m->format == RECORD_TEXT ? record_plain(m, e) : record_pair(m, e);
}

static int
finish(struct record_maker *m, uint64_t lineno, struct example *out, struct err *e)
{
	int verdict = limit_length(m, e);
	if (verdict < 0 || verdict == RECORD_DROPPED)
		return verdict;
	*out = (struct example){m->ids.v, (uint32_t)m->ids.n, m->spans, (uint32_t)m->n_spans, m->completion,
		lineno, m->has_label ? m->label.data : NULL, (uint32_t)m->label.len};
	return example_targets(out) > 0 || m->opt->allow_empty ? verdict : RECORD_UNTRAINABLE;
}

int
record_parse(struct record_maker *m, const char *line, size_t n, uint64_t lineno, struct example *out,
	struct err *e)
{
	int rc = begin(m, line, n, e);
	if (rc == 0)
		rc = settle_form(m, true, e);
	if (rc == 0)
		rc = make(m, e);
	if (rc == 0)
		rc = finish(m, lineno, out, e);
	return rc < 0 ? err_prefix(e, "line %llu: ", (unsigned long long)lineno) : rc;
}

unsigned
record_remarks(const struct record_maker *m)
{
	return m->remarks;
}

int
record_prompt(struct record_maker *m, const char *line, size_t n, uint64_t lineno, const int32_t **ids,
	size_t *n_ids, struct err *e)
{
	enum record_format given = m->format;
	int rc = begin(m, line, n, e);
	if (rc == 0)
		rc = settle_form(m, false, e);
	if (rc == 0)
		rc = record_format_is_chat(m->format) ? record_chat_prompt(m, e) : record_pair_prompt(m, e);
	m->format = given;
	*ids = m->ids.v;
	*n_ids = m->ids.n;
	return rc < 0 ? err_prefix(e, "line %llu: ", (unsigned long long)lineno) : 0;
}

#include "text/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/record_int.h"

enum { LABEL_BYTES_MAX = 100 };

/* What the legacy fine-tunes service's tool puts behind a text that is to be classified. */
static const char separator[] = "\n\n###\n\n";

/* ---- names ---- */

static const char *const format_names[] = {
	"auto", "chat", "completion", "alpaca", "text", "classification", NULL};
static const char *const train_on_names[] = {"completion", "assistant", "all", NULL};
static const char *const overlong_names[] = {"error", "drop", "truncate", "split", NULL};

static int
find_name(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int
record_format_named(const char *name)
{
	return find_name(format_names, name);
}

int
record_train_on_named(const char *name)
{
	return find_name(train_on_names, name);
}

int
record_overlong_named(const char *name)
{
	return find_name(overlong_names, name);
}

const char *
record_format_name(enum record_format f)
{
	return format_names[f];
}

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
	bool wants_eos =
		!opt->no_eos && !opt->no_special && opt->format != RECORD_CHAT && opt->format != RECORD_AUTO;
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

/* ---- reading a line ---- */

static json_t *
load(const char *line, size_t n, struct err *e)
{
	json_error_t je;
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
	if (!o)
		err_set(e, ERR_DATA, "column %d: %s", je.column, je.text);
	else if (!json_is_object(o)) {
		json_decref(o);
		o = NULL;
		err_set(e, ERR_DATA, "not a JSON object");
	}
	return o;
}

static int
detect(const json_t *o, enum record_format *format, struct err *e)
{
	static const struct {
		const char *a, *b;
		enum record_format format;
	} forms[] = {
		{"messages", NULL, RECORD_CHAT}, {"prompt", "completion", RECORD_COMPLETION},
		{"instruction", "output", RECORD_ALPACA}, {"text", "label", RECORD_CLASSIFICATION},
		{"text", NULL, RECORD_TEXT},
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		if (json_object_get(o, forms[i].a) && (!forms[i].b || json_object_get(o, forms[i].b))) {
			*format = forms[i].format;
			return 0;
		}
	return err_set(e, ERR_DATA,
		"no known form: wanted are 'messages', or 'prompt' and 'completion', or 'instruction' "
		"and 'output', or 'text', or 'text' and 'label'");
}

int
record_detect(const char *line, size_t n, enum record_format *format, struct err *e)
{
	json_t *o = load(line, n, e);
	int rc = o ? detect(o, format, e) : -1;
	json_decref(o);
	return rc;
}

static const char *
kind_of(const json_t *v)
{
	static const char *const names[] = {
		"an object", "a list", "a string", "a number", "a number", "true", "false", "null"};
	return names[json_typeof(v)];
}

/* Appends the string member `key` to b. */
static int
get_text(const struct record_maker *m, const char *key, bool optional, struct buf *b, struct err *e)
{
	const json_t *v = json_object_get(m->record, key);
	if (optional && (!v || json_is_null(v)))
		return 0;
	if (!v)
		return err_set(e, ERR_DATA, "'%s' is missing from this %s record", key,
			record_format_name(m->format));
	if (!json_is_string(v))
		return err_set(e, ERR_DATA, "'%s' is %s, a string is wanted", key, kind_of(v));
	buf_append(b, json_string_value(v), json_string_length(v));
	return 0;
}

/* A class is a string, or a whole number written out. */
static int
get_label(const struct record_maker *m, struct buf *b, struct err *e)
{
	const json_t *v = json_object_get(m->record, "label");
	if (json_is_integer(v)) {
		buf_printf(b, "%lld", (long long)json_integer_value(v));
		return 0;
	}
	return get_text(m, "label", false, b, e);
}

/* ---- prompt and completion ---- */

/* The prompt's text, of any form that has one. */
static int
prompt_text(struct record_maker *m, struct buf *b, struct err *e)
{
	const json_t *input = json_object_get(m->record, "input");
	bool has_input = json_is_string(input) && json_string_length(input) > 0;
	if (m->format == RECORD_COMPLETION)
		return get_text(m, "prompt", false, b, e);
	if (m->format != RECORD_ALPACA) {
		int rc = get_text(m, "text", false, b, e);
		if (m->format == RECORD_CLASSIFICATION)
			buf_puts(b, separator);
		return rc;
	}
	buf_puts(b, "Below is an instruction that describes a task");
	buf_puts(b, has_input ? ", paired with an input that provides further context" : "");
	buf_puts(b, ". Write a response that appropriately completes the request.\n\n### Instruction:\n");
	if (get_text(m, "instruction", false, b, e) < 0)
		return -1;
	buf_puts(b, has_input ? "\n\n### Input:\n" : "");
	if (get_text(m, "input", true, b, e) < 0)
		return -1;
	buf_puts(b, "\n\n### Response:");
	return 0;
}

static int
completion_text(struct record_maker *m, struct buf *b, struct err *e)
{
	if (m->format == RECORD_CLASSIFICATION)
		return get_label(m, b, e);
	return get_text(m, m->format == RECORD_ALPACA ? "output" : "completion", false, b, e);
}

/* A text as a prompt: with what stands before it, without what the post-processor puts behind. */
static int
encode_front(struct record_maker *m, const struct buf *b, struct err *e)
{
	bool special = !m->opt->no_special;
	if (encoder_encode(m->encoder, b->data, b->len, special, &m->ids, e) < 0)
		return -1;
	if (special)
		m->ids.n -= m->behind;
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The class a completion shows: what it says, if that is short and on one line. */
static void
set_label(struct record_maker *m, const struct buf *completion)
{
	const char *p = completion->data, *end = p + completion->len;
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

static void
end_of_text(struct record_maker *m, size_t from)
{
	bool there = m->ids.n > from && m->ids.v[m->ids.n - 1] == m->eos;
	if (m->eos >= 0 && !there)
		ids_push(&m->ids, m->eos);
}

static int
make_completion(struct record_maker *m, struct err *e)
{
	bool all = m->opt->train_on == TRAIN_ON_ALL;
	if (prompt_text(m, &m->text, e) < 0 || completion_text(m, &m->other, e) < 0 ||
		encode_front(m, &m->text, e) < 0)
		return -1;
	record_span(m, all ? 1 : m->opt->prompt_loss_weight);
	m->completion = (uint32_t)m->ids.n;
	if (encoder_encode(m->encoder, m->other.data, m->other.len, false, &m->ids, e) < 0)
		return -1;
	end_of_text(m, m->completion);
	record_span(m, 1);
	if (m->format != RECORD_ALPACA)
		set_label(m, &m->other);
	if (m->format == RECORD_CLASSIFICATION && !m->has_label)
		return err_set(e, ERR_DATA, "'label' is not a short text on one line");
	return 0;
}

static int
make_text(struct record_maker *m, struct err *e)
{
	if (get_text(m, "text", false, &m->text, e) < 0 || encode_front(m, &m->text, e) < 0)
		return -1;
	end_of_text(m, m->opt->no_special ? 0 : m->front);
	record_span(m, 1);
	return 0;
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
	bool has_prompt = m->format != RECORD_TEXT && m->format != RECORD_CHAT;
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

/* Reads the line into m->record and empties everything else. */
static int
begin(struct record_maker *m, const char *line, size_t n, struct err *e)
{
	json_decref(m->record);
	m->record = load(line, n, e);
	if (!m->record || (m->format == RECORD_AUTO && detect(m->record, &m->format, e) < 0))
		return -1;
	m->ids.n = m->n_spans = m->covered = 0;
	m->completion = 0;
	m->has_label = false;
	buf_clear(&m->text);
	buf_clear(&m->other);
	buf_clear(&m->label);
	return 0;
}

static int
make(struct record_maker *m, struct err *e)
{
	if (m->format == RECORD_CHAT)
		return record_chat(m, e);
	if (m->eos < 0 && !m->opt->no_eos && !m->opt->no_special)
		return err_set(
			e, ERR_CONFIG, "the tokenizer has no end-of-text token; --no-eos does without");
	return m->format == RECORD_TEXT ? make_text(m, e) : make_completion(m, e);
}

static int
finish(struct record_maker *m, uint64_t lineno, struct example *out, struct err *e)
{
	int verdict = limit_length(m, e);
	if (verdict < 0 || verdict == RECORD_DROPPED)
		return verdict;
	*out = (struct example){m->ids.v, (uint32_t)m->ids.n, m->spans, (uint32_t)m->n_spans, m->completion,
		lineno, m->has_label ? m->label.data : NULL, (uint32_t)m->label.len};
	if (example_targets(out) == 0 && !m->opt->allow_empty)
		return err_set(e, ERR_DATA, "has no target: there is nothing to learn from it%s",
			verdict == RECORD_CUT ? " after truncation" : "");
	return verdict;
}

int
record_parse(struct record_maker *m, const char *line, size_t n, uint64_t lineno, struct example *out,
	struct err *e)
{
	int rc = begin(m, line, n, e);
	if (rc == 0)
		rc = make(m, e);
	if (rc == 0)
		rc = finish(m, lineno, out, e);
	return rc < 0 ? err_prefix(e, "line %llu: ", (unsigned long long)lineno) : rc;
}

int
record_prompt(struct record_maker *m, const char *line, size_t n, uint64_t lineno, const int32_t **ids,
	size_t *n_ids, struct err *e)
{
	enum record_format given = m->format;
	int rc = 0;
	if (given == RECORD_AUTO)  /* the answer's key need not be there: the prompt's key tells */
		m->format = RECORD_TEXT;
	if (begin(m, line, n, e) < 0)
		rc = -1;
	else if (given == RECORD_AUTO)
		m->format = json_object_get(m->record, "messages") ? RECORD_CHAT :
			json_object_get(m->record, "prompt") ? RECORD_COMPLETION :
			json_object_get(m->record, "instruction") ? RECORD_ALPACA :
			json_object_get(m->record, "label") ? RECORD_CLASSIFICATION : RECORD_TEXT;
	if (rc == 0 && m->format == RECORD_CHAT)
		rc = record_chat_prompt(m, e);
	else if (rc == 0)
		rc = prompt_text(m, &m->text, e) < 0 || encode_front(m, &m->text, e) < 0 ? -1 : 0;
	m->format = given;
	*ids = m->ids.v;
	*n_ids = m->ids.n;
	return rc < 0 ? err_prefix(e, "line %llu: ", (unsigned long long)lineno) : 0;
}

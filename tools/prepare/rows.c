/* Records to rows. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "prepare.h"
#include "text/unicode.h"

struct text
data_keep(struct data *d, const char *p, size_t n)
{
	struct text t = {d->store.len, n};
	buf_append(&d->store, p, n);
	return t;
}

uint64_t
data_left(const struct data *d)
{
	uint64_t n = 0;
	for (size_t i = 0; i < d->n; i++)
		n += !d->row[i].dropped;
	return n;
}

void
data_release(struct data *d)
{
	buf_release(&d->store);
	free(d->row);
	free(d->class);
	report_release(&d->report);
	*d = (struct data){0};
}

/* ---- one record ---- */

struct loader {
	struct data *d;
	const struct input *in;
	const struct mapping *m;
	int file;
	uint64_t records;
};

/* Counts a row that cannot be read; `column` (-1: none) is what is wrong with it. */
static int
malformed(struct loader *l, uint64_t line, int column, const char *why)
{
	if (l->d->read.malformed.n == 0 && column >= 0)
		snprintf(l->d->read.why, sizeof l->d->read.why, "'%.60s' %s", l->in->column[column], why);
	else if (l->d->read.malformed.n == 0)
		snprintf(l->d->read.why, sizeof l->d->read.why, "%s", why);
	tally_add(&l->d->read.malformed, l->file, line);
	return 0;
}

/* A plain value as text. False when it is none. */
static bool
value_text(const json_t *v, struct buf *b)
{
	char number[NUM_TEXT];
	if (json_is_string(v))
		buf_append(b, json_string_value(v), json_string_length(v));
	else if (json_is_integer(v))
		buf_printf(b, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		buf_puts(b, json_is_true(v) ? "true" : "false");
	else if (json_is_real(v)) {
		num_text(number, json_real_value(v));
		buf_puts(b, number);
	}
	return !json_is_object(v) && !json_is_array(v);
}

struct text
data_trim(const struct data *d, struct text t)
{
	const char *p = text_of(d, t);
	size_t front = uni_leading_space(p, t.n);
	t.at += front;
	t.n -= front;
	t.n -= uni_trailing_space(text_of(d, t), t.n);
	return t;
}

/* Puts one field into the store; false when it has no text. */
static bool
take_field(struct loader *l, const struct record *r, int column, struct text *t, bool *converted)
{
	struct data *d = l->d;
	t->at = d->store.len;
	if (r->cells) {
		*t = data_keep(d, r->cells->field[column].p, r->cells->field[column].n);
		return true;
	}
	const json_t *v = json_object_get(r->object, l->in->column[column]);
	bool plain = value_text(v, &d->store);
	*converted |= v && !json_is_string(v) && !json_is_null(v);
	t->n = d->store.len - t->at;
	return plain;
}

/* Instructions may come with what was said before them, which hone-tokenize knows. */
static void
keep_frame(struct data *d, const json_t *record, struct row *row)
{
	json_t *system = json_object_get(record, "system"), *history = json_object_get(record, "history");
	json_t *frame = json_object();
	if (json_string_length(system) > 0)
		json_object_set(frame, "system", system);
	if (json_array_size(history) > 0)
		json_object_set(frame, "history", history);
	char *text = json_object_size(frame) > 0 ? chat_text(frame, 0) : NULL;
	if (text)
		row->frame = data_keep(d, text, strlen(text));
	free(text);
	json_decref(frame);
}

static struct row *
new_row(struct data *d, int file, uint64_t line)
{
	GROW(d->row, d->cap, d->n + 1);
	struct row *row = &d->row[d->n++];
	*row = (struct row){.line = line, .file = (uint8_t)file, .class = NO_CLASS};
	row->validation = file == 1;
	return row;
}

static int
add_plain(struct loader *l, const struct record *r)
{
	struct data *d = l->d;
	struct row row = {0};
	bool converted = false;
	for (int j = 0; j < FIELDS; j++) {
		row.field[j] = (struct text){d->store.len, 0};
		if (l->m->column[j] < 0)
			continue;
		if (!take_field(l, r, l->m->column[j], &row.field[j], &converted))
			return malformed(l, r->line, l->m->column[j], "is a list or an object, not text");
		if (uni_check(text_of(d, row.field[j]), row.field[j].n) < row.field[j].n)
			return malformed(l, r->line, l->m->column[j], "is not UTF-8");
	}
	if (l->m->form == FORM_CLASSIFICATION) {
		struct text label = data_trim(d, row.field[FIELD_COMPLETION]);
		if (label.n < row.field[FIELD_COMPLETION].n)
			tally_add(&l->d->read.trimmed, l->file, r->line);
		row.field[FIELD_COMPLETION] = label;
	}
	if (l->m->form == FORM_ALPACA && r->object)
		keep_frame(d, r->object, &row);
	if (converted)
		tally_add(&l->d->read.converted, l->file, r->line);
	struct row *to = new_row(d, l->file, r->line);
	memcpy(to->field, row.field, sizeof row.field);
	to->frame = row.frame;
	return 0;
}

/* ---- conversations ---- */

char *
chat_text(const json_t *o, size_t flags)
{
	char *text = NULL;
	bool same = false;
	for (int digits = 15; digits <= 17 && !same; digits++) {
		free(text);
		text = json_dumps(o, flags | JSON_REAL_PRECISION(digits));
		json_t *back = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
		same = back && json_equal((json_t *)o, back);
		json_decref(back);
	}
	return text;
}

/* The record, with its messages under that name. */
static json_t *
with_messages(const struct loader *l, const json_t *record)
{
	const char *column = l->in->column[l->m->column[FIELD_COMPLETION]];
	if (strcmp(column, "messages") == 0)
		return json_incref((json_t *)record);
	json_t *o = json_copy((json_t *)record), *messages = json_object_get(o, column);
	if (messages)
		json_object_set(o, "messages", messages);
	json_object_del(o, column);
	return o;
}

static int
add_chat(struct loader *l, const struct record *r, struct err *e)
{
	json_t *o = l->m->sharegpt ? sharegpt_convert(r->object) : with_messages(l, r->object);
	if (!o)
		return malformed(l, r->line, -1,
			"'conversations' is not a list of {\"from\", \"value\"}, or a call is not JSON");
	enum chat_verdict v = chat_check(&l->d->read.chat, o, l->file, r->line);
	if (v == CHAT_FINE) {
		char *text = chat_text(o, 0), *context = chat_context(o);
		if (!text || !context) {
			free(text);
			free(context);
			json_decref(o);
			return err_set(e, ERR_MEMORY, "out of memory");
		}
		struct row *row = new_row(l->d, l->file, r->line);
		row->field[FIELD_PROMPT] = data_keep(l->d, context, strlen(context));
		row->field[FIELD_COMPLETION] = data_keep(l->d, text, strlen(text));
		free(context);
		free(text);
	}
	json_decref(o);
	return 0;
}

static int
add_record(void *arg, const struct record *r, struct err *e)
{
	struct loader *l = arg;
	l->records++;
	progress_share(&l->d->progress, l->records, r->end ? (double)(r->end - l->in->text) / (double)l->in->n : 0);
	if (l->records >= NO_CLASS)
		return err_set(e, ERR_DATA, "'%s': more than %u rows", l->in->name, NO_CLASS - 1);
	if (r->wrong)
		return malformed(l, r->line, -1, r->wrong);
	if (r->cells && r->cells->n < l->in->columns)
		return malformed(l, r->line, -1, "has fewer fields than the first row");
	if (r->cells && r->cells->n > l->in->columns && !l->in->more_columns)
		return malformed(l, r->line, -1, "has more fields than the first row");
	return l->m->form == FORM_CHAT ? add_chat(l, r, e) : add_plain(l, r);
}

/* ---- findings about the form of a file; those of the validation file are told beside those of the first ---- */

static void
report_bytes(struct loader *l)
{
	struct report *r = &l->d->report;
	const struct input *in = l->in;
	const char *encoding = l->d->opt->encoding;
	if (in->not_utf8.n)
		report_set(r, CHECK_ENCODING, strcmp(l->d->opt->on_error, "skip") == 0 ? LEVEL_WARNING : LEVEL_ERROR,
			&in->not_utf8, "%llu lines are not UTF-8; --encoding NAME converts",
			(unsigned long long)in->not_utf8.n);
	else if (r->of[CHECK_ENCODING].level < LEVEL_WARNING)
		report_set(r, CHECK_ENCODING, encoding ? LEVEL_REPAIRED : LEVEL_OK, NULL,
			encoding ? "converted from %s" : "%s", encoding ? encoding : "UTF-8");
	if (in->bom)
		report_set(r, CHECK_BOM, LEVEL_REPAIRED, NULL, "removed");
	if (in->crlf)
		report_set(r, CHECK_LINE_ENDS, LEVEL_REPAIRED, NULL, "%llu were CR LF", (unsigned long long)in->crlf);
}

static void
report_format(struct loader *l)
{
	const struct input *in = l->in;
	char detail[96] = "";
	if (in->format == INPUT_CSV || in->format == INPUT_TSV)
		snprintf(detail, sizeof detail, ", with%s a header%s", in->header ? "" : "out",
			in->literal_quotes ? "; quotes are characters in it" : "");
	bool converted = in->format != INPUT_JSONL || l->m->sharegpt;
	l->d->report.unit[l->file] = in->records ? "record" : "line";
	if (l->file == 1 && !(converted && l->d->report.of[CHECK_FORMAT].level < LEVEL_REPAIRED))
		return;
	report_set(&l->d->report, CHECK_FORMAT, converted ? LEVEL_REPAIRED : LEVEL_OK, NULL, "%s%s%s%s%s",
		input_format_name(in->format), detail, in->mislabelled ? ", against its name" : "",
		l->m->sharegpt ? ", ShareGPT" : "", converted ? "; written as jsonl" : "");
}

static void
report_malformed(struct loader *l)
{
	bool skip = strcmp(l->d->opt->on_error, "skip") == 0;
	struct report *r = &l->d->report;
	if (l->d->read.malformed.n)
		report_set(r, CHECK_MALFORMED, skip ? LEVEL_REPAIRED : LEVEL_ERROR, &l->d->read.malformed,
			"%llu %s, the first: %s", (unsigned long long)l->d->read.malformed.n,
			skip ? "left out" : "(--on-error skip leaves them out)", l->d->read.why);
	else if (r->of[CHECK_MALFORMED].level == LEVEL_UNSET)
		report_set(r, CHECK_MALFORMED, LEVEL_OK, NULL, "none");
}

static void
report_columns(struct loader *l)
{
	if (l->file == 1 && !(l->m->renamed && l->d->report.of[CHECK_COLUMNS].level < LEVEL_REPAIRED))
		return;
	struct buf names = {0};
	for (int j = 0; j < FIELDS; j++) {
		const char *field = form_field(l->m->form, (enum field)j);
		if (!field || l->m->column[j] < 0)
			continue;
		const char *column = l->in->column[l->m->column[j]];
		buf_printf(&names, "%s%s", names.len ? ", " : "", field);
		if (strcmp(column, field) != 0)
			buf_printf(&names, " from '%.60s'", column);
	}
	report_set(&l->d->report, CHECK_COLUMNS, l->m->renamed ? LEVEL_REPAIRED : LEVEL_OK, NULL, "%s", names.data);
	buf_release(&names);
}

static bool
is_frame(const struct loader *l, const char *key)
{
	return l->m->form == FORM_ALPACA && (strcmp(key, "system") == 0 || strcmp(key, "history") == 0);
}

static void
report_extra(struct loader *l)
{
	struct buf names = {0};
	bool chat = l->m->form == FORM_CHAT;
	for (size_t i = 0; i < l->in->columns && names.len < 200; i++)
		if ((int)i != l->m->column[0] && (int)i != l->m->column[1] && (int)i != l->m->column[2] &&
			!is_frame(l, l->in->column[i]))
			buf_printf(&names, "%s'%.60s'", names.len ? ", " : "", l->in->column[i]);
	if (names.len)
		report_set(&l->d->report, CHECK_EXTRA_COLUMNS, chat ? LEVEL_OK : LEVEL_REPAIRED, NULL, "%s%s",
			chat ? "kept: " : "left out: ", names.data);
	else if (l->d->report.of[CHECK_EXTRA_COLUMNS].level == LEVEL_UNSET)
		report_set(&l->d->report, CHECK_EXTRA_COLUMNS, LEVEL_OK, NULL, "none");
	buf_release(&names);
}

static void
report_values(struct loader *l)
{
	if (l->d->read.converted.n)
		report_set(&l->d->report, CHECK_TEXT_VALUES, LEVEL_REPAIRED, &l->d->read.converted,
			"%llu with numbers or truth values, which are text now",
			(unsigned long long)l->d->read.converted.n);
	if (l->d->read.trimmed.n)
		report_set(&l->d->report, CHECK_LABEL_SPACE, LEVEL_REPAIRED, &l->d->read.trimmed,
			"%llu labels lost the white space around them", (unsigned long long)l->d->read.trimmed.n);
}

static void
report_examples(struct loader *l)
{
	uint64_t n = l->records;
	if (l->file == 0)
		report_set(&l->d->report, CHECK_EXAMPLES, n < 100 ? LEVEL_WARNING : LEVEL_OK, NULL, "%llu%s",
			(unsigned long long)n, n < 100 ? "; a few hundred at least are recommended" : "");
	json_object_set_new(l->d->report.more, l->file ? "validation_rows" : "rows", json_integer((json_int_t)n));
}

int
rows_load(struct data *d, const struct input *in, int file, const struct mapping *m, struct err *e)
{
	struct loader l = {.d = d, .in = in, .m = m, .file = file};
	struct input_sink sink = {add_record, &l};
	progress_start(&d->progress, "reading", "rows", 0);
	int rc = input_each(in, &sink, e);
	progress_end(&d->progress);
	if (rc < 0)
		return -1;
	report_bytes(&l);
	report_format(&l);
	if (l.m->form == FORM_CHAT)
		chat_report(d, &l.d->read.chat, strcmp(d->opt->on_error, "skip") == 0);
	report_malformed(&l);
	report_examples(&l);
	report_columns(&l);
	report_extra(&l);
	report_values(&l);
	return 0;
}

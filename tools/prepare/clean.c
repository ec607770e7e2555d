/* Checks and repairs of rows by themselves: empty ones, upper case, duplicates. */
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "index.h"
#include "prepare.h"
#include "text/unicode.h"

static bool
is_blank(const struct data *d, struct text t)
{
	return uni_leading_space(text_of(d, t), t.n) == t.n;
}

/* ---- empty completions ---- */

void
clean_empty(struct data *d)
{
	struct tally empty = {0};
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (!is_blank(d, r->field[FIELD_COMPLETION]))
			continue;
		tally_add(&empty, r->file, r->line);
		r->dropped = true;
	}
	if (d->form == FORM_CHAT)
		return;
	if (empty.n)
		report_set(
			&d->report, CHECK_EMPTY, LEVEL_REPAIRED, &empty, "%llu; left out", (unsigned long long)empty.n);
	else
		report_set(&d->report, CHECK_EMPTY, LEVEL_OK, NULL, "none");
}

/* ---- rows that say next to nothing ---- */

/* Characters that are not white space, up to `most`. */
static int
characters(const struct data *d, struct text t, int most)
{
	const char *p = text_of(d, t), *end = p + t.n;
	int n = 0;
	while (p < end && n < most) {
		size_t space = uni_leading_space(p, (size_t)(end - p));
		uint32_t c;
		p += space;
		if (p < end) {
			p += uni_decode(p, &c);
			n++;
		}
	}
	return n;
}

/* What a row is about: its prompt, or all of a text. */
static struct text
subject(const struct data *d, const struct row *r)
{
	return r->field[d->form == FORM_TEXT ? FIELD_COMPLETION : FIELD_PROMPT];
}

/* Rows whose subject has fewer characters than that; the legacy tool's way to have none at all, empty prompts in
 * every row, is left alone. */
void
clean_near_empty(struct data *d)
{
	int least = d->opt->min_chars, limit = least > 0 ? least : 2;
	struct tally few = {0};
	uint64_t with = 0;
	if (d->form == FORM_CHAT)
		return;
	for (size_t i = 0; i < d->n; i++)
		with += !d->row[i].dropped && !is_blank(d, subject(d, &d->row[i]));
	for (size_t i = 0; i < d->n && with > 0; i++) {
		struct row *r = &d->row[i];
		if (r->dropped || characters(d, subject(d, r), limit) >= limit)
			continue;
		tally_add(&few, r->file, r->line);
		r->dropped = least > 0;
	}
	if (few.n)
		report_set(&d->report, CHECK_NEAR_EMPTY, least > 0 ? LEVEL_REPAIRED : LEVEL_WARNING, &few,
			"%llu with fewer than %d characters%s", (unsigned long long)few.n, limit,
			least > 0 ? "; left out" : "; --min-chars leaves them out");
	else
		report_set(&d->report, CHECK_NEAR_EMPTY, LEVEL_OK, NULL, "none");
}

/* ---- upper case ---- */

struct letters {
	uint64_t upper, lower;
	uint64_t other; /* of scripts without case */
};

static void
count_letters(const struct data *d, struct text t, struct letters *l)
{
	const char *p = text_of(d, t), *end = p + t.n;
	while (p < end) {
		uint32_t c;
		p += uni_decode(p, &c);
		utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
		l->upper += category == UTF8PROC_CATEGORY_LU;
		l->lower += category == UTF8PROC_CATEGORY_LL;
		l->other += category == UTF8PROC_CATEGORY_LO;
	}
}

static struct text
lower(struct data *d, struct text t)
{
	struct text out = {d->store.len, 0};
	char bytes[4];
	for (size_t at = 0; at < t.n;) {
		uint32_t c;
		at += uni_decode(text_of(d, t) + at, &c);
		buf_append(&d->store, bytes, uni_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), bytes));
	}
	out.n = d->store.len - out.at;
	return out;
}

/* Lowers a field of all rows; how many that changed. */
static uint64_t
lower_field(struct data *d, enum field field)
{
	uint64_t changed = 0;
	for (size_t i = 0; i < d->n; i++) {
		struct text *t = &d->row[i].field[field], low;
		if (d->row[i].dropped)
			continue;
		low = lower(d, *t);
		bool same = low.n == t->n && memcmp(text_of(d, low), text_of(d, *t), t->n) == 0;
		changed += !same;
		if (same)
			d->store.len = low.at;
		else
			*t = low;
	}
	return changed;
}

/* More than a third of the letters, as the legacy tool has it; but in Chinese text the few Latin letters are mostly
 * abbreviations, and say nothing. */
static bool
is_upper_case(const struct letters *l)
{
	return l->upper * 2 > l->lower && l->upper + l->lower > l->other;
}

static bool
wants(const char *choice, enum field field)
{
	return strcmp(choice, "both") == 0 || strcmp(choice, field == FIELD_PROMPT ? "prompt" : "completion") == 0;
}

int
clean_case(struct data *d, struct err *e)
{
	const char *choice = d->opt->lower_case, *shouting = NULL;
	uint64_t changed = 0;
	if (d->form == FORM_CHAT)
		return strcmp(choice, "none") == 0 ? 0 : err_set(e, ERR_USAGE, "--lower-case is not for conversations");
	for (int field = FIELD_PROMPT; field <= FIELD_COMPLETION; field++) {
		struct letters l = {0};
		if (wants(choice, (enum field)field))
			changed += lower_field(d, (enum field)field);
		for (size_t i = 0; i < d->n; i++)
			if (!d->row[i].dropped)
				count_letters(d, d->row[i].field[field], &l);
		if (is_upper_case(&l) && form_field(d->form, (enum field)field))
			shouting = shouting             ? "prompts and completions"
				: field == FIELD_PROMPT ? "prompts"
							: "completions";
	}
	if (changed)
		report_set(&d->report, CHECK_UPPER_CASE, LEVEL_REPAIRED, NULL, "%llu texts lowered",
			(unsigned long long)changed);
	else if (shouting)
		report_set(&d->report, CHECK_UPPER_CASE, LEVEL_WARNING, NULL,
			"more than a third of the letters in %s are capitals; --lower-case lowers them", shouting);
	else
		report_set(&d->report, CHECK_UPPER_CASE, LEVEL_OK, NULL, "little");
	return 0;
}

/* ---- duplicates ---- */

static XXH128_hash_t
row_hash(const struct data *d, const struct row *r, struct buf *key)
{
	buf_clear(key);
	for (int j = 0; j < FIELDS; j++) {
		uint64_t n = r->field[j].n;
		buf_append(key, &n, sizeof n);
		buf_append(key, text_of(d, r->field[j]), r->field[j].n);
	}
	buf_append(key, text_of(d, r->frame), r->frame.n);
	return XXH3_128bits(key->data, key->len);
}

/* The first of equal rows stays; but of a row that is in both files, the one in the validation file, as split_leakage
 * has it. */
void
clean_duplicates(struct data *d)
{
	struct index rows[FILES] = {{0}};
	struct tally twice = {0};
	struct buf key = {0};
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (r->dropped || index_put(&rows[r->file], row_hash(d, r, &key), (uint32_t)i) == i)
			continue;
		tally_add(&twice, r->file, r->line);
		r->dropped = d->opt->dedup;
	}
	if (twice.n)
		report_set(&d->report, CHECK_DUPLICATES, d->opt->dedup ? LEVEL_REPAIRED : LEVEL_WARNING, &twice,
			"%llu repeat an earlier row%s", (unsigned long long)twice.n,
			d->opt->dedup ? "; left out" : "; kept");
	else
		report_set(&d->report, CHECK_DUPLICATES, LEVEL_OK, NULL, "none");
	for (int f = 0; f < FILES; f++)
		index_release(&rows[f]);
	buf_release(&key);
}

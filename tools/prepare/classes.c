/* Classes: whether the completions are labels, which there are, how many rows each has in which part. */
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "prepare.h"

enum { LABEL_MAX = 100, FEW_ROWS = 10, SHOWN_CLASSES = 20 };

static XXH128_hash_t
label_hash(const struct data *d, struct text t)
{
	return XXH3_128bits(text_of(d, t), t.n);
}

/* A label is short and on one line, for hone-tokenize too. */
static bool
is_label(const struct data *d, struct text t)
{
	return t.n <= LABEL_MAX && !memchr(text_of(d, t), '\n', t.n) && !memchr(text_of(d, t), '\0', t.n);
}

/* ---- finding them ---- */

static void
take_task(struct data *d, uint64_t rows, uint64_t different, const struct tally *unlike)
{
	struct report *r = &d->report;
	bool labels = d->form == FORM_CLASSIFICATION;
	d->classification = labels || (d->form == FORM_COMPLETION && 3 * different < rows && unlike->n == 0);
	if (labels && unlike->n)
		report_set(r, CHECK_TASK, LEVEL_ERROR, unlike,
			"%llu labels are longer than %d bytes or not on one line", (unsigned long long)unlike->n,
			LABEL_MAX);
	else if (d->classification)
		report_set(r, CHECK_TASK, LEVEL_OK, NULL, "classification, %llu labels", (unsigned long long)different);
	else
		report_set(r, CHECK_TASK, LEVEL_OK, NULL, "generation");
}

void
classes_task(struct data *d)
{
	struct index seen = {0};
	struct tally unlike = {0};
	uint64_t rows = 0;
	bool prompts = false;
	for (size_t i = 0; i < d->n; i++) {
		const struct row *r = &d->row[i];
		struct text label = data_trim(d, r->field[FIELD_COMPLETION]);
		if (r->dropped)
			continue;
		rows++;
		prompts |= r->field[FIELD_PROMPT].n > 0;
		index_put(&seen, label_hash(d, label), 0);
		if (!is_label(d, label))
			tally_add(&unlike, r->file, r->line);
	}
	take_task(d, prompts ? rows : 0, seen.n, &unlike);
	index_release(&seen);
}

void
classes_find(struct data *d)
{
	struct index seen = {0};
	d->classes = 0;
	for (size_t i = 0; i < d->n && d->classification; i++) {
		struct row *r = &d->row[i];
		struct text label = data_trim(d, r->field[FIELD_COMPLETION]);
		if (r->dropped)
			continue;
		r->class = index_put(&seen, label_hash(d, label), (uint32_t)d->classes);
		if (r->class == d->classes) {
			GROW(d->class, d->class_cap, d->classes + 1);
			d->class[d->classes++] = (struct class){.label = label};
		}
		d->class[r->class].rows[0]++;
	}
	index_release(&seen);
}

/* ---- report ---- */

/* Labels that differ in case or white space only. */
static void
report_spelling(struct data *d)
{
	struct index seen = {0};
	struct buf key = {0};
	uint64_t alike = 0;
	struct text pair[2] = {{0, 0}, {0, 0}};
	for (size_t i = 0; i < d->classes; i++) {
		text_key(d, d->class[i].label, &key);
		uint32_t first = index_put(&seen, XXH3_128bits(key.data, key.len), (uint32_t)i);
		if (first == i)
			continue;
		if (!alike++) {
			pair[0] = d->class[first].label;
			pair[1] = d->class[i].label;
		}
	}
	if (alike)
		report_set(&d->report, CHECK_LABEL_SPELLING, LEVEL_WARNING, NULL,
			"%llu labels are spelt like another but for case or white space: '%.*s', '%.*s'",
			(unsigned long long)alike, (int)pair[0].n, text_of(d, pair[0]), (int)pair[1].n,
			text_of(d, pair[1]));
	else
		report_set(&d->report, CHECK_LABEL_SPELLING, LEVEL_OK, NULL, "no two labels alike");
	index_release(&seen);
	buf_release(&key);
}

static uint64_t
class_rows(const struct class *c)
{
	return c->rows[0] + c->rows[1];
}

static void
report_balance(struct data *d)
{
	uint64_t most = 0, least = UINT64_MAX, all = 0, few = 0;
	for (size_t i = 0; i < d->classes; i++) {
		uint64_t n = class_rows(&d->class[i]);
		most = n > most ? n : most;
		least = n < least ? n : least;
		all += n;
		few += n < FEW_ROWS;
	}
	char small[80] = "";
	if (few)
		snprintf(small, sizeof small, "; %llu with fewer than %d", (unsigned long long)few, FEW_ROWS);
	report_set(&d->report, CHECK_BALANCE, few || d->classes < 2 ? LEVEL_WARNING : LEVEL_OK, NULL,
		"%zu classes of %llu to %llu rows%s; the largest has %.1f %%", d->classes, (unsigned long long)least,
		(unsigned long long)most, small, 100.0 * (double)most / (double)all);
}

/* Classes that one of two parts lacks. */
static void
report_parts(struct data *d)
{
	struct buf names = {0};
	uint64_t n = 0;
	for (size_t i = 0; i < d->classes; i++) {
		const struct class *c = &d->class[i];
		if (c->rows[0] && c->rows[1])
			continue;
		if (n++ < 5)
			buf_printf(&names, "%s'%.*s' (%s)", n > 1 ? ", " : "", (int)c->label.n, text_of(d, c->label),
				c->rows[0] ? "validation" : "training");
	}
	if (n)
		report_set(&d->report, CHECK_SPLIT_LABELS, LEVEL_WARNING, NULL,
			"%llu labels are missing from a part: %s%s", (unsigned long long)n, names.data,
			n > 5 ? ", ..." : "");
	else
		report_set(&d->report, CHECK_SPLIT_LABELS, LEVEL_OK, NULL, "every label is in both");
	buf_release(&names);
}

static const struct data *sorting;

/* Large classes first; equal ones by name. */
static int
by_rows(const void *a, const void *b)
{
	const struct class *x = a, *y = b;
	size_t n = x->label.n < y->label.n ? x->label.n : y->label.n;
	if (class_rows(x) != class_rows(y))
		return class_rows(x) < class_rows(y) ? 1 : -1;
	int order = memcmp(text_of(sorting, x->label), text_of(sorting, y->label), n);
	return order ? order : (x->label.n > y->label.n) - (x->label.n < y->label.n);
}

static void
list_classes(struct data *d)
{
	json_t *list = json_array();
	for (size_t i = 0; i < d->classes; i++) {
		const struct class *c = &d->class[i];
		json_t *o = json_object();
		json_object_set_new(o, "label", json_stringn(text_of(d, c->label), c->label.n));
		json_object_set_new(o, "rows", json_integer((json_int_t)class_rows(c)));
		json_object_set_new(o, "training", json_integer((json_int_t)c->rows[0]));
		json_object_set_new(o, "validation", json_integer((json_int_t)c->rows[1]));
		json_array_append_new(list, o);
	}
	json_object_set_new(d->report.more, "classes", list);
}

void
classes_report(struct data *d, bool parts)
{
	if (!d->classification || d->classes == 0)
		return;
	for (size_t i = 0; i < d->classes; i++)
		d->class[i].rows[0] = d->class[i].rows[1] = 0;
	for (size_t i = 0; i < d->n; i++)
		if (!d->row[i].dropped)
			d->class[d->row[i].class].rows[d->row[i].validation]++;
	report_spelling(d);
	report_balance(d);
	if (parts)
		report_parts(d);
	sorting = d;
	qsort(d->class, d->classes, sizeof *d->class, by_rows);
	list_classes(d);
}

void
classes_print(const struct data *d, FILE *f)
{
	for (size_t i = 0; i < d->classes && i < SHOWN_CLASSES; i++) {
		const struct class *c = &d->class[i];
		char *label = plain_text(text_of(d, c->label), c->label.n);
		fprintf(f, "  %8llu  %s", (unsigned long long)class_rows(c), label);
		free(label);
		if (c->rows[1])
			fprintf(f, "  (%llu + %llu)", (unsigned long long)c->rows[0], (unsigned long long)c->rows[1]);
		fputc('\n', f);
	}
	if (d->classes > SHOWN_CLASSES)
		fprintf(f, "  and %zu more classes\n", d->classes - SHOWN_CLASSES);
}

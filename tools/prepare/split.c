/* Training and validation: which rows belong together, and which side they go to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "prepare.h"

void
text_key(const struct data *d, struct text t, struct buf *key)
{
	const char *p = text_of(d, t);
	bool space = false;
	buf_clear(key);
	for (size_t i = 0; i < t.n; i++) {
		bool blank = p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r');
		if (!blank && space && key->len > 0)
			buf_putc(key, ' ');
		space = blank;
		if (!blank)
			buf_putc(key, (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + ('a' - 'A') : p[i]));
	}
}

/* ---- groups ---- */

static XXH128_hash_t
group_hash(const struct data *d, const struct row *r, struct buf *key)
{
	struct buf *input = &(struct buf){0};
	text_key(d, r->field[FIELD_PROMPT], key);
	if (r->field[FIELD_INPUT].n) {
		text_key(d, r->field[FIELD_INPUT], input);
		buf_putc(key, '\0');
		buf_append(key, input->data, input->len);
		buf_release(input);
	}
	if (key->len == 0) /* without a prompt a row is told by the rest */
		text_key(d, r->field[FIELD_COMPLETION], key);
	return XXH3_128bits(key->data, key->len);
}

static void
report_contradictions(struct data *d, const uint32_t *first, size_t groups)
{
	struct tally t = {0};
	bool *counted = xcalloc(groups, sizeof *counted);
	for (size_t i = 0; i < d->n; i++) {
		const struct row *r = &d->row[i], *f = &d->row[r->dropped ? i : first[r->group]];
		struct text a = data_trim(d, r->field[FIELD_COMPLETION]), b = data_trim(d, f->field[FIELD_COMPLETION]);
		if (r->dropped || (a.n == b.n && memcmp(text_of(d, a), text_of(d, b), a.n) == 0) || counted[r->group])
			continue;
		counted[r->group] = true;
		tally_add(&t, r->file, r->line);
	}
	free(counted);
	if (d->form == FORM_TEXT || d->form == FORM_CHAT)
		return;
	if (t.n)
		report_set(&d->report, CHECK_CONTRADICTIONS, d->classification ? LEVEL_WARNING : LEVEL_NOTE, &t,
			"%llu prompts have several completions", (unsigned long long)t.n);
	else
		report_set(&d->report, CHECK_CONTRADICTIONS, LEVEL_OK, NULL, "none");
}

void
split_group(struct data *d)
{
	struct index seen = {0};
	struct buf key = {0};
	uint32_t *first = xcalloc(d->n, sizeof *first), groups = 0;
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (r->dropped)
			continue;
		XXH128_hash_t hash = group_hash(d, r, &key);
		r->order = hash.high64;
		r->group = index_put(&seen, hash, groups);
		if (r->group == groups)
			first[groups++] = (uint32_t)i;
	}
	report_contradictions(d, first, groups);
	d->groups = groups;
	free(first);
	index_release(&seen);
	buf_release(&key);
}

/* ---- a validation file of its own ---- */

void
split_leakage(struct data *d)
{
	struct tally leaked = {0};
	bool *validation = xcalloc(d->groups, sizeof *validation);
	for (size_t i = 0; i < d->n; i++)
		if (!d->row[i].dropped && d->row[i].file == 1)
			validation[d->row[i].group] = true;
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (r->dropped || r->file == 1 || !validation[r->group])
			continue;
		tally_add(&leaked, r->file, r->line);
		r->dropped = d->opt->dedup;
	}
	free(validation);
	if (leaked.n)
		report_set(&d->report, CHECK_LEAKAGE, d->opt->dedup ? LEVEL_REPAIRED : LEVEL_WARNING, &leaked,
			"%llu training rows have the prompt of a validation row%s", (unsigned long long)leaked.n,
			d->opt->dedup ? "; left out of training" : "");
	else
		report_set(&d->report, CHECK_LEAKAGE, LEVEL_OK, NULL, "no prompt is on both sides");
}

/* ---- a share of the rows ---- */

struct group {
	uint64_t order; /* of its prompt's hash */
	uint32_t id;
	uint32_t class; /* the rarest of its rows' */
	uint32_t rows;
	bool validation;
};

static int
by_class_and_hash(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	if (x->class != y->class)
		return x->class < y->class ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static int
by_id(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

static struct group *
make_groups(const struct data *d)
{
	struct group *g = xcalloc(d->groups, sizeof *g);
	for (size_t i = 0; i < d->n; i++) {
		const struct row *r = &d->row[i];
		struct group *at = r->dropped ? NULL : &g[r->group];
		if (!at)
			continue;
		bool first = at->rows++ == 0;
		at->id = r->group;
		at->order = r->order;
		if (first || (r->class != NO_CLASS && d->class[r->class].rows[0] < d->class[at->class].rows[0]))
			at->class = r->class;
	}
	return g;
}

/* Of the groups of one class, in the order of their hashes, takes those that come to the share; one group at least
 * is taken and one stays, if there are two. */
static void
take_share(struct group *g, size_t n, double share)
{
	uint64_t rows = 0, taken = 0;
	for (size_t i = 0; i < n; i++)
		rows += g[i].rows;
	double want = fmax(1, floor(share * (double)rows + 0.5));
	for (size_t i = 0; i + 1 < n && (double)taken + g[i].rows / 2.0 <= want && (double)taken < want; i++) {
		g[i].validation = true;
		taken += g[i].rows;
	}
	if (n > 1 && taken == 0)
		g[0].validation = true;
}

void
split_parts(struct data *d)
{
	struct group *g = make_groups(d);
	uint64_t count[2] = {0, 0};
	qsort(g, d->groups, sizeof *g, by_class_and_hash);
	for (size_t i = 0, end; i < d->groups; i = end) {
		for (end = i + 1; end < d->groups && g[end].class == g[i].class;)
			end++;
		take_share(g + i, end - i, d->opt->validation);
	}
	qsort(g, d->groups, sizeof *g, by_id);
	for (size_t i = 0; i < d->n; i++)
		if (!d->row[i].dropped) {
			d->row[i].validation = g[d->row[i].group].validation;
			count[d->row[i].validation]++;
		}
	free(g);
	if (count[0] == 0 || count[1] == 0)
		report_set(&d->report, CHECK_LEAKAGE, LEVEL_ERROR, NULL, "too few different prompts to split");
	else
		report_set(&d->report, CHECK_LEAKAGE, LEVEL_OK, NULL, "no prompt is on both sides");
}

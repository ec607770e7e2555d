/* What a model's tokenizer makes of the rows. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/model_path.h"
#include "index.h"
#include "prepare.h"
#include "text/record.h"

enum { LONG_CHARACTERS = 10000 };

#define REFUSED UINT32_MAX /* a row's tokens */

/* ---- long rows ---- */

static void
report_long(struct data *d, const struct tally *t, const char *unit, int most)
{
	bool drop = strcmp(d->opt->overlong, "drop") == 0;
	if (t->n)
		report_set(&d->report, CHECK_LONG, drop ? LEVEL_REPAIRED : LEVEL_WARNING, t,
			"%llu with more than %d %s%s", (unsigned long long)t->n, most, unit,
			drop ? "; left out" : "; --overlong drop leaves them out");
	else
		report_set(&d->report, CHECK_LONG, LEVEL_OK, NULL, "none has more than %d %s", most, unit);
}

static size_t
characters(const struct data *d, struct text t)
{
	size_t n = 0;
	for (size_t i = 0; i < t.n; i++)
		n += (text_of(d, t)[i] & 0xc0) != 0x80;
	return n;
}

static void
check_long(struct data *d)
{
	int most = d->opt->max_length;
	struct tally t = {0};
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		size_t n = most ? r->tokens : characters(d, r->field[FIELD_COMPLETION]);
		for (int j = 0; !most && d->form != FORM_CHAT && j < FIELDS; j++)
			n += j == FIELD_COMPLETION ? 0 : characters(d, r->field[j]);
		if (r->dropped || n <= (size_t)(most ? most : LONG_CHARACTERS))
			continue;
		tally_add(&t, r->file, r->line);
		r->dropped = strcmp(d->opt->overlong, "drop") == 0;
	}
	report_long(d, &t, most ? "tokens" : "characters", most ? most : LONG_CHARACTERS);
}

/* ---- counting ---- */

struct counting {
	struct record_options opt;
	struct record_maker **makers;
	int threads;
	struct err fatal;   /* code 0: none */
	struct err refused; /* why the first refused row was */
	size_t first_refused;
};

static void
count_row(struct counting *c, const struct data *d, size_t i)
{
	struct row *r = &d->row[i];
	struct example x = {0};
	struct err e;
	char *line = row_json(d, r);
	int rc = line ? record_parse(c->makers[omp_get_thread_num()], line, strlen(line), r->line, &x, &e)
		      : err_set(&e, ERR_MEMORY, "out of memory");
	free(line);
	r->tokens = rc < 0 ? REFUSED : x.n;
	if (rc >= 0)
		return;
#pragma omp critical
	if (e.code != ERR_DATA)
		c->fatal = e;
	else if (i < c->first_refused) {
		c->first_refused = i;
		c->refused = e;
	}
}

static int
count_all(struct counting *c, struct data *d, struct err *e)
{
	for (int i = 0; i < c->threads; i++) {
		c->makers[i] = record_maker_new(&c->opt, e);
		if (!c->makers[i])
			return -1;
	}
	progress_start(&d->progress, "tokenizing", "rows", d->n);
	progress_show(&d->progress, 0, NULL);
#pragma omp parallel for schedule(dynamic, 64) num_threads(c->threads)
	for (size_t i = 0; i < d->n; i++) {
		if (!d->row[i].dropped)
			count_row(c, d, i);
		/* Chunks are handed out in order, so that all before i is done, or nearly. */
		if (omp_get_thread_num() == 0)
			progress_show(&d->progress, i + 1, NULL);
	}
	progress_end(&d->progress);
	if (c->fatal.code)
		*e = c->fatal;
	return c->fatal.code ? -1 : 0;
}

static struct tally
drop_refused(struct data *d)
{
	struct tally t = {0};
	for (size_t i = 0; i < d->n; i++) {
		struct row *r = &d->row[i];
		if (r->dropped || r->tokens != REFUSED)
			continue;
		tally_add(&t, r->file, r->line);
		r->dropped = true;
	}
	return t;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void
report_lengths(struct data *d)
{
	uint32_t *v = xcalloc(d->n, sizeof *v);
	size_t n = 0;
	unsigned long long total = 0;
	for (size_t i = 0; i < d->n; i++)
		if (!d->row[i].dropped)
			total += v[n++] = d->row[i].tokens;
	qsort(v, n, sizeof *v, by_size);
	if (n) {
		report_set(&d->report, CHECK_TOKENS, LEVEL_OK, NULL, "%llu; %u to %u a row, median %u", total, v[0],
			v[n - 1], v[n / 2]);
		json_object_set_new(d->report.more, "tokens",
			json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)total, "least", (json_int_t)v[0],
				"median", (json_int_t)v[n / 2], "most", (json_int_t)v[n - 1]));
	}
	free(v);
}

/* ---- the first tokens of labels ---- */

static int
first_token(struct encoder *enc, const struct data *d, struct text label, int32_t *id, struct err *e)
{
	struct ids ids = {0};
	int rc = encoder_encode(enc, text_of(d, label), label.n, false, &ids, e);
	*id = ids.n ? ids.v[0] : -1;
	ids_release(&ids);
	return rc;
}

static void
report_first(struct data *d, const uint32_t *with, const uint32_t *same, const int32_t *id, const struct tokenizer *t)
{
	uint64_t shared = 0, most = 0;
	size_t example = 0;
	for (size_t i = 0; i < d->classes; i++) {
		shared += same[with[i]] > 1;
		if (same[i] > most) {
			most = same[i];
			example = i;
		}
	}
	const char *token = id[example] >= 0 ? tokenizer_token(t, id[example]) : NULL;
	if (shared)
		report_set(&d->report, CHECK_FIRST_TOKENS, LEVEL_WARNING, NULL,
			"%llu of %zu labels share their first token; %llu begin with '%s', as '%.*s'",
			(unsigned long long)shared, d->classes, (unsigned long long)most, token ? token : "",
			(int)d->class[example].label.n, text_of(d, d->class[example].label));
	else
		report_set(&d->report, CHECK_FIRST_TOKENS, LEVEL_OK, NULL, "each label begins with its own");
}

/* Labels as they stand in the completions, with the space before them where there is one. */
static int
check_first(struct data *d, const struct tokenizer *t, struct err *e)
{
	struct encoder *enc = encoder_new(t);
	struct index seen = {0};
	struct text *label = xcalloc(d->classes, sizeof *label);
	int32_t *id = xcalloc(d->classes, sizeof *id);
	uint32_t *with = xcalloc(d->classes, sizeof *with), *same = xcalloc(d->classes, sizeof *same);
	int rc = 0;
	for (size_t i = d->n; i-- > 0;)
		if (!d->row[i].dropped)
			label[d->row[i].class] = d->row[i].field[FIELD_COMPLETION];
	for (size_t i = 0; i < d->classes && rc == 0; i++) {
		rc = first_token(enc, d, label[i], &id[i], e);
		with[i] = index_put(&seen, XXH3_128bits(&id[i], sizeof id[i]), (uint32_t)i);
		same[with[i]]++;
	}
	if (rc == 0)
		report_first(d, with, same, id, t);
	free(label);
	free(id);
	free(with);
	free(same);
	index_release(&seen);
	encoder_free(enc);
	return rc;
}

/* ---- all of it ---- */

static const enum record_format formats[] = {
	[FORM_CHAT] = RECORD_CHAT,
	[FORM_COMPLETION] = RECORD_COMPLETION,
	[FORM_ALPACA] = RECORD_ALPACA,
	[FORM_CLASSIFICATION] = RECORD_CLASSIFICATION,
	[FORM_TEXT] = RECORD_TEXT,
};

static int
count(struct data *d, const struct tokenizer *t, const struct template *template, struct err *e)
{
	struct counting c = {
		.threads = threads_wanted(opt_threads), .first_refused = SIZE_MAX};
	c.opt = (struct record_options){.format = formats[d->form],
		.train_on = TRAIN_ON_ASSISTANT,
		.tokenizer = t,
		.template = template,
		.allow_empty = true,
		.no_eos = tokenizer_eos(t) < 0};
	c.makers = xcalloc((size_t)c.threads, sizeof *c.makers);
	int rc = count_all(&c, d, e);
	for (int i = 0; i < c.threads; i++)
		record_maker_free(c.makers[i]);
	free(c.makers);
	if (rc < 0)
		return -1;
	struct tally refused = drop_refused(d);
	bool skip = strcmp(d->opt->on_error, "skip") == 0;
	report_lengths(d);
	if (refused.n)
		report_set(&d->report, CHECK_TOKENS, skip ? LEVEL_REPAIRED : LEVEL_ERROR, &refused,
			"%llu refused%s; the first: %s", (unsigned long long)refused.n, skip ? " and left out" : "",
			c.refused.msg);
	return 0;
}

int
tokens_check(struct data *d, struct err *e)
{
	struct template template = {0};
	struct tokenizer *t = NULL;
	int rc = 0;
	if (d->opt->model) {
		char *path = model_path(d->opt->model, e);
		t = path ? tokenizer_open(path, e) : NULL;
		if (!t || template_open(&template, path, d->opt->template_name, e) < 0) {
			tokenizer_free(t);
			free(path);
			return -1;
		}
		free(path);
		rc = count(d, t, &template, e);
	}
	if (rc == 0)
		check_long(d);
	classes_find(d);
	if (rc == 0 && t && d->classification && d->classes > 0)
		rc = check_first(d, t, e);
	if (t) {
		template_close(&template);
		tokenizer_free(t);
	}
	return rc;
}

#include "text/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/provenance.h"
#include "fmt/tokens.h"
#include "text/ingest_source.h"

/* What is being made. */
struct making {
	const struct ingest_options *opt;
	const char *model_dir;
	struct ingest_source *source;
	size_t n;
	struct tokenizer *tokenizer; /* NULL when there are no records */
	struct template template;
	char *to, *to_held_out;      /* the latter NULL when nothing is held out */
	struct dataset_writer *writer, *held_out;
	json_t *info;                /* what all that is joined agrees on */
	struct buf bytes;
	uint64_t rows;
	uint64_t size, before;       /* bytes of all sources, and of those that have been read; size 0: not known */
};

/* ---- what a dataset is made from and how: kept in its dataset.json, so that it is used again only for the same ---- */

static json_t *
fingerprints(const struct making *m, struct err *e)
{
	json_t *all = json_array();
	for (size_t i = 0; all && i < m->n; i++) {
		json_t *one = ingest_source_fingerprint(&m->source[i], e);
		if (one) {
			json_array_append_new(all, one);
		} else {
			json_decref(all);
			all = NULL;
		}
	}
	return all;
}

/* All that decides what a record becomes; of sources that hold none, nothing does. */
static json_t *
way(const struct making *m)
{
	const struct record_options *r = &m->opt->record;
	if (!m->tokenizer)
		return json_object();
	return json_pack("{s:s, s:s?, s:i, s:i, s:i, s:f, s:i, s:b}", "tokenizer", tokenizer_fingerprint(m->tokenizer), "template",
		m->template.name, "format", (int)r->format, "train_on", (int)r->train_on, "overlong", (int)r->overlong,
		"prompt_loss_weight", r->prompt_loss_weight, "max_length", (int)r->max_length, "no_eos", (int)r->no_eos);
}

/* The same for the whole; NULL and *e when a source cannot be read. */
static json_t *
describe(const struct making *m, struct err *e)
{
	json_t *sources = fingerprints(m, e);
	return sources ? json_pack("{s:o, s:o, s:f}", "sources", sources, "records", way(m), "held_out", m->opt->held_out) : NULL;
}

/* Sources of `now` that are standard input count as what they were. */
static bool
same_making(const struct making *m, const json_t *before, const json_t *now)
{
	const json_t *a = json_object_get(before, "sources"), *b = json_object_get(now, "sources");
	bool same = json_array_size(a) == m->n && json_equal(json_object_get(before, "records"), json_object_get(now, "records")) &&
		json_equal(json_object_get(before, "held_out"), json_object_get(now, "held_out"));
	for (size_t i = 0; same && i < m->n; i++)
		same = strcmp(m->source[i].path, "-") == 0 || json_equal(json_array_get(a, i), json_array_get(b, i));
	return same;
}

/* ---- making one ---- */

/* `fetched`: bytes of the source, up to here. */
static int
add(struct making *m, const struct example *x, uint64_t fetched, struct err *e)
{
	if (m->opt->progress)
		m->opt->progress(m->opt->progress_ctx, ++m->rows, m->size ? (double)(m->before + fetched) / (double)m->size : 0);
	bool held_out = m->held_out && example_place(x, &m->bytes) < m->opt->held_out;
	return dataset_add(held_out ? m->held_out : m->writer, x, e);
}

static int
add_record(void *arg, const struct example *x, const struct records_counts *so_far, struct err *e)
{
	struct making *m = arg;
	return add(m, x, so_far->bytes, e);
}

/* Joins what a source says of itself ("tokenizer", "vocab_size", "eos_token_id"); steals it. */
static int
join(struct making *m, json_t *info, const struct ingest_source *s, struct err *e)
{
	int rc = 0;
	if (m->info)
		rc = tokens_merge_header(m->info, info, e);
	else
		m->info = json_incref(info);
	json_decref(info);
	return rc < 0 ? err_prefix(e, "'%s': ", s->path) : 0;
}

static int
add_dataset(struct making *m, const struct ingest_source *s, struct err *e)
{
	struct dataset *d = dataset_open(s->path, e);
	int rc = d ? join(m, dataset_info(d), s, e) : -1;
	for (size_t i = 0; rc == 0 && i < dataset_count(d); i++) {
		struct example x;
		rc = dataset_read(d, i, &x, e);
		if (rc == 0)
			rc = add(m, &x, 0, e);
	}
	if (d)
		dataset_close(d);
	return rc < 0 ? -1 : 0;
}

static int
add_stream(struct making *m, const struct ingest_source *s, struct err *e)
{
	struct tokens_reader *r = tokens_open(s->file, e);
	struct example x;
	int rc = r ? 1 : -1;
	while (rc > 0 && (rc = tokens_read(r, &x, e)) > 0)
		rc = add(m, &x, tokens_fetched(r), e) < 0 ? -1 : 1;
	if (rc == 0)
		rc = join(m, tokens_header(r) ? json_deep_copy(tokens_header(r)) : json_object(), s, e);
	tokens_close(r);
	return rc;
}

static int
add_records(struct making *m, const struct ingest_source *s, struct records_counts *counts, struct err *e)
{
	struct record_options record = m->opt->record;
	record.tokenizer = m->tokenizer;
	record.template = &m->template;
	struct records_sink sink = {.example = add_record, .arg = m};
	if (records_tokenize(&s->file, 1, &record, false, m->opt->threads, &sink, counts, e) < 0)
		return -1;
	const struct tokenizer *t = m->tokenizer;
	json_t *eos = tokenizer_eos(t) >= 0 ? json_integer(tokenizer_eos(t)) : json_null();
	return join(m, json_pack("{s:s, s:I, s:o, s:s?}", "tokenizer", tokenizer_fingerprint(t), "vocab_size",
		tokenizer_vocab_size(t), "eos_token_id", eos, "template", m->template.name), s, e);
}

/* Counts of several files of records together: the first that has a complaint tells it. */
static void
add_counts(struct records_counts *all, const struct records_counts *one)
{
	all->records += one->records;
	all->tokens += one->tokens;
	all->targets += one->targets;
	all->dropped += one->dropped;
	all->truncated += one->truncated;
	all->split += one->split;
	all->skipped += one->skipped;
	all->bytes += one->bytes;
	if (one->untrainable.n && !all->untrainable.n)
		all->untrainable = one->untrainable;
	for (int i = 0; i < N_REMARKS; i++)
		if (one->remarks[i].n && !all->remarks[i].n)
			all->remarks[i] = one->remarks[i];
}

/* A copy goes by the name of what it is of. */
static void
rename_copy(const struct ingest_source *s, struct records_counts *c, struct err *e)
{
	char *at = strstr(e->msg, s->file);
	size_t n = strlen(s->file), k = strlen(s->path);
	if (at && k <= n) {
		memcpy(at, s->path, k);
		memmove(at + k, at + n, strlen(at + n) + 1);
	}
	for (int j = 0; j < RECORDS_NAMED; j++) {
		c->untrainable.first[j].file = s->path;
		for (int i = 0; i < N_REMARKS; i++)
			c->remarks[i].first[j].file = s->path;
	}
}

static int
add_source(struct making *m, const struct ingest_source *s, struct records_counts *all, struct err *e)
{
	struct records_counts counts = {0};
	if (s->form == INGEST_DATASET)
		return add_dataset(m, s, e);
	if (s->form == INGEST_STREAM)
		return add_stream(m, s, e);
	e->msg[0] = '\0';
	int rc = add_records(m, s, &counts, e);
	if (s->copy)
		rename_copy(s, &counts, e);
	add_counts(all, &counts);
	return rc;
}

static json_t *
source_names(const struct making *m)
{
	json_t *names = json_array();
	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(names, json_string(m->source[i].path));
	return names;
}

/* How, is under "ingest". */
static json_t *
provenance(const struct making *m, const json_t *made_of)
{
	static const char *const what[] = {[INGEST_DATASET] = "data", [INGEST_STREAM] = "tokens", [INGEST_RECORDS] = "records"};
	json_t *p = provenance_new(NULL), *sources = json_object_get(made_of, "sources");
	for (size_t i = 0; i < m->n; i++)
		provenance_add(p, what[m->source[i].form], m->source[i].path, json_string_value(json_array_get(sources, i)));
	if (m->tokenizer)
		provenance_add(p, "tokenizer", NULL, tokenizer_fingerprint(m->tokenizer));
	return p;
}

/* The part held out first: where the other one is, both are. */
static int
finish(struct making *m, json_t *made_of, struct err *e)
{
	json_object_set(m->info, "ingest", made_of);
	json_object_set_new(m->info, "source", source_names(m));
	json_object_set_new(m->info, "provenance", provenance(m, made_of));
	struct dataset_writer *held_out = m->held_out, *writer = m->writer;
	m->held_out = NULL;
	if (held_out && dataset_finish(held_out, m->info, e) < 0)
		return -1;
	m->writer = NULL;
	return dataset_finish(writer, m->info, e);
}

static uint64_t
sources_size(const struct making *m)
{
	uint64_t total = 0;
	for (size_t i = 0; i < m->n; i++) {
		uint64_t size = in_size(&m->source[i].file, 1);
		if (!size)
			return 0;
		total += size;
	}
	return total;
}

static int
make(struct making *m, json_t *made_of, struct records_counts *counts, struct err *e)
{
	const struct dataset_options force = {.force = true};
	if (!(m->writer = dataset_create(m->to, &force, e)))
		return -1;
	if (m->to_held_out && !(m->held_out = dataset_create(m->to_held_out, &force, e)))
		return -1;
	m->size = sources_size(m);
	for (size_t i = 0; i < m->n; i++) {
		if (add_source(m, &m->source[i], counts, e) < 0)
			return -1;
		m->before += in_size(&m->source[i].file, 1);
	}
	return finish(m, made_of, e);
}

/* ---- opening ---- */

static int
open_made(struct ingested *in, const struct making *m, struct err *e)
{
	if (!(in->dataset = dataset_open(m->to, e)))
		return -1;
	return m->to_held_out && !(in->held_out = dataset_open(m->to_held_out, e)) ? -1 : 0;
}

/* The dataset at opt->keep, if it was made from these very sources in this way. */
static int
open_kept(struct ingested *in, const struct making *m, const json_t *made_of, struct err *e)
{
	if (open_made(in, m, e) < 0)
		return -1;
	if (same_making(m, json_object_get(dataset_json(in->dataset), "ingest"), made_of))
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' was made from another '%s', or with other options; name another output", m->to,
		m->source[0].path);
}

static int
name_outputs(struct ingested *in, struct making *m, struct err *e)
{
	const struct ingest_options *o = m->opt;
	if (!o->keep) {
		in->temporary = ingest_temporary_name("hone-XXXXXX");
		if (!mkdtemp(in->temporary)) {
			err_sys(e, ERR_CANTCREAT, "cannot create '%s'", in->temporary);
			free(in->temporary);
			in->temporary = NULL;
			return -1;
		}
	}
	m->to = o->keep ? xstrdup(o->keep) : path_join(in->temporary, "dataset");
	if (o->held_out > 0)
		m->to_held_out = o->keep ? xstrdup(o->keep_held_out) : path_join(in->temporary, "held-out");
	return 0;
}

static int
open_tokenizer(struct making *m, struct err *e)
{
	bool records = false;
	for (size_t i = 0; i < m->n; i++)
		records |= m->source[i].form == INGEST_RECORDS;
	if (!records)
		return 0;
	if (template_open(&m->template, m->model_dir, m->opt->template, e) < 0)
		return -1;
	m->tokenizer = tokenizer_open(m->model_dir, e);
	if (!m->tokenizer)
		template_close(&m->template);
	return m->tokenizer ? 0 : -1;
}

static int
open_or_make(struct ingested *in, struct making *m, struct err *e)
{
	if (open_tokenizer(m, e) < 0 || name_outputs(in, m, e) < 0)
		return -1;
	json_t *made_of = describe(m, e);
	int rc = made_of ? 0 : -1;
	if (rc == 0 && m->opt->keep && path_exists(m->to)) {
		rc = open_kept(in, m, made_of, e);
	} else if (rc == 0) {
		rc = make(m, made_of, &in->counts, e);
		if (rc == 0)
			rc = open_made(in, m, e);
	}
	json_decref(made_of);
	return rc;
}

static void
making_release(struct making *m)
{
	for (size_t i = 0; i < m->n; i++)
		ingest_source_release(&m->source[i]);
	dataset_abort(m->writer);
	dataset_abort(m->held_out);
	if (m->tokenizer) {
		template_close(&m->template);
		tokenizer_free(m->tokenizer);
	}
	json_decref(m->info);
	buf_release(&m->bytes);
	free(m->source);
	free(m->to);
	free(m->to_held_out);
}

/* 1 or 0; what cannot be looked at is an error, not a file. */
static int
is_directory(const char *path, struct err *e)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode);
	return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, ERR_NOINPUT, "cannot open '%s'", path);
}

int
ingest_open(struct ingested *in, const char *const *paths, size_t n, const char *model_dir, const struct ingest_options *opt,
	struct err *e)
{
	*in = (struct ingested){0};
	int alone = n == 1 && opt->held_out == 0 ? is_directory(paths[0], e) : 0;
	if (alone != 0)
		return alone > 0 && (in->dataset = dataset_open(paths[0], e)) ? 0 : -1;
	struct making m = {.opt = opt, .model_dir = model_dir, .n = n, .source = xcalloc(n, sizeof *m.source)};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = ingest_source_init(&m.source[i], paths[i], opt->keep, e);
	}
	if (rc == 0)
		rc = open_or_make(in, &m, e);
	in->fits = rc == 0 && m.tokenizer;
	if (in->fits)
		snprintf(in->tokenizer, sizeof in->tokenizer, "%s", tokenizer_fingerprint(m.tokenizer));
	making_release(&m);
	if (rc < 0)
		ingest_close(in);
	return rc;
}

void
ingest_close(struct ingested *in)
{
	struct err ignored;
	if (in->dataset)
		dataset_close(in->dataset);
	if (in->held_out)
		dataset_close(in->held_out);
	if (in->temporary)
		path_remove(in->temporary, &ignored);
	free(in->temporary);
	*in = (struct ingested){0};
}

/* ---- whether it fits the model ---- */

/* A model without a tokenizer has nothing to compare; a tokenizer that cannot be read is an error here already, since it
 * would go with what is trained. */
static int
check_tokenizer(struct ingested *in, const char *path, const char *model_dir, bool other, struct err *e)
{
	const char *made_with = dataset_tokenizer(in->dataset);
	if (!made_with)
		return 0;
	struct tokenizer *t = tokenizer_open(model_dir, e);
	if (!t)
		return e->code == ERR_NOINPUT && e->sys == 0 ? 0 : -1;  /* none; not one that cannot be opened */
	snprintf(in->tokenizer, sizeof in->tokenizer, "%s", tokenizer_fingerprint(t));
	tokenizer_free(t);
	if (other || strcmp(in->tokenizer, made_with) == 0)
		return 0;
	return err_set(e, ERR_DATA, "'%s' was made with another tokenizer (%s) than that of '%s' (%s): tokenise it with this model, or "
		"insist with --allow-other-tokenizer", path, made_with, model_dir, in->tokenizer);
}

int
ingest_check(struct ingested *in, const char *path, int V, const char *model_dir, bool other, struct err *e)
{
	const struct dataset *d = in->dataset;
	if (dataset_count(d) == 0)
		return err_set(e, ERR_DATA, "'%s' has no examples", path);
	if (dataset_targets(d) == 0)
		return err_set(e, ERR_DATA, "'%s' has no targets: nothing to train on or to score", path);
	if (dataset_vocab_size(d) > V)
		return err_set(e, ERR_DATA, "'%s' was made with a vocabulary of %lld, the model's has %d: tokenise it with this model",
			path, (long long)dataset_vocab_size(d), V);
	return in->fits ? 0 : check_tokenizer(in, path, model_dir, other, e);
}

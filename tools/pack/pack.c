#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "fmt/dataset.h"
#include "fmt/fit.h"
#include "fmt/le.h"
#include "fmt/tokens.h"
#include "seen.h"

enum { TRAINING, VALIDATION, PARTS };

struct part {
	const char *path;            /* NULL: there is no such part */
	struct dataset_writer *writer;
	uint64_t examples;
};

struct pack {
	const struct pack_options *opt;
	struct part part[PARTS];
	json_t *info;                /* what the headers of all streams agree on */
	struct fit fit;
	struct seen seen;
	struct buf key;              /* the row as hashed */
	uint64_t rows, duplicates, without_targets;
	uint64_t size, before;       /* bytes of all streams, and of those that have been read; size 0: not known */
	struct progress progress;
};

/* ---- one row ---- */

static void
put32(struct buf *b, uint32_t v)
{
	uint8_t p[4];
	le32_put(p, v);
	buf_append(b, p, sizeof p);
}

static void
put_weights(struct buf *b, const struct example *x)
{
	for (uint32_t i = 0; i < x->n_spans; i++) {
		uint32_t bits;
		memcpy(&bits, &x->spans[i].weight, sizeof bits);
		put32(b, x->spans[i].n);
		put32(b, bits);
	}
}

static int
pack_row(struct pack *p, const struct example *x, struct err *e)
{
	p->rows++;
	bool held_out = example_place(x, &p->key) < p->opt->validation;
	struct part *part = &p->part[held_out ? VALIDATION : TRAINING];
	if (p->opt->dedup) {
		put_weights(&p->key, x);
		if (seen_add(&p->seen, XXH3_128bits(p->key.data, p->key.len))) {
			p->duplicates++;
			return 0;
		}
	}
	if (!example_targets(x))
		p->without_targets++;
	struct example piece;
	if (fit_begin(&p->fit, x, e) < 0)
		return -1;
	while (fit_next(&p->fit, &piece)) {
		if (dataset_add(part->writer, &piece, e) < 0)
			return -1;
		part->examples++;
	}
	return 0;
}

/* ---- streams ---- */

static int
join_header(struct pack *p, const struct tokens_reader *r, struct err *e)
{
	json_t *h = tokens_header(r) ? json_deep_copy(tokens_header(r)) : json_object();
	int rc = 0;
	if (p->info)
		rc = tokens_merge_header(p->info, h, e);
	else
		p->info = json_incref(h);
	json_decref(h);
	return rc;
}

static const char *
shown(const char *stream)
{
	return strcmp(stream, "-") == 0 ? "standard input" : stream;
}

static int
pack_stream(struct pack *p, const char *stream, struct err *e)
{
	struct tokens_reader *r = tokens_open(stream, e);
	if (!r)
		return -1;
	struct example x;
	int rc;
	while ((rc = tokens_read(r, &x, e)) == 1) {
		if ((rc = pack_row(p, &x, e)) < 0) {
			err_prefix(e, "'%s': record %llu: ", shown(stream), (unsigned long long)tokens_count(r));
			break;
		}
		progress_share(&p->progress, p->rows, p->size ? (double)(p->before + tokens_fetched(r)) / (double)p->size : 0);
	}
	p->before += tokens_fetched(r);
	if (rc == 0 && (rc = join_header(p, r, e)) < 0)
		err_prefix(e, "'%s': ", shown(stream));
	tokens_close(r);
	return rc;
}

static int
pack_streams(struct pack *p, const struct opt_list *streams, struct err *e)
{
	int rc = 0;
	const char *const standard_input = "-", *const *stream = streams->n ? streams->item : &standard_input;
	size_t n = streams->n ? streams->n : 1;
	p->size = in_size(stream, n);
	progress_start(&p->progress, "packing", "rows", 0);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = pack_stream(p, stream[i], e);
	progress_end(&p->progress);
	return rc;
}

/* ---- datasets ---- */

static int
create(struct pack *p, struct err *e)
{
	const struct dataset_options options = {
		.shard_bytes = (uint64_t)p->opt->shard_size,
		.level = p->opt->level,
		.force = p->opt->force,
	};
	for (int i = 0; i < PARTS; i++)
		if (p->part[i].path && !(p->part[i].writer = dataset_create(p->part[i].path, &options, e)))
			return -1;
	return 0;
}

static int
check_not_empty(const struct pack *p, struct err *e)
{
	if (p->opt->allow_empty)
		return 0;
	if (p->rows == 0)
		return err_set(e, ERR_DATA, "the input holds no records; --allow-empty takes that for a dataset too");
	for (int i = 0; i < PARTS; i++)
		if (p->part[i].path && p->part[i].examples == 0)
			return err_set(e, ERR_DATA, "'%s' would be empty: none of the %llu rows came to it",
				p->part[i].path, (unsigned long long)p->rows);
	return 0;
}

/* What was done to the rows, for dataset.json. */
static json_t *
describe(const struct pack *p, int part)
{
	static const char *const names[] = {"training", "validation"};
	const struct pack_options *opt = p->opt;
	json_t *fraction = opt->validation > 0 ? json_real(opt->validation) : json_null();
	return json_pack("{s:i, s:s, s:b, s:o, s:s, s:I, s:I, s:I, s:I}", "context", opt->context,
		"overlong", opt->overlong, "dedup", opt->dedup, "validation", fraction,
		"part", opt->validation > 0 ? names[part] : "all", "rows", (json_int_t)p->rows,
		"duplicate_rows", (json_int_t)p->duplicates, "overlong_rows", (json_int_t)p->fit.overlong,
		"dropped_rows", (json_int_t)p->fit.dropped);
}

/* The validation part first: who sees the training part, which make has for its target, has both. */
static int
finish(struct pack *p, struct err *e)
{
	for (int i = PARTS - 1; i >= 0; i--) {
		struct dataset_writer *w = p->part[i].writer;
		if (!w)
			continue;
		json_object_set_new(p->info, "pack", describe(p, i));
		p->part[i].writer = NULL;
		if (dataset_finish(w, p->info, e) < 0)
			return err_prefix(e, "'%s': ", p->part[i].path);
	}
	return 0;
}

static int
report(const struct pack *p, struct err *e)
{
	for (int i = 0; i < PARTS; i++)
		if (p->part[i].path && pack_report(p->part[i].path, e) < 0)
			return -1;
	if (p->duplicates)
		log_note("%llu of %llu rows left out: they were there before", (unsigned long long)p->duplicates,
			(unsigned long long)p->rows);
	if (p->fit.overlong)
		log_note("%llu of %llu rows longer than %d tokens (--overlong %s), of %llu of them nothing is left",
			(unsigned long long)p->fit.overlong, (unsigned long long)p->rows, p->opt->context, p->opt->overlong,
			(unsigned long long)p->fit.dropped);
	if (p->without_targets)
		log_warn("%llu of %llu rows have no target: nothing is learnt from them",
			(unsigned long long)p->without_targets, (unsigned long long)p->rows);
	return 0;
}

int
pack_run(const struct pack_options *opt, const struct opt_list *streams, struct err *e)
{
	struct pack p = {
		.opt = opt,
		.part = {{.path = opt->output}, {.path = opt->validation_output}},
		.fit = {.policy = fit_policy(opt->overlong), .context = (uint32_t)opt->context},
	};
	int rc = create(&p, e);
	if (rc == 0)
		rc = pack_streams(&p, streams, e);
	if (rc == 0)
		rc = check_not_empty(&p, e);
	if (rc == 0)
		rc = finish(&p, e);
	for (int i = 0; i < PARTS; i++)
		dataset_abort(p.part[i].writer);
	if (rc == 0)
		rc = report(&p, e);
	json_decref(p.info);
	fit_release(&p.fit);
	seen_release(&p.seen);
	buf_release(&p.key);
	return rc;
}

#include "text/records.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpus.h"
#include "base/file.h"
#include "base/mem.h"
#include "text/source.h"

enum { BLOCK_LINES = 8192, BLOCK_BYTES = 4 << 20 };

/* A line and what became of it. */
struct slot {
	size_t at, n;       /* in the block's text */
	uint64_t line;
	bool unread;        /* the error is of the source, and there is no text */
	int verdict;        /* enum record_verdict, or -1 */
	unsigned remarks;
	struct err *err;    /* of verdict -1; NULL until there has been one */
	struct example x;   /* points into the members below, which are kept from block to block */
	int32_t *ids;
	struct span *spans;
	char *label;
	size_t ids_cap, spans_cap, label_cap;
};

struct block {
	struct buf text;
	struct slot slots[BLOCK_LINES];
	size_t n;
	uint64_t fetched;  /* bytes of the file, to the block's end */
	bool last;         /* nothing follows it... */
	bool failed;       /* ...but an error */
	struct err err;
};

/* While threads work on one block, one of them has written the block before and read the block behind. */
struct pipeline {
	struct record_options *opt;
	const struct records_sink *sink;
	struct records_counts *counts;
	struct record_maker **makers;
	int threads;
	bool skip, enough;  /* enough: the sink wants no more */
	const char *file;   /* as in the list of files */
	uint64_t before;    /* bytes of the files before it */
	struct block block[3];
};

/* ---- reading ---- */

static void
set_error(struct slot *s, const struct err *e)
{
	if (!s->err)
		s->err = xmalloc(sizeof *s->err);
	*s->err = *e;
}

/* One more record into the block; false when it is the last block's end. */
static bool
read_slot(struct block *b, struct source *from)
{
	struct slot *slot = &b->slots[b->n];
	const char *text = NULL;
	size_t n = 0;
	int rc = source_next(from, &text, &n, &slot->line, &b->err);
	slot->unread = rc < 0 && from->can_go_on;
	b->failed = rc < 0 && !slot->unread;
	if (slot->unread)
		set_error(slot, &b->err);
	b->last = rc == 0 || b->failed;
	if (b->last)
		return false;
	slot->at = b->text.len;
	slot->n = slot->unread ? 0 : n;
	buf_append(&b->text, text, slot->n);
	b->n++;
	return true;
}

/* Fills a block with the next records: none, when `from` is NULL. */
static void
read_block(struct block *b, struct source *from)
{
	b->n = 0;
	b->last = !from;
	b->failed = false;
	buf_clear(&b->text);
	while (from && !b->last && b->n < BLOCK_LINES && b->text.len < BLOCK_BYTES && read_slot(b, from))
		;
	b->fetched = from ? in_fetched(&from->in) : b->fetched;
}

/* ---- computing ---- */

static void
keep(struct slot *s, const struct example *x)
{
	GROW(s->ids, s->ids_cap, x->n);
	GROW(s->spans, s->spans_cap, x->n_spans);
	GROW(s->label, s->label_cap, x->label_len);
	if (x->n)
		memcpy(s->ids, x->ids, x->n * sizeof *x->ids);
	if (x->n_spans)
		memcpy(s->spans, x->spans, x->n_spans * sizeof *x->spans);
	if (x->label)
		memcpy(s->label, x->label, x->label_len);
	s->x = *x;
	s->x.ids = s->ids;
	s->x.spans = s->spans;
	s->x.label = x->label ? s->label : NULL;
}

static void
compute(struct pipeline *p, struct block *b, struct slot *s)
{
	struct record_maker *m = p->makers[omp_get_thread_num()];
	struct example x;
	struct err e;
	s->verdict = s->unread ? -1 : record_parse(m, b->text.data + s->at, s->n, s->line, &x, &e);
	if (s->verdict < 0 && !s->unread)
		set_error(s, &e);
	s->remarks = record_remarks(m);
	if (s->verdict == RECORD_WHOLE || s->verdict == RECORD_CUT)
		keep(s, &x);
}

/* ---- writing ---- */

static int
hand_on(struct pipeline *p, const struct example *x, struct err *e)
{
	p->counts->records++;
	p->counts->tokens += x->n;
	p->counts->targets += example_targets(x);
	int rc = p->sink->example(p->sink->arg, x, p->counts, e);
	p->enough = rc > 0;
	return rc < 0 ? -1 : 0;
}

/* A text in consecutive pieces of at most max_length tokens; a last piece of one token has no target, and
 * goes. */
static int
hand_on_pieces(struct pipeline *p, const struct example *x, struct err *e)
{
	uint32_t max = p->opt->max_length;
	struct span *spans = xcalloc(x->n_spans, sizeof *spans);
	int rc = 0;
	p->counts->split++;
	for (uint32_t from = 0; from < x->n && rc == 0 && !p->enough; from += max) {
		uint32_t to = x->n - from > max ? from + max : x->n;
		struct example piece = example_slice(x, from, to, spans);
		if (example_targets(&piece) > 0)
			rc = hand_on(p, &piece, e);
		if (to == x->n)
			break;
	}
	free(spans);
	return rc;
}

static void
note(const struct pipeline *p, struct records_seen *seen, uint64_t line)
{
	if (seen->n < RECORDS_NAMED) {
		seen->first[seen->n].file = p->file;
		seen->first[seen->n].line = line;
	}
	seen->n++;
}

static int
pass_over(struct pipeline *p, struct slot *s, struct err *e)
{
	if (!s->unread && (s->err->code == ERR_DATA || s->err->code == ERR_USAGE))
		err_prefix(s->err, "'%s': ", p->file);
	if (!p->skip || s->err->code != ERR_DATA) {
		*e = *s->err;
		return -1;
	}
	p->counts->skipped++;
	if (p->sink->skipped)
		p->sink->skipped(p->sink->arg, s->err);
	return 0;
}

static int
write_slot(struct pipeline *p, struct slot *s, struct err *e)
{
	struct records_counts *c = p->counts;
	if (s->verdict < 0)
		return pass_over(p, s, e);
	c->dropped += s->verdict == RECORD_DROPPED;
	c->truncated += s->verdict == RECORD_CUT;
	if (s->verdict == RECORD_UNTRAINABLE)
		note(p, &c->untrainable, s->line);
	if (s->verdict == RECORD_DROPPED || s->verdict == RECORD_UNTRAINABLE)
		return 0;
	for (unsigned i = 0; i < N_REMARKS; i++)
		if (s->remarks >> i & 1)
			note(p, &c->remarks[i], s->line);
	if (p->opt->max_length && s->x.n > p->opt->max_length)
		return hand_on_pieces(p, &s->x, e);
	return hand_on(p, &s->x, e);
}

static int
write_block(struct pipeline *p, struct block *b, struct err *e)
{
	p->counts->bytes = p->before + b->fetched;
	for (size_t i = 0; i < b->n && !p->enough; i++)
		if (write_slot(p, &b->slots[i], e) < 0)
			return -1;
	if (b->failed && !p->enough)
		*e = b->err;
	return b->failed && !p->enough ? -1 : 0;
}

/* ---- all of it ---- */

static int
make_makers(struct pipeline *p, struct err *e)
{
	p->makers = xcalloc((size_t)p->threads, sizeof *p->makers);
	for (int i = 0; i < p->threads; i++) {
		p->makers[i] = record_maker_new(p->opt, e);
		if (!p->makers[i])
			return -1;
	}
	return 0;
}

/* The first record that can be read decides on the format; when none in the block can, the first error is
 * it. */
static int
settle_format(struct pipeline *p, const struct block *b, struct err *e)
{
	int rc = -1;
	for (size_t i = 0; i < b->n && rc < 0; i++) {
		const struct slot *s = &b->slots[i];
		struct err why = {0};
		if (s->unread)
			why = *s->err;
		else
			rc = record_detect(b->text.data + s->at, s->n, &p->opt->format, &p->counts->keys, &why);
		if (rc < 0 && !s->unread)
			err_prefix(&why, "'%s': line %llu: ", p->file, (unsigned long long)s->line);
		if (rc < 0 && (i == 0 || !p->skip))
			*e = why;
		if (rc < 0 && !p->skip)
			break;
	}
	return rc;
}

/* Writes `done` (NULL: there is none), reads `next`, and works on `now`, all at once. */
static int
run_block(struct pipeline *p, struct block *done, struct block *now, struct block *next, struct source *from,
	struct err *e)
{
	int rc = 0;
	if (!p->makers && p->opt->format == RECORD_AUTO && settle_format(p, now, e) < 0)
		return -1;
	if (!p->makers && make_makers(p, e) < 0)
		return -1;
#pragma omp parallel num_threads(p->threads)
	{
		if (omp_get_thread_num() == 0) {
			rc = done ? write_block(p, done, e) : 0;
			read_block(next, now->last || rc < 0 || p->enough ? NULL : from);
		}
#pragma omp for schedule(dynamic, 8)
		for (size_t i = 0; i < now->n; i++)
			compute(p, now, &now->slots[i]);
	}
	return rc;
}

static int
run_file(struct pipeline *p, const char *path, struct err *e)
{
	struct source from;
	struct block *done = NULL, *now = &p->block[0], *next = &p->block[1];
	int rc = 0;
	if (source_open(&from, path, e) < 0)
		return -1;
	p->file = p->counts->file = from.in.name;
	read_block(now, &from);
	while (rc == 0 && now->n && !p->enough) {
		rc = run_block(p, done, now, next, &from, e);
		struct block *free = done ? done : &p->block[2];
		done = now;
		now = next;
		next = free;
	}
	if (rc == 0 && done)
		rc = write_block(p, done, e);
	if (rc == 0 && now->failed && !p->enough) {
		*e = now->err;
		rc = -1;
	}
	p->before += in_fetched(&from.in);
	source_close(&from);
	return rc;
}

static void
release(struct pipeline *p)
{
	for (int i = 0; p->makers && i < p->threads; i++)
		record_maker_free(p->makers[i]);
	free(p->makers);
	for (size_t k = 0; k < 3; k++) {
		struct block *b = &p->block[k];
		for (size_t i = 0; i < BLOCK_LINES; i++) {
			free(b->slots[i].ids);
			free(b->slots[i].spans);
			free(b->slots[i].label);
			free(b->slots[i].err);
		}
		buf_release(&b->text);
	}
	free(p);
}

int
records_tokenize(const char *const *files, size_t n_files, struct record_options *opt, bool skip, int threads,
	const struct records_sink *sink, struct records_counts *counts, struct err *e)
{
	struct pipeline *p = xcalloc(1, sizeof *p);
	*counts = (struct records_counts){0};
	p->opt = opt;
	p->sink = sink;
	p->counts = counts;
	p->skip = skip;
	p->threads = threads_wanted(threads);
	int rc = 0;
	for (size_t i = 0; i < n_files && rc >= 0 && !p->enough; i++)
		rc = run_file(p, files[i], e);
	release(p);
	return rc < 0 ? -1 : 0;
}

bool
records_complaint(const struct records_counts *c, unsigned i, struct buf *text)
{
	static const struct {
		const char *one, *many;
	} what[N_REMARKS + 1] = {
		[REMARK_BOS_GIVEN] = {"text begins with BOS itself, so none was added", "texts begin with BOS themselves, so none "
			"was added"},
		[REMARK_BOS_DOUBLED] = {"conversation has two BOS tokens in a row", "conversations have two BOS tokens in a row"},
		[REMARK_NO_END] = {"conversation has a turn that is learned without an end: no special token closes it",
			"conversations have turns that are learned without an end: no special token closes them"},
		[N_REMARKS] = {"record has no target and was left out", "records have no target and were left out"},
	};
	const struct records_seen *seen = i < N_REMARKS ? &c->remarks[i] : &c->untrainable;
	buf_clear(text);
	if (seen->n == 0)
		return false;
	buf_printf(text, "%llu %s (", (unsigned long long)seen->n, seen->n == 1 ? what[i].one : what[i].many);
	for (uint64_t k = 0; k < seen->n && k < RECORDS_NAMED; k++)
		buf_printf(text, "%s'%s': line %llu", k ? ", " : "", seen->first[k].file, (unsigned long long)seen->first[k].line);
	buf_puts(text, seen->n > RECORDS_NAMED ? ", ...)" : ")");
	return true;
}

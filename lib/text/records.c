#include "text/records.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/source.h"

enum { BLOCK_LINES = 2048, BLOCK_BYTES = 4 << 20 };

/* A line and what became of it. */
struct slot {
	size_t at, n;       /* in the block's text */
	uint64_t line;
	bool unread;        /* err is of the source, and there is no text */
	int verdict;        /* enum record_verdict, or -1 */
	unsigned remarks;
	struct err err;
	struct example x;   /* points into the members below, which are kept from block to block */
	int32_t *ids;
	struct span *spans;
	char *label;
	size_t ids_cap, spans_cap, label_cap;
};

struct pipeline {
	struct record_options *opt;
	const struct records_sink *sink;
	struct records_counts *counts;
	struct record_maker **makers;
	int threads;
	bool skip, enough;  /* enough: the sink wants no more */
	const char *file;   /* as in the list of files */
	struct buf text;
	struct slot slots[BLOCK_LINES];
	size_t n;
};

/* ---- reading ---- */

/* Fills a block with the next records; 1, 0 at the end of the file, -1 on an error. */
static int
read_block(struct pipeline *p, struct source *from, struct err *e)
{
	const char *text = NULL;
	size_t n = 0;
	int rc = 1;
	p->n = 0;
	buf_clear(&p->text);
	while (rc > 0 && p->n < BLOCK_LINES && p->text.len < BLOCK_BYTES) {
		struct slot *slot = &p->slots[p->n];
		rc = source_next(from, &text, &n, &slot->line, &slot->err);
		slot->unread = rc < 0 && from->can_go_on;
		if (rc < 0 && !slot->unread) {
			*e = slot->err;
			return -1;
		}
		if (rc == 0)
			break;
		slot->at = p->text.len;
		slot->n = slot->unread ? 0 : n;
		buf_append(&p->text, text, slot->n);
		p->n++;
		rc = 1;
	}
	p->counts->bytes += p->text.len + p->n;
	return p->n > 0;
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
compute(struct pipeline *p)
{
#pragma omp parallel for schedule(dynamic, 8) num_threads(p->threads)
	for (size_t i = 0; i < p->n; i++) {
		struct slot *s = &p->slots[i];
		struct record_maker *m = p->makers[omp_get_thread_num()];
		struct example x;
		s->verdict = s->unread ? -1 : record_parse(m, p->text.data + s->at, s->n, s->line, &x, &s->err);
		s->remarks = record_remarks(m);
		if (s->verdict == RECORD_WHOLE || s->verdict == RECORD_CUT)
			keep(s, &x);
	}
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
	if (!s->unread && (s->err.code == ERR_DATA || s->err.code == ERR_USAGE))
		err_prefix(&s->err, "'%s': ", p->file);
	if (!p->skip || s->err.code != ERR_DATA) {
		*e = s->err;
		return -1;
	}
	p->counts->skipped++;
	if (p->sink->skipped)
		p->sink->skipped(p->sink->arg, &s->err);
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
settle_format(struct pipeline *p, struct err *e)
{
	int rc = -1;
	for (size_t i = 0; i < p->n && rc < 0; i++) {
		const struct slot *s = &p->slots[i];
		struct err why = s->err;
		if (!s->unread)
			rc = record_detect(p->text.data + s->at, s->n, &p->opt->format, &p->counts->keys, &why);
		if (rc < 0 && !s->unread)
			err_prefix(&why, "'%s': line %llu: ", p->file, (unsigned long long)s->line);
		if (rc < 0 && (i == 0 || !p->skip))
			*e = why;
		if (rc < 0 && !p->skip)
			break;
	}
	return rc;
}

static int
run_block(struct pipeline *p, struct err *e)
{
	if (!p->makers && p->opt->format == RECORD_AUTO && settle_format(p, e) < 0)
		return -1;
	if (!p->makers && make_makers(p, e) < 0)
		return -1;
	compute(p);
	for (size_t i = 0; i < p->n && !p->enough; i++)
		if (write_slot(p, &p->slots[i], e) < 0)
			return -1;
	return 0;
}

static int
run_file(struct pipeline *p, const char *path, struct err *e)
{
	struct source from;
	int rc = 0;
	if (source_open(&from, path, e) < 0)
		return -1;
	p->file = p->counts->file = from.in.name;
	while (!p->enough && (rc = read_block(p, &from, e)) != 0) {
		if (rc > 0)
			rc = run_block(p, e);
		if (rc < 0)
			break;
	}
	source_close(&from);
	return rc;
}

static void
release(struct pipeline *p)
{
	for (int i = 0; p->makers && i < p->threads; i++)
		record_maker_free(p->makers[i]);
	free(p->makers);
	for (size_t i = 0; i < BLOCK_LINES; i++) {
		free(p->slots[i].ids);
		free(p->slots[i].spans);
		free(p->slots[i].label);
	}
	buf_release(&p->text);
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
	p->threads = threads > 0 ? threads : omp_get_max_threads();
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

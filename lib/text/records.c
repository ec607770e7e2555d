#include "text/records.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

enum { BLOCK_LINES = 2048, BLOCK_BYTES = 4 << 20 };

/* A line and what became of it. */
struct slot {
	size_t at, n;       /* in the block's text */
	uint64_t line;
	int verdict;        /* enum record_verdict, or -1 */
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
	bool skip;
	struct buf text;
	struct slot slots[BLOCK_LINES];
	size_t n;
};

/* ---- reading ---- */

static bool
is_blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return false;
	return true;
}

/* Fills a block with the next lines; 1, 0 at the end of the file, -1 on an error. */
static int
read_block(struct pipeline *p, struct in *in, uint64_t *line, struct err *e)
{
	const char *s;
	size_t n;
	int rc = 1;
	p->n = 0;
	buf_clear(&p->text);
	while (p->n < BLOCK_LINES && p->text.len < BLOCK_BYTES &&
		(rc = in_line(in, RECORD_LINE_MAX, &s, &n, e)) > 0) {
		++*line;
		if (*line == 1 && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
			s += 3;
			n -= 3;
		}
		if (is_blank(s, n))
			continue;
		n -= s[n - 1] == '\r';
		struct slot *slot = &p->slots[p->n++];
		slot->at = p->text.len;
		slot->n = n;
		slot->line = *line;
		buf_append(&p->text, s, n);
	}
	if (rc < 0 && e->code == ERR_DATA)
		return err_set(e, ERR_DATA, "'%s': line %llu is longer than %d MiB", in->name,
			(unsigned long long)(*line + 1), RECORD_LINE_MAX >> 20);
	if (rc < 0)
		return -1;
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
		struct example x;
		s->verdict = record_parse(
			p->makers[omp_get_thread_num()], p->text.data + s->at, s->n, s->line, &x, &s->err);
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
	return p->sink->example(p->sink->arg, x, p->counts, e);
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
	for (uint32_t from = 0; from < x->n && rc == 0; from += max) {
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

static int
write_slot(struct pipeline *p, struct slot *s, struct err *e)
{
	if (s->verdict < 0) {
		if (!p->skip || s->err.code != ERR_DATA) {
			*e = s->err;
			return -1;
		}
		p->counts->skipped++;
		if (p->sink->skipped)
			p->sink->skipped(p->sink->arg, &s->err);
		return 0;
	}
	p->counts->dropped += s->verdict == RECORD_DROPPED;
	p->counts->truncated += s->verdict == RECORD_CUT;
	if (s->verdict == RECORD_DROPPED)
		return 0;
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
		struct err why;
		rc = record_detect(p->text.data + s->at, s->n, &p->opt->format, &why);
		if (rc < 0 && (i == 0 || !p->skip)) {
			*e = why;
			err_prefix(e, "line %llu: ", (unsigned long long)s->line);
		}
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
	for (size_t i = 0; i < p->n; i++)
		if (write_slot(p, &p->slots[i], e) < 0)
			return -1;
	return 0;
}

static int
run_file(struct pipeline *p, const char *path, struct err *e)
{
	struct in in;
	uint64_t line = 0;
	int rc;
	if (in_open(&in, path, e) < 0)
		return -1;
	while ((rc = read_block(p, &in, &line, e)) > 0)
		if (run_block(p, e) < 0) {
			if (e->code == ERR_DATA || e->code == ERR_USAGE)
				err_prefix(e, "'%s': ", in.name);
			rc = -1;
			break;
		}
	in_close(&in);
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
	for (size_t i = 0; i < n_files && rc >= 0; i++)
		rc = run_file(p, files[i], e);
	release(p);
	return rc < 0 ? -1 : 0;
}

/* Files of records to examples, on several threads and in order. */
#ifndef HONE_TEXT_RECORDS_H
#define HONE_TEXT_RECORDS_H

#include "text/record.h"

enum { RECORDS_NAMED = 3 };

/* How many records there were of a kind, and the first ones. */
struct records_seen {
	uint64_t n;
	struct {
		const char *file;  /* borrowed from the list of files */
		uint64_t line;
	} first[RECORDS_NAMED];
};

struct records_counts {
	uint64_t records;    /* examples handed on */
	uint64_t tokens, targets;
	uint64_t dropped, truncated, split;  /* records longer than max_length, by what became of them */
	uint64_t skipped;    /* wrong records */
	uint64_t bytes;      /* of the files, read so far: a share of in_size (base/file.h) */
	struct records_seen untrainable;     /* records without a target, which are left out */
	struct records_seen remarks[N_REMARKS];
	const char *file;    /* the one being read */
	const char *keys;    /* under RECORD_AUTO, what told the format: "'text' and 'label'" */
};

/* What happens with an example: it is borrowed, and comes in the order of the files and lines. -1 and *e
 * to stop with an error, 1 to read no further. */
struct records_sink {
	int (*example)(
		void *arg, const struct example *x, const struct records_counts *so_far, struct err *e);
	void (*skipped)(
		void *arg, const struct err *why); /* a wrong record that is passed over; may be NULL */
	void *arg;
};

/* Reads every file ("-": standard input) in turn: JSON lines or a JSON list of records (text/source.h). A byte order
 * mark, CR before LF, and blank lines are fine. With opt->format RECORD_AUTO the first record decides, and opt->format
 * is set to it. `skip` passes over wrong records instead of stopping at the first. `threads` 0: all processors. *counts
 * is filled also on failure. */
int records_tokenize(const char *const *files, size_t n_files, struct record_options *opt, bool skip,
	int threads, const struct records_sink *sink, struct records_counts *counts, struct err *e);

enum { RECORDS_COMPLAINTS = N_REMARKS + 1 };

/* Complaint i < RECORDS_COMPLAINTS about what was read, with the first places, as a line for a person in place of what
 * *text held; false when there is nothing to complain about. */
bool records_complaint(const struct records_counts *c, unsigned i, struct buf *text);

#endif

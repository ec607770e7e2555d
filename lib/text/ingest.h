/* Data as the tools take it: a dataset directory, a file of records, a token stream, or several of these; what is not one
 * dataset is packed into one on the way. */
#ifndef HONE_TEXT_INGEST_H
#define HONE_TEXT_INGEST_H

#include "base/hash.h"
#include "fmt/dataset.h"
#include "text/records.h"

struct ingest_options {
	const char *template;      /* chat template: a name, a file, or NULL for the model's own */
	struct record_options record;  /* tokenizer and template are filled in */
	const char *keep;          /* dataset directory to make and keep, or to use again; NULL: a temporary one */
	double held_out;           /* share of the rows, chosen by example_place, that goes into a dataset of its own; 0: none */
	const char *keep_held_out; /* its directory, when `keep` is one */
	int threads;
	/* Told after every row: how many went in, and what share of all that is (0: not known); may be NULL. */
	void (*progress)(void *ctx, uint64_t rows, double share);
	void *progress_ctx;
};

struct ingested {
	struct dataset *dataset;
	struct dataset *held_out;  /* NULL when none was asked for */
	char *temporary;           /* directory to remove; NULL when there is none */
	bool fits;                 /* it was made with the tokenizer of the model at hand */
	char tokenizer[HASH_HEX];  /* the fingerprint of that tokenizer, once it was opened; else empty */
	struct records_counts counts;  /* of what was tokenised now, for records_complaint; else zero */
};

/* Opens the n paths, which are borrowed for as long as in->counts is, as one dataset, in their order. A directory is a
 * dataset; a file in a form of hone-tokens(5) is a token stream; any other file holds records, which are tokenised with
 * the tokenizer of `model_dir`; "-", once, is standard input, which may be a stream or records. Only one dataset of which nothing
 * is held out is used where it is. What is kept is used again when it was made of the same in the same way (standard
 * input is not read again then, and taken for the same), else it is ERR_CANTCREAT. */
int ingest_open(struct ingested *in, const char *const *paths, size_t n, const char *model_dir,
	const struct ingest_options *opt, struct err *e);
void ingest_close(struct ingested *in);

/* ERR_DATA when there is nothing to learn or to score in it, or when it was made for another vocabulary or, if
 * both are known, with another tokenizer than that of model_dir, unless `other` lets it pass. */
int ingest_check(struct ingested *in, const char *path, int V, const char *model_dir, bool other, struct err *e);

#endif

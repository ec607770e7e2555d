/* Data as the tools take it: a dataset directory, or a file of records that is tokenised and packed on the way. */
#ifndef HONE_TEXT_INGEST_H
#define HONE_TEXT_INGEST_H

#include "fmt/dataset.h"
#include "text/records.h"

struct ingest_options {
	const char *template;      /* chat template: a name, a file, or NULL for the model's own */
	struct record_options record;  /* tokenizer and template are filled in */
	const char *keep;          /* dataset directory to make and keep, or to use again; NULL: a temporary one */
	int threads;
};

struct ingested {
	struct dataset *dataset;
	char *temporary;           /* directory to remove; NULL when there is none */
	bool fits;                 /* it was made with the tokenizer of the model at hand, or compared with it */
	struct records_counts counts;  /* of what was tokenised now, for records_complaint; else zero */
};

/* Opens `path`, which is borrowed for as long as in->counts is. A directory is a dataset; a file is tokenised with the
 * tokenizer of `model_dir`. */
int ingest_open(struct ingested *in, const char *path, const char *model_dir, const struct ingest_options *opt,
	struct err *e);
void ingest_close(struct ingested *in);

/* ERR_DATA when there is nothing to learn or to score in it, or when it was made for another vocabulary or, if
 * both are known, with another tokenizer than that of model_dir. */
int ingest_check(const struct ingested *in, const char *path, int V, const char *model_dir, struct err *e);

#endif

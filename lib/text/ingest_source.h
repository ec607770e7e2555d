/* What ingest.c reads: a dataset, a token stream or records, in a place where it can be read twice. */
#ifndef HONE_TEXT_INGEST_SOURCE_H
#define HONE_TEXT_INGEST_SOURCE_H

#include <jansson.h>

#include "base/err.h"

struct ingest_source {
	const char *path;   /* as given, for messages; borrowed */
	const char *file;   /* where it is read: `copy` if there is one */
	char *copy;         /* of standard input, or of a pipe; removed by ingest_source_release */
	enum { INGEST_DATASET, INGEST_STREAM, INGEST_RECORDS } form;
};

/* Standard input is not read when there is a dataset at `keep` (may be NULL), which was made of it; its file is "-" then. */
int ingest_source_init(struct ingest_source *s, const char *path, const char *keep, struct err *e);
void ingest_source_release(struct ingest_source *s);

/* A hash of its content, as JSON; null for standard input that was not read. A new reference; NULL and *e on failure. */
json_t *ingest_source_fingerprint(const struct ingest_source *s, struct err *e);

/* `pattern` in the directory for temporary files; new. */
char *ingest_temporary_name(const char *pattern);

#endif

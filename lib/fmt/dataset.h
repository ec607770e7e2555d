/* A dataset directory: hone-dataset(5).
 *
 *   dataset.json           counts, tokenizer fingerprint, options, label table, size and hash of every shard
 *   shard-00000.hone.zst   zstd frames (64 KiB of records each, checksummed), then one skippable frame that
 *                          holds the index: where each frame is, and how many tokens each example has
 *
 * Shards are ordinary .zst files: `zstd -t` and `zstd -d` take them. */
#ifndef HONE_FMT_DATASET_H
#define HONE_FMT_DATASET_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/file.h"
#include "base/watch.h"
#include "fmt/example.h"

/* A class of the label table. */
struct label {
	const char *name;     /* UTF-8, NUL-terminated */
	const int32_t *ids;   /* its completion's tokens, without EOS */
	uint32_t n_ids;
	uint64_t count;       /* examples that show it */
};

/* ---- reading: a dataset may be used by one thread at a time ---- */

struct dataset;

/* Opens a dataset directory and validates dataset.json and every index. NULL and *e on failure. */
struct dataset *dataset_open(const char *path, struct err *e);
void dataset_close(struct dataset *d);

size_t dataset_count(const struct dataset *d);                   /* examples */
uint32_t dataset_length(const struct dataset *d, size_t i);      /* tokens of example i, without reading it */
uint32_t dataset_max_length(const struct dataset *d);
uint64_t dataset_tokens(const struct dataset *d);
uint64_t dataset_targets(const struct dataset *d);
const char *dataset_tokenizer(const struct dataset *d);          /* fingerprint, or NULL when unknown */
int64_t dataset_vocab_size(const struct dataset *d);             /* 0 when unknown */
int32_t dataset_eos(const struct dataset *d, int32_t dflt);       /* eos_token_id; dflt when unknown */
const char *dataset_fingerprint(const struct dataset *d);        /* hash over the shards' hashes */
const json_t *dataset_json(const struct dataset *d);             /* dataset.json as a whole; borrowed */
json_t *dataset_info(const struct dataset *d);                   /* the `info` of its writer; a new reference */

/* The label table in order of name, n labels; n = 0 when the data are not a classification (fmt/labels.h). */
const struct label *dataset_labels(const struct dataset *d, size_t *n);

/* Example i, in memory that the next call reuses. Frames are read with pread, decompressed and checked. */
int dataset_read(struct dataset *d, size_t i, struct example *x, struct err *e);

/* Reads every byte and holds it against every hash and count; ERR_NO with what differs. `watch` (may be NULL) is told of
 * examples. */
int dataset_verify(const char *path, const struct watch *watch, struct err *e);

/* ---- writing ---- */

struct dataset_options {
	uint64_t shard_bytes; /* start a new shard beyond so many compressed bytes; 0: 256 MiB */
	int level;            /* zstd; 0: 3 */
	bool force;           /* replace an existing dataset (never a directory of another kind) */
};

struct dataset_writer;

struct dataset_writer *dataset_create(const char *path, const struct dataset_options *opt, struct err *e);
int dataset_add(struct dataset_writer *w, const struct example *x, struct err *e);

/* `info` is merged into dataset.json ("tokenizer", "vocab_size", "eos_token_id", "options", "source", ...; borrowed,
 * may be NULL). Commits the directory whole and frees w, also on failure. */
int dataset_finish(struct dataset_writer *w, const json_t *info, struct err *e);
void dataset_abort(struct dataset_writer *w);

#endif

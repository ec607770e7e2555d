/* The token stream between hone-tokenize and hone-pack: hone-tokens(5).
 *
 *   "HONETOK1"  u32 header length  header (a JSON object)  record...  end record
 *
 * A record is a u32 body length and the body that fmt/record.h lays out; the end record is the length
 * 0xffffffff, u64 records, u64 tokens, u64 targets, and the XXH3-128 of every byte before it. All integers are
 * little-endian. A stream without its end record is an error in every reader: its producer died. Readers also
 * take the JSON-lines form: {"input_ids", "labels" (-100: not a target), "weight", "label", "line", ...}. */
#ifndef HONE_FMT_TOKENS_H
#define HONE_FMT_TOKENS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/file.h"
#include "fmt/example.h"

struct tokens_counts {
	uint64_t records, tokens, targets;
};

/* ---- writing ---- */

struct tokens_writer;

/* Borrows `out` and `header` until tokens_finish; `header` has at least "tokenizer" (fingerprint),
 * "vocab_size", "source" (list of file names), "options" (object). `jsonl` writes JSON lines instead. */
struct tokens_writer *tokens_create(struct out *out, const json_t *header, bool jsonl);
void tokens_write(struct tokens_writer *w, const struct example *x);

/* Writes the end record and frees w; the caller then commits `out`. */
void tokens_finish(struct tokens_writer *w, struct tokens_counts *counts);
void tokens_abort(struct tokens_writer *w);  /* frees w without an end record */

/* ---- reading ---- */

struct tokens_reader;

/* Reads a stream from a file, or stdin for "-". NULL and *e on failure. */
struct tokens_reader *tokens_open(const char *path, struct err *e);
void tokens_close(struct tokens_reader *r);

/* The header; NULL for JSON lines, which have none. Borrowed. */
const json_t *tokens_header(const struct tokens_reader *r);

/* The next example, in memory that the next call reuses: 1, or 0 after a correct end record (or the end of
 * JSON lines), or -1. Everything is validated: lengths, spans, ids (within the header's vocab_size),
 * counts and checksum. */
int tokens_read(struct tokens_reader *r, struct example *x, struct err *e);

#endif

/* The token stream between hone-tokenize and hone-pack: hone-tokens(5).
 *
 *   "HONETOK1"  u32 header length  header (a JSON object)  record...  end record
 *
 * A record is a u32 body length and the body that fmt/record.h lays out; the end record is the length
 * 0xffffffff, u64 records, u64 tokens, u64 targets, and the XXH3-128 of every byte of the stream before it, in
 * the order in which xxh128sum prints it. All integers are little-endian. A stream without its end record is an
 * error in every reader: its producer died. Streams of one tokenizer may be joined with cat.
 *
 * Readers also take the JSON-lines form: {"input_ids", "labels" (-100: not a target), "weight", "label", "line",
 * "completion"}; its first line may carry the header as one more member, "header". */
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
 * "vocab_size", "eos_token_id", "source" (list of file names), "options" (object). `jsonl` writes JSON lines
 * instead. Examples must keep the limits of fmt/example.h: a reader refuses what does not. */
struct tokens_writer *tokens_create(struct out *out, const json_t *header, bool jsonl);
void tokens_write(struct tokens_writer *w, const struct example *x);

/* Writes the end record and frees w; the caller then commits `out`. */
void tokens_finish(struct tokens_writer *w, struct tokens_counts *counts);
void tokens_abort(struct tokens_writer *w);  /* frees w without an end record */

/* ---- reading ---- */

struct tokens_reader;

/* Whether a file begins as a token stream does, in either form; -1 when it cannot be read. */
int tokens_sniff(const char *path, struct err *e);

/* Reads a stream from a file, or stdin for "-". NULL and *e on failure. */
struct tokens_reader *tokens_open(const char *path, struct err *e);
void tokens_close(struct tokens_reader *r);

/* The header; of joined streams, what all that were read so far agree on. NULL for JSON lines as long as none
 * was read that has one. Borrowed. */
const json_t *tokens_header(const struct tokens_reader *r);

/* Records read so far, and bytes of the file: a share of in_size (base/file.h). */
uint64_t tokens_count(const struct tokens_reader *r);
uint64_t tokens_fetched(const struct tokens_reader *r);

/* The next example, in memory that the next call reuses: 1, or 0 after a correct end record (or the end of
 * JSON lines), or -1. Everything is validated: lengths, spans, ids (within the header's vocab_size),
 * counts and checksum. */
int tokens_read(struct tokens_reader *r, struct example *x, struct err *e);

/* ---- headers ---- */

/* Reduces `into` to the members that it and `h` agree on, and joins their "source" lists. It is an error when
 * they differ in "tokenizer", "vocab_size" or "eos_token_id". */
int tokens_merge_header(json_t *into, const json_t *h, struct err *e);

#endif

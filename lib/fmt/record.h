/* The record: how one example is laid out in a token stream and in a dataset's frames. Little-endian,
 * without padding:
 *
 *   u32 length     bytes of the body that follows
 *   u32 n          tokens, 1 .. 2^24
 *   u32 n_spans    1 .. n
 *   u32 completion at most n
 *   u32 label_len  bytes of the label; 0xffffffff: no label
 *   u64 line
 *   n_spans times  u32 tokens (> 0), f32 weight (finite, >= 0); neighbours differ in weight
 *   n times        i32 id
 *   label_len      bytes of UTF-8
 *
 * One example has one encoding, so that equal examples are equal bytes. */
#ifndef HONE_FMT_RECORD_H
#define HONE_FMT_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "fmt/example.h"

enum {
	RECORD_FIXED = 24,                   /* the body up to its spans */
	RECORD_MIN = RECORD_FIXED + 8 + 4,   /* a body with one token */
	RECORD_MAX = RECORD_FIXED + 12 * EXAMPLE_MAX_TOKENS + EXAMPLE_MAX_LABEL,
};

/* Memory that a decoded example's ids and spans point into. Zero-initialise. */
struct record {
	int32_t *ids;
	struct span *spans;
	size_t ids_cap, spans_cap;
};

void record_release(struct record *r);

/* Whether x keeps the limits above; `vocab_size` 0 is unknown, otherwise every id must be below it. */
int record_check(const struct example *x, int64_t vocab_size, struct err *e);

/* Appends the record of x. Empty spans are left out and neighbours of one weight joined. */
void record_encode(const struct example *x, struct buf *b);

/* The example in a body of n bytes, checked. It points into r, and its label into `body`. */
int record_decode(struct record *r, const uint8_t *body, size_t n, int64_t vocab_size, struct example *x,
	struct err *e);

#endif

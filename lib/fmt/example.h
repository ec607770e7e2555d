/* One training example: what a record of a token stream or of a dataset holds. */
#ifndef HONE_FMT_EXAMPLE_H
#define HONE_FMT_EXAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum {
	EXAMPLE_MAX_TOKENS = 1 << 24,  /* readers refuse longer ones */
	EXAMPLE_MAX_LABEL = 1 << 16,   /* bytes; the same */
};

/* A run of tokens with one loss weight. 0: not a target. 1: a target. Other values come from
 * --prompt-loss-weight and per-message weights. */
struct span {
	uint32_t n;
	float weight;
};

struct example {
	const int32_t *ids;       /* [n] token ids, n >= 1 */
	uint32_t n;
	const struct span *spans; /* [n_spans], lengths adding up to n */
	uint32_t n_spans;
	uint32_t completion;      /* index of the completion's first token, at most n; 0 when there is no prompt */
	uint64_t line;            /* line of the source file, from 1; 0 when unknown */
	const char *label;        /* the class it shows (UTF-8 without NUL, not terminated), or NULL */
	uint32_t label_len;
};

/* Tokens that count in the loss: of weight > 0, and not the first (nothing precedes it). */
uint32_t example_targets(const struct example *x);

/* One of them, for example_next_target to go on from; all zero before the first. */
struct target {
	uint32_t at;           /* its place among the tokens */
	float weight;
	uint32_t span, begin;  /* the span that it is in, and that one's first token */
};

/* The next target in order; false when there is none. */
bool example_next_target(const struct example *x, struct target *t);

/* A number in [0, 1] that is a hash of the tokens alone. Rows below a share make up a part of the data: a row keeps its
 * place whatever is added, each label gives its share, and rows that are the same text never stand on both sides. Leaves
 * the ids in *bytes, each as four bytes, little-endian. */
double example_place(const struct example *x, struct buf *bytes);

/* The tokens [from, to) of x as an example of their own, 0 <= from < to <= x->n. Its spans are built in
 * `spans`, which has room for x->n_spans; all else points into x. */
struct example example_slice(const struct example *x, uint32_t from, uint32_t to, struct span *spans);

#endif

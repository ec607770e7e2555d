/* One training example: what a record of a token stream or of a dataset holds. */
#ifndef HONE_FMT_EXAMPLE_H
#define HONE_FMT_EXAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* A run of tokens with one loss weight. 0: not a target. 1: a target. Other values come from
 * --prompt-loss-weight and per-message weights. */
struct span {
	uint32_t n;
	float weight;
};

struct example {
	const int32_t *ids;       /* [n] token ids */
	uint32_t n;
	const struct span *spans; /* [n_spans], lengths adding up to n */
	uint32_t n_spans;
	uint32_t completion;      /* index of the completion's first token; 0 when there is no prompt */
	uint64_t line;            /* line of the source file, from 1; 0 when unknown */
	const char *label;        /* the class it shows (UTF-8, not NUL-terminated), or NULL */
	uint32_t label_len;
};

/* Tokens that count in the loss: of weight > 0, and not the first (nothing precedes it). */
uint32_t example_targets(const struct example *x);

#endif

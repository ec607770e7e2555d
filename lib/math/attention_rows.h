/* What attention over bf16 rows does between its products, for a block of queries and keys. Internal to lib/math.
 *
 * What is written is part of a packed left side (math/packed.h), bf16 or rounded to it, with zeros for what is not visible and
 * up to a multiple of PACKED_K. */
#ifndef HONE_MATH_ATTENTION_ROWS_H
#define HONE_MATH_ATTENTION_ROWS_H

#include "math/rows.h"

/* A block of queries, a row each over keys. Query i lies `place` + i places behind the first key, and sees `window` keys up
 * to its own. */
struct attn_softmax {
	struct rows P;            /* [queries,keys] */
	float *S;                 /* [queries][ld] products of queries and keys; they may be written to */
	int ld, queries, keys;
	int place, window;
	float scale;
	float *max, *sum, *factor;  /* [queries] */
};

/* The keys that query i sees: [*from, *to) of its row. */
static inline void
attn_softmax_visible(const struct attn_softmax *g, int i, int *from, int *to)
{
	int end = g->place + i + 1, begin = end - g->window;
	*to = end < 0 ? 0 : end < g->keys ? end : g->keys;
	*from = begin < 0 ? 0 : begin < *to ? begin : *to;
}

/* P = e^(scale S - max), where max, of all keys of the query so far, is first raised to these. Adds to sum what they come to,
 * unrounded, after multiplying it with factor: by that much has all shrunk that came before. */
void attn_softmax(const struct attn_softmax *g);

/* A block of keys, a row each over queries. Key j lies `key` + j places behind the first query, and is seen by `window` queries
 * from its own on. lse and delta have a number for each query. */
struct attn_gradient {
	struct rows P, dS;        /* [keys,queries] */
	const float *S, *dP;      /* [keys][ld] products of keys and queries, and the gradients at probabilities */
	int ld, keys, queries;
	int key, window;
	float scale;
	const float *lse, *delta;
};

/* Probabilities P = e^(scale S - lse), and the gradients at the products, dS = scale P (dP - delta). */
void attn_gradient(const struct attn_gradient *g);

/* The sum of a[i] b[i], of n bf16 each. */
float attn_dot(const uint16_t *a, const uint16_t *b, int n);

/* The same with AVX-512 and its bf16, where products use that. */
void attn_softmax_avx512(const struct attn_softmax *g);
void attn_gradient_avx512(const struct attn_gradient *g);
float attn_dot_avx512(const uint16_t *a, const uint16_t *b, int n);

#endif

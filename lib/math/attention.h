/* Causal attention within documents, grouped queries, optional sliding window; forward and backward.
 *
 * T rows of H query heads of D elements; rows of K key heads and value heads, H a multiple of K: query head h reads key
 * head h/(H/K). Where heads lie in a row is told by struct heads, so that q, k and v may share the rows of one product.
 * A document is a run of rows that sees itself causally, and, before itself, a prefix: other rows of k and v
 * (a prompt that several answers share, or a key-value cache), or the beginning of a document that it branches off.
 * Nothing of size T x T is held: queries are taken in blocks of ATTN_BLOCK, so the cost and the memory are those of each
 * document, not of the row. */
#ifndef HONE_MATH_ATTENTION_H
#define HONE_MATH_ATTENTION_H

#include <stddef.h>

#include "math/rows.h"

enum {
	ATTN_BLOCK = 64,
	ATTN_HEAD_MAX = 1 << 13, /* elements of a head: a block of queries fits a thread's scratch */
};

struct attn_doc {
	int q, n;                  /* queries: rows q .. q+n-1 of q and out */
	int k;                     /* their own keys: rows k .. k+n-1 of k and v */
	int prefix, n_prefix;      /* rows seen before them, in order; n_prefix 0 when there are none */
	int back;                  /* instead of rows from `prefix` on, the first n_prefix of the document so many before
	                              this one, with the prefix that it has itself; 0: none */
	int below;                 /* for backward: so many rows right behind its own continue all of it, as documents */
};

struct attn_shape {
	int H, K, D;               /* D at most ATTN_HEAD_MAX */
	float scale;               /* of the products q.k, as a rule 1/sqrt(D) */
	int window;                /* keys a query sees, itself included; 0: all */
};

/* Floats of scratch that the calls below need for rows of this type when no document (with its prefix) is longer than
 * max_len. T: rows that backward may have; forward needs nothing for each, and 0 is enough for it. */
size_t attention_scratch(const struct attn_shape *s, enum num type, int T, int max_len, int threads);

/* What goes in and comes out of forward, and backward's gradients of the same. */
struct attn {
	struct heads q, k, v, out;
};

/* Sets a->out; lse[T,H] keeps each row's log-sum-exp for backward (may be NULL). */
void attention_forward(const struct attn *a, float *lse, const struct attn_doc *docs, int n_docs,
	const struct attn_shape *s, int max_len, float *scratch);

/* Sets d->q, d->k and d->v from d->out. The keys are the queries' own rows (k = q), and a prefix is all of what the document
 * that it branches off sees, which counts it in `below`; with a window that is shorter than max_len there are none. */
void attention_backward(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs,
	int n_docs, const struct attn_shape *s, int max_len, float *scratch);

#endif

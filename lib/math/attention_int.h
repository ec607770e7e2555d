/* What attention in fp32 (attention.c) and in bf16 (attention_bf16.c) share. */
#ifndef HONE_MATH_ATTENTION_INT_H
#define HONE_MATH_ATTENTION_INT_H

#include "math/attention.h"

/* Queries i0 .. i0+n-1 of one document and one head, a block of `size` at most; keys j0 .. j1-1 are those any of them may see, numbered
 * from the start of the prefix. */
struct attn_block {
	const struct attn_doc *doc;
	int h, kh;
	int i0, n;
	int j0, j1;
};

struct attn_block attn_block_at(const struct attn_doc *doc, const struct attn_shape *s, int h, int i0, int size);

/* Backward takes the documents level by level: at 0 those that branch off none, at 1 those that branch off these. A query's
 * gradient gathers a part from each document that it sees, so those of one level have queries of their own. */
static inline int
attn_level(const struct attn_doc *doc)
{
	int level = 0;
	for (; doc->back; doc -= doc->back)
		level++;
	return level;
}

/* How many documents there are at a level. */
int attn_at_level(const struct attn_doc *docs, int n_docs, int level);

/* How many of a document's keys from place j on, numbered from the start of its prefix, lie in rows one after the other,
 * and the first of these. */
static inline int
attn_key_run(const struct attn_doc *doc, int j, int *row)
{
	int end = doc->n_prefix + doc->n;
	for (; j < doc->n_prefix; doc -= doc->back) {
		end = doc->n_prefix < end ? doc->n_prefix : end;
		if (!doc->back) {
			*row = doc->prefix + j;
			return end - j;
		}
	}
	*row = doc->k + j - doc->n_prefix;
	return end - j;
}

/* The keys that query i of the block may see, numbered as above: [*from, *to). */
static inline void
attn_visible(const struct attn_block *b, const struct attn_shape *s, int i, int *from, int *to)
{
	int place = b->doc->n_prefix + b->i0 + i;
	*to = place + 1;
	*from = s->window && place - s->window + 1 > 0 ? place - s->window + 1 : 0;
}

size_t attn_bf16_scratch(const struct attn_shape *s, int T, int max_len, int threads);
void attn_bf16_forward(const struct attn *a, float *lse, const struct attn_doc *docs, int n_docs,
	const struct attn_shape *s, int max_len, float *scratch);
void attn_bf16_backward(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs,
	int n_docs, const struct attn_shape *s, int max_len, float *scratch);

#endif

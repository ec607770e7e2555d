/* What forward (attention_bf16.c) and backward (attention_bf16_backward.c) of attention over bf16 rows share. Internal to
 * lib/math. */
#ifndef HONE_MATH_ATTENTION_BF16_H
#define HONE_MATH_ATTENTION_BF16_H

#include <string.h>

#include "base/arena.h"
#include "math/attention_int.h"
#include "math/packed.h"
#include "math/simd.h"

/* What a product writes is whole vectors. */
static inline int
attn_padded(int n)
{
	return round_up(n, PACKED_N);
}

/* Head h from a row on. */
static inline struct rows
attn_head_rows(const struct heads *x, int row, int h)
{
	return rows_at(x->rows, row, h * x->stride);
}

/* Bytes of one thread's scratch for documents of up to `len` keys. */
size_t attn_bf16_forward_scratch(const struct attn_shape *s, int len);
size_t attn_bf16_backward_scratch(const struct attn_shape *s, int len);

/* The calling thread's part of memory that has `each` bytes for every thread. */
struct arena attn_own_memory(float *memory, size_t each);

/* Into how many parts the query heads of a key head are divided, so that there is work for all threads; and the query
 * heads [*h0, *h1) of one part. Each part packs for itself what its heads share. */
int attn_parts(const struct attn_shape *s, int n_docs);
void attn_part_heads(const struct attn_shape *s, int kh, int part, int parts, int *h0, int *h1);

#endif

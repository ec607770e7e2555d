/* What attention over bf16 rows does between its products, a row of scores at a time. Internal to lib/math.
 *
 * A row has n scores, of which those in [from, to) are visible; what is written is part of a packed left side (math/packed.h),
 * bf16 or rounded to it, with zeros for the others and up to a multiple of PACKED_K. */
#ifndef HONE_MATH_ATTENTION_ROWS_H
#define HONE_MATH_ATTENTION_ROWS_H

#include <stdint.h>

/* P = e^(scale S - max), where max, of all rows of the query so far, is first raised to this row's. Adds to sum what they
 * come to, unrounded, after multiplying it with what is returned: by that much has all shrunk that came before. S may be
 * written to. */
float attn_softmax_row(void *P, float *S, float scale, int from, int to, int n, float *max, float *sum);

/* One key's row over queries: probabilities P = e^(scale S - lse), and the gradients at the products of queries and keys,
 * dS = scale P (dP - delta). lse, of the visible scores, and delta have a number for each query. */
void attn_gradient_row(void *P, void *dS, const float *S, const float *dP, float scale, const float *lse,
	const float *delta, int from, int to, int n);

/* The sum of a[i] b[i], of n bf16 each. */
float attn_dot(const uint16_t *a, const uint16_t *b, int n);

/* The same with AVX-512 and its bf16, where products use that. */
float attn_softmax_row_avx512(uint16_t *P, const float *S, float scale, int from, int to, int n, float *max, float *sum);
void attn_gradient_row_avx512(uint16_t *P, uint16_t *dS, const float *S, const float *dP, float scale, const float *lse,
	const float *delta, int from, int to, int n);
float attn_dot_avx512(const uint16_t *a, const uint16_t *b, int n);

#endif

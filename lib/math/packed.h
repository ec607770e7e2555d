/* Products of bf16 operands by one thread, where one operand is used many times: packed once, multiplied with often.
 * It is what attention consists of. Sums are fp32. */
#ifndef HONE_MATH_PACKED_H
#define HONE_MATH_PACKED_H

#include "math/operand.h"

/* An operand X[n,k] in the order in which the kernel reads it. */
struct packed {
	void *data;
	int n, k;
};

/* The left side reads whole rows; of the right side a part can be taken. */
enum side { LEFT, RIGHT };

enum { PACKED_N = 16, PACKED_K = 32 };  /* a part of a right side begins at a multiple of these */

/* Bytes of memory that an operand takes, a multiple of 64. */
size_t packed_size(enum side side, int n, int k);

/* Packs X into memory aligned to 64. */
struct packed packed_make(void *memory, enum side side, struct operand x, int n, int k);

/* C[a.n,n] = beta C + alpha A B^T for rows n0 .. n0+n-1 and elements k0 .. k0+a.k-1 of B. */
void packed_product(struct rows c, const struct packed *a, const struct packed *b, int n0, int n, int k0, float alpha,
	float beta);

#endif

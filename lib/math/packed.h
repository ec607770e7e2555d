/* Products of bf16 operands by one thread, where one operand is used many times: packed once, multiplied with often.
 * It is what attention consists of. Sums are fp32. Where the processor has no instructions for it, what is bf16 or rounded
 * to it is packed as fp32. */
#ifndef HONE_MATH_PACKED_H
#define HONE_MATH_PACKED_H

#include <stdbool.h>

#include "math/rows.h"

/* The left side of a product: X[n,k] as rows, with zeros behind them up to a multiple of PACKED_K. */
struct packed_left {
	struct rows rows;
	int n, k;
};

/* The right side, in the order in which the kernel reads it. A part of it can be taken: one that begins at a multiple of
 * PACKED_N and of PACKED_K. */
struct packed_right {
	void *data;
	int n, k;
};

enum { PACKED_N = 16, PACKED_K = 32 };

/* Bytes of memory that an operand takes, a multiple of 64. */
size_t packed_left_size(int n, int k);
size_t packed_right_size(int n, int k);

/* Packs X[n,k], stored in rows of k elements or, with k_rows, in k rows of n, into memory that is aligned to 64. X of a left
 * side is bf16. */
struct packed_left packed_left(void *memory, struct rows x, bool k_rows, int n, int k);
struct packed_right packed_right(void *memory, struct rows x, bool k_rows, int n, int k);

/* to[n,k], of bf16, out of x[k,n], of either. */
void packed_turn(struct rows to, struct rows x, int n, int k);

/* A left side whose rows are still to be written, up to k, in the type that they have and rounded to bf16; what is behind
 * them is zero. */
struct packed_left packed_left_rows(void *memory, int n, int k);

/* Rows n0 .. n0+n-1 and elements k0 .. k0+k-1 of a left side; k0, and k unless it ends there, multiples of PACKED_K. */
struct packed_left packed_left_part(const struct packed_left *a, int n0, int n, int k0, int k);

/* Packs X[n,k] as rows n0 .. n0+n-1 and elements k0 .. k0+k-1 of a right side that has memory for more: n0 a multiple of
 * PACKED_N, k0 of PACKED_K. */
void packed_right_part(const struct packed_right *b, struct rows x, bool k_rows, int n0, int n, int k0, int k);

/* What a thread calls before its first product and after its last; in between it multiplies in no other way. */
void packed_begin(void);
void packed_end(void);

/* C[a.n,n] = A B^T, or with `add` C += A B^T, for rows n0 .. n0+n-1 and elements k0 .. k0+a.k-1 of B. C is fp32, ldc from
 * row to row, and what is behind it up to whole PACKED_N of rows and columns is overwritten, too. */
void packed_product(float *c, int ldc, const struct packed_left *a, const struct packed_right *b, int n0, int n, int k0,
	bool add);

#endif

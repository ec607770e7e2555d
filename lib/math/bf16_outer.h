/* C = beta C + alpha A^T B where few columns of A meet many of B, both with rows along k: gradients of adapters. To pack B for
 * tiled products would cost more than to multiply with it, so it is read where it lies, two rows at a time that are put side
 * by side, pair by pair, in registers (pair_rows): in an order of columns that is put right in the sums. Internal to
 * lib/math, and to its tests. */
#ifndef HONE_MATH_BF16_OUTER_H
#define HONE_MATH_BF16_OUTER_H

#include "math/tile_kernel.h"

enum {
	OUTER_ROWS = 32,     /* of C, most: columns of A */
	OUTER_COLUMNS = 32,  /* of C at a time: columns of B */
	OUTER_DEPTH = 512,   /* rows at a time, at most: what is packed of A, and what is read of B, stays in the first-level caches */
};

struct outer {
	struct rows c, a, b;  /* fp32; bf16 [K,M], [K,N] */
	int M, N, K;
	float alpha, beta;
};

struct outer_kernel {
	void (*begin)(int M);  /* before what a thread does; NULL: there is nothing to do */
	void (*end)(void);     /* and after it */
	/* Into memory as large as math_scratch, aligned to 64: A's rows k0 .. k0+kn-1; and C's OUTER_COLUMNS from n on, as if
	 * there were only these rows. */
	void (*pack)(void *memory, const struct outer *o, int k0, int kn);
	void (*multiply)(void *memory, const struct outer *o, int n, int k0, int kn);
};

extern const struct outer_kernel bf16_outer_avx512, bf16_outer_amx, bf16_outer_amx_emulated;  /* the last in tests */

/* False: it is no such product, or there is no kernel (NULL); nothing is done then. */
bool bf16_outer(const struct outer_kernel *kernel, struct rows c, const struct operand *a, const struct operand *b, int M, int N,
	int K, float alpha, float beta);

#endif

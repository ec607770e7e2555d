/* Products by tiles of C, on whatever instructions a kernel is written in (math/tile_kernel.h).
 *
 * B is cut into slabs of columns, which the threads pack together on the way, from whatever form B is stored in: at 512
 * rows of A and more, that costs a few per cent, with fewer much more, unless they are kept packed. Its panels
 * fit the second-level cache. A is read where it lies when it is of the kernel's type with k along its rows, and packed otherwise.
 *
 * Where k is cut, and so the order of every sum, follows from the shapes: the result does not depend on the number of
 * threads to the bit. */
#ifndef HONE_MATH_TILED_H
#define HONE_MATH_TILED_H

#include "math/tile_kernel.h"

/* C[M,N] = beta C + alpha A[M,K] B[N,K]^T, K > 0. With beta 0, C need not be initialised. Only B may have parts. */
void tiled_product(const struct tile_kernel *kernel, struct rows c, struct operand a, struct operand b, int M, int N, int K,
	float alpha, float beta);

/* Bytes of b.kept, and its frozen parts put there. */
size_t tiled_kept_size(const struct tile_kernel *kernel, int N, int K);
void tiled_keep(const struct tile_kernel *kernel, struct operand b, int N, int K);

#endif

/* Products in fp32 of whatever operands lie in: on AMX, AVX-512 or AVX2 by the engine of math/tiled.h, elsewhere by BLAS.
 *
 * AMX multiplies three numbers in bf16 instead of one in fp32 (f32_amx.c), which leaves out up to 2^-24 of each product, and has
 * shorter chains of sums than the others. With it an infinite operand, or one beyond 3.39e38, makes the sums that it takes
 * part in NaN, and a NaN of course does; what is below 2^-126 counts as zero, in operands, their parts and sums, so that of
 * an operand below 2^-103 up to 2^-126 is lost.
 *
 * Sums run over some hundreds of k and are then added up in C, so that the error of a long sum does not grow with all of
 * its length (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). */
#ifndef HONE_MATH_F32_H
#define HONE_MATH_F32_H

#include "math/operand.h"

/* C[M,N] = beta C + alpha A[M,K] B[N,K]^T, of which A and C are rows of fp32. With beta 0, C need not be initialised.
 * Only B may have parts, and only where f32_takes_parts. */
void f32_product(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta);

/* Whether there is a kernel, and not only BLAS. */
bool f32_takes_parts(void);

/* The instructions in use: "amx", "avx512", "avx2" or "blas". */
const char *f32_isa(void);

#endif

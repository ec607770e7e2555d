/* Products in bf16 with fp32 accumulation, on the best instructions that the processor has: AMX tiles, AVX-512's
 * vdpbf16ps, or else fp32 products of what was rounded to bf16.
 *
 * With instructions (math/tiled.h) every element of C is one chain of sums over k, the same wherever its tile lies: the
 * result does not depend on the number of threads to the bit. */
#ifndef HONE_MATH_BF16_H
#define HONE_MATH_BF16_H

#include "math/operand.h"

/* C[M,N] = beta C + alpha A[M,K] B[N,K]^T. With beta 0, C need not be initialised; its rows may be fp32 or bf16. Only B
 * may be put together of parts.
 * Operands that are not bf16 are rounded to nearest even. */
void bf16_product(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta);

/* As product_kept_size and product_keep have it. */
size_t bf16_kept_size(int N, int K);
void bf16_keep(struct operand b, int N, int K);

/* The instructions in use: "amx", "avx512bf16" or "fp32". The environment variable HONE_ISA, by the same names, keeps
 * to a lower level than the processor has. */
const char *bf16_isa(void);

#endif

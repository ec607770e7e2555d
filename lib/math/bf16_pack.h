/* Operands of a bf16 product brought into the order in which the kernels read them. Internal to lib/math. */
#ifndef HONE_MATH_BF16_PACK_H
#define HONE_MATH_BF16_PACK_H

#include "math/operand.h"

/* Floats of scratch that both functions need for operands of nn columns. */
size_t bf16_pack_scratch(int nn);

/* Columns n0 .. n0+nn-1 of B for k0 .. k0+kn-1: panels of 16 columns, `panel` elements apart, each [k/2][16][2];
 * zeros where there is nothing, up to k_pad (even) and to whole panels. Of a kernel (math/tile_kernel.h). */
void bf16_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad,
	float *scratch);

/* The same of A, which has no parts, as rows of k: [nn][lda]; zeros up to k_pad and up to n_pad rows. False, as there are no
 * tiles. */
bool bf16_pack_a(void *packed, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn,
	int k_pad, float *scratch);

/* The same, slowly. */
void bf16_pack_b_plain(uint16_t *to, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad);
void bf16_pack_a_plain(uint16_t *to, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn,
	int k_pad);

#endif

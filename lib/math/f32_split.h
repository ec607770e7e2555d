/* fp32 as the sum of three numbers in bf16: x = high + middle + low, each the nearest to what those before leave. Of a number
 * of 24 digits nothing is left then, as the first two, of 8 digits, are off by at most half a unit of their last. What happens
 * to numbers that are not finite, or very large or small: math/f32.h.
 *
 * Packing of both sides of a product for a kernel (math/tile_kernel.h) that multiplies these. Internal to lib/math. */
#ifndef HONE_MATH_F32_SPLIT_H
#define HONE_MATH_F32_SPLIT_H

#include "math/operand.h"

enum split { HIGH, MIDDLE, LOW, SPLITS };

/* B: panels [k/2][SPLITS][PANEL][2], that is rows of pairs along k, of the three by turns. */
void f32_split_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad,
	float *scratch);

/* A, always as tiles: [rows/16][k/32][SPLITS][16][32], of which 16 rows begin where 16 * lda elements have passed. */
bool f32_split_pack_a(void *packed, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad,
	float *scratch);

#endif

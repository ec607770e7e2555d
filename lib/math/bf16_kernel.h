/* The kernels of math/bf16.h. Internal to lib/math, and to its tests.
 *
 * A is packed as rows of k, B as panels [k/2][PANEL][2]: pairs along k. */
#ifndef HONE_MATH_BF16_KERNEL_H
#define HONE_MATH_BF16_KERNEL_H

#include "math/bf16.h"
#include "math/tile_kernel.h"

enum { BF16_DEPTH = 2048 };

extern const struct tile_kernel bf16_avx512, bf16_amx, bf16_amx_emulated;  /* the last in tests */

/* The kernel in use, NULL where there is none and products run in fp32. Tests set others. */
const struct tile_kernel *bf16_kernel(void);
void bf16_set_kernel(const struct tile_kernel *k);

/* The same products with what the C compiler and BLAS have. */
void bf16_product_fp32(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha,
	float beta);

#endif

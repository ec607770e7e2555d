/* The kernels of math/bf16.h. Internal to lib/math, and to its tests.
 *
 * Those on instructions for bf16 have A as rows of k, B as panels [k/2][PANEL][2]: pairs along k. The wide ones are tiles
 * of fp32 (math/f32_kernel.h), for which bf16 is made wider while it is packed. */
#ifndef HONE_MATH_BF16_KERNEL_H
#define HONE_MATH_BF16_KERNEL_H

#include "math/bf16.h"
#include "math/tile_kernel.h"

enum { BF16_DEPTH = 2048 };

extern const struct tile_kernel bf16_avx512, bf16_amx, bf16_wide_avx2, bf16_wide_avx512;
extern const struct tile_kernel bf16_amx_emulated;  /* in tests */

/* The kernel in use, NULL where there is none and BLAS multiplies. Tests set others. */
const struct tile_kernel *bf16_kernel(void);
void bf16_set_kernel(const struct tile_kernel *k);

/* Whether that is one on AVX-512's instructions for bf16. */
bool bf16_instructions(void);

/* The same products with what the C compiler and BLAS have. */
void bf16_product_blas(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha,
	float beta);

#endif

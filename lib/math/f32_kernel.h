/* The kernels of math/f32.h. Internal to lib/math, and to its tests.
 *
 * A is packed as [rows / kernel's rows][k][kernel's rows], B as panels [k][PANEL]. */
#ifndef HONE_MATH_F32_KERNEL_H
#define HONE_MATH_F32_KERNEL_H

#include "math/f32.h"
#include "math/tile_kernel.h"

extern const struct tile_kernel f32_avx512, f32_avx2;

/* The kernel in use, NULL where there is none and BLAS multiplies. Tests set others. */
const struct tile_kernel *f32_kernel(void);
void f32_set_kernel(const struct tile_kernel *k);

#endif

/* The kernels for products in bf16 that can run here, BLAS (NULL) first: those of the processor, up to $HONE_ISA, and tiles
 * emulated in C. Of a test that asks for them, with find_kernels. */
#ifndef HONE_TESTS_BF16_KERNELS_H
#define HONE_TESTS_BF16_KERNELS_H

#include "base/isa.h"

#ifdef __x86_64__
#include "tiles_emulated.h"

#include "math/bf16_amx.c"
#include "math/bf16_outer_amx.c"
#else
#include "math/bf16_kernel.h"
#endif

static const struct tile_kernel *kernels[6];
static int n_kernels;

static void
find_kernels(void)
{
	kernels[n_kernels++] = NULL;
#ifdef __x86_64__
	if (isa_best() >= ISA_AVX2)
		kernels[n_kernels++] = &bf16_wide_avx2;
	if (isa_best() >= ISA_AVX512)
		kernels[n_kernels++] = &bf16_wide_avx512;
	if (isa_best() >= ISA_AVX512_BF16) {
		kernels[n_kernels++] = &bf16_avx512;
		kernels[n_kernels++] = &bf16_amx_emulated;
	}
	if (isa_best() == ISA_AMX)
		kernels[n_kernels++] = &bf16_amx;
#endif
}

#endif

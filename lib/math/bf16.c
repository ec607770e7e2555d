/* Which kernel is used for products in bf16. */
#include "math/bf16.h"

#include "base/isa.h"
#include "math/bf16_kernel.h"
#include "math/bf16_outer.h"
#include "math/tiled.h"

static const struct tile_kernel *kernel;
static bool chosen;

const struct tile_kernel *
bf16_kernel(void)
{
#ifdef __x86_64__
	static const struct tile_kernel *const kernels[] = {[ISA_AVX512_BF16] = &bf16_avx512, [ISA_AMX] = &bf16_amx};
	if (!chosen)
		bf16_set_kernel(kernels[isa_best()]);
#endif
	return kernel;
}

void
bf16_set_kernel(const struct tile_kernel *k)
{
	kernel = k;
	chosen = true;
}

const char *
bf16_isa(void)
{
	return bf16_kernel() ? bf16_kernel()->name : isa_name(ISA_FP32);
}

size_t
bf16_kept_size(int N, int K)
{
	const struct tile_kernel *k = bf16_kernel();
	return k && k->type == NUM_BF16 ? tiled_kept_size(k, N, K) : 0;
}

void
bf16_keep(struct operand b, int N, int K)
{
	tiled_keep(bf16_kernel(), b, N, K);
}

void
bf16_product(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta)
{
	if (!bf16_kernel() || K == 0)
		bf16_product_fp32(c, a, b, M, N, K, alpha, beta);
	else if (!bf16_outer(bf16_kernel()->outer, c, &a, &b, M, N, K, alpha, beta))
		tiled_product(bf16_kernel(), c, a, b, M, N, K, alpha, beta);
}

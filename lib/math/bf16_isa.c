/* Which kernel is used for products in bf16. */
#include "base/isa.h"
#include "math/bf16_kernel.h"

static const struct bf16_kernel *kernel;
static bool chosen;

const struct bf16_kernel *
bf16_kernel(void)
{
#ifdef __x86_64__
	static const struct bf16_kernel *const kernels[] = {[ISA_AVX512_BF16] = &bf16_avx512, [ISA_AMX] = &bf16_amx};
	if (!chosen)
		bf16_set_kernel(kernels[isa_best()]);
#endif
	return kernel;
}

void
bf16_set_kernel(const struct bf16_kernel *k)
{
	kernel = k;
	chosen = true;
}

const char *
bf16_isa(void)
{
	return bf16_kernel() ? bf16_kernel()->name : isa_name(ISA_FP32);
}

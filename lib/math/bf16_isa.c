/* Which kernel the processor, its system and $HONE_ISA allow. */
#define _GNU_SOURCE  /* syscall */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "math/bf16_kernel.h"

#ifdef __x86_64__

#include <cpuid.h>

/* By CPUID's leaf 7: not every compiler's __builtin_cpu_supports knows tiles. */
static bool
has_tiles(void)
{
	enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & AMX_BF16 && d & AMX_TILE;
}

/* Linux lets a process use tiles when it has asked for their state to be saved: Documentation/arch/x86/xstate.rst. */
static bool
tiles_granted(void)
{
	enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
	return has_tiles() && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static bool
has_avx512bf16(void)
{
	return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512f") &&
		__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static const struct bf16_kernel *
choose(void)
{
	const char *most = getenv("HONE_ISA");
	if ((most && strcmp(most, "fp32") == 0) || !has_avx512bf16())
		return NULL;
	return (most && strcmp(most, "avx512bf16") == 0) || !tiles_granted() ? &bf16_avx512 : &bf16_amx;
}

#else

static const struct bf16_kernel *
choose(void)
{
	return NULL;
}

#endif

static const struct bf16_kernel *kernel;
static bool chosen;

const struct bf16_kernel *
bf16_kernel(void)
{
	if (!chosen)
		bf16_set_kernel(choose());
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
	return bf16_kernel() ? bf16_kernel()->name : "fp32";
}

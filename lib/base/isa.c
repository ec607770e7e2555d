#define _GNU_SOURCE  /* syscall */
#include "base/isa.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *
isa_name(enum isa isa)
{
	static const char *const names[] = {[ISA_BLAS] = "blas", [ISA_AVX2] = "avx2", [ISA_AVX512] = "avx512",
		[ISA_AVX512_BF16] = "avx512bf16", [ISA_AMX] = "amx"};
	return names[isa];
}

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

/* Whether it has what a level takes besides the levels below. */
static bool
has(enum isa isa)
{
	switch (isa) {
	case ISA_BLAS:
		return true;
	case ISA_AVX2:
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	case ISA_AVX512:
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
			__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	case ISA_AVX512_BF16:
		return __builtin_cpu_supports("avx512bf16");
	case ISA_AMX:
		return tiles_granted();
	}
	return false;
}

/* The most that is allowed. */
static enum isa
limit(void)
{
	const char *most = getenv("HONE_ISA");
	for (enum isa i = ISA_BLAS; most && i < ISA_AMX; i++)
		if (strcmp(most, isa_name(i)) == 0)
			return i;
	return ISA_AMX;
}

static enum isa
find(void)
{
	enum isa best = ISA_BLAS, most = limit();
	while (best < most && has(best + 1))
		best++;
	return best;
}

#else

static enum isa
find(void)
{
	return ISA_BLAS;
}

#endif

enum isa
isa_best(void)
{
	static int found = -1;
	if (found < 0)
		found = (int)find();
	return (enum isa)found;
}

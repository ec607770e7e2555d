/* The instructions that hone has kernels for products for, lowest first. lib/math chooses its kernels by it, and --version
 * tells it. */
#ifndef HONE_BASE_ISA_H
#define HONE_BASE_ISA_H

enum isa {
	ISA_BLAS,        /* none of these: whatever BLAS uses */
	ISA_AVX2,        /* with FMA */
	ISA_AVX512,      /* F, BW, DQ and VL */
	ISA_AVX512_BF16, /* this and the next multiply in bf16 */
	ISA_AMX,
};

/* What the processor, its system and $HONE_ISA allow, found out when it is first asked. With tiles, the process has then
 * been granted them. */
enum isa isa_best(void);

/* "blas", "avx2", "avx512", "avx512bf16", "amx": as in $HONE_ISA. */
const char *isa_name(enum isa isa);

#endif

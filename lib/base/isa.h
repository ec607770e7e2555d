/* The instructions for products in bf16 that hone has kernels for, lowest first. lib/math chooses its kernel by it, and
 * --version tells it. */
#ifndef HONE_BASE_ISA_H
#define HONE_BASE_ISA_H

enum isa {
	ISA_FP32,        /* none: products of what was rounded to bf16, in fp32 */
	ISA_AVX512_BF16,
	ISA_AMX,
};

/* What the processor, its system and $HONE_ISA allow, found out when it is first asked. With tiles, the process has then
 * been granted them. */
enum isa isa_best(void);

/* "fp32", "avx512bf16", "amx": as in $HONE_ISA. */
const char *isa_name(enum isa isa);

#endif

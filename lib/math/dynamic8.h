/* Eight-bit numbers for the moments of an optimiser: the dynamic map of Dettmers et al. 2021 ("8-bit Optimizers via
 * Block-wise Quantization"), as bitsandbytes has it.
 *
 * A block of DYNAMIC8_BLOCK numbers is kept as its largest magnitude and a code for each number divided by that. The
 * codes stand for 0, 1, and for seven decades below 1, of which each has twice as many steps as the one below: evenly
 * spaced, from 1 (signed, and as many negative ones) or 2 (unsigned) in [1e-7, 1e-6] to 64 or 128 in [0.1, 1]. */
#ifndef HONE_MATH_DYNAMIC8_H
#define HONE_MATH_DYNAMIC8_H

#include <stdint.h>

enum {
	DYNAMIC8_BLOCK = 256,
	/* Cells of the numbers from 2^-23 to 1 that share their first 16 bits; none holds two borders between codes. */
	DYNAMIC8_LOWEST = 0x3400,
	DYNAMIC8_CELLS = 0x3f80 - DYNAMIC8_LOWEST + 1,
};

struct dynamic8 {
	float value[256];             /* of each code; ascending, 0 is that of `zero` */
	int zero;                     /* 127 signed, 0 unsigned */
	float border[256];            /* [k]: above it, zero + k + 1 is nearer than zero + k */
	int32_t cell[DYNAMIC8_CELLS]; /* the k of the least number of each cell */
};

/* The two maps; made on first use, on one thread. */
const struct dynamic8 *dynamic8_signed(void);
const struct dynamic8 *dynamic8_unsigned(void);

/* x[n] = value[code] * max. n <= DYNAMIC8_BLOCK. */
void dynamic8_read(float *x, const uint8_t *code, float max, int n, const struct dynamic8 *d);

/* The nearest codes of x[n], whose largest magnitude is returned. Unsigned: x >= 0. */
float dynamic8_write(uint8_t *code, const float *x, int n, const struct dynamic8 *d);

#endif

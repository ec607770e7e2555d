/* What product_few.c has of a processor: products of a few rows with one stored row. Only it and the kernels include
 * this. */
#ifndef HONE_MATH_FEW_KERNEL_H
#define HONE_MATH_FEW_KERNEL_H

#include "math/matrix.h"
#include "math/product_few.h"

/* sum[t] = stored row r of w times row t of x, for T rows that are `ld` apart. */
typedef void few_dots(float *sum, const struct matrix *w, int r, const float *x, int ld, int T);

/* The AVX-512 kernel for the matrix: NULL where processor or form have none. That for NF4 takes matrices whose rows are
 * whole blocks, and wants x as few_turn puts it. */
few_dots *few_avx512(const struct matrix *w);
extern bool few_plain;  /* set by tests: there is none */

enum { FEW_TURN = 2 * NF4_BLOCK };  /* turned rows have a whole number of these, filled up with zeros */
void few_turn(float *to, const float *x, int n);

#endif

/* What matvec.c has of a processor: dot products of one stored row. Only it and the kernels include this. */
#ifndef HONE_MATH_MATVEC_KERNEL_H
#define HONE_MATH_MATVEC_KERNEL_H

#include "math/matvec.h"

/* sum[t] = row o of w, stored [out,in], times row t of x[T,in], whose rows are `ld` apart. */
typedef void matvec_dots(float *sum, const struct matrix *w, int o, const float *x, int ld, int T);

/* The AVX-512 kernel for the matrix: NULL where processor or form have none. That for NF4 wants x turned: where
 * matvec_turn puts it, for rows of a whole number of blocks. */
matvec_dots *matvec_avx512(const struct matrix *w);

enum { MATVEC_TURN = 2 * NF4_BLOCK };  /* turned rows have a whole number of these, filled up with zeros */
void matvec_turn(float *to, const float *x, int n);

#endif

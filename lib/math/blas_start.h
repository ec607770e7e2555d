/* OpenBLAS takes 128 MB of address space for every processor when it is loaded, before main, and where it does not get
 * them (ulimit -v, a batch system's limit on virtual memory) it tries for ever. A process that has not reached main after
 * five seconds of processor time says so and ends with 71. */
#ifndef HONE_MATH_BLAS_START_H
#define HONE_MATH_BLAS_START_H

/* The libraries have begun. Called by itself before main; math_start names it, so that it is linked. */
void blas_started(void);

#endif

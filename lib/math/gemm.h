/* Matrix products in fp32, row-major, by BLAS, of which this is the only user: what is small, as in attention, and all where
 * math/f32.h has no kernel.
 *
 * The two letters say how A and B lie in memory: n as written, t transposed. `ld` is the distance between
 * rows in elements. C = alpha * op(A) op(B) + beta * C; with beta 0, C need not be initialised. */
#ifndef HONE_MATH_GEMM_H
#define HONE_MATH_GEMM_H

#include "math/rows.h"

/* C[M,N] from A[M,K] and B[K,N]. */
void gemm_nn(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta);

/* C[M,N] from A[M,K] and B[N,K]: a linear layer's forward, weights as checkpoints store them. */
void gemm_nt(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta);

/* C[M,N] from A[K,M] and B[K,N]: a weight's gradient. */
void gemm_tn(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta);

/* Sets the threads that every kernel uses (one until then), as threads_wanted in base/cpus.h. Returns how many. */
int math_set_threads(int n);
int math_threads(void);

/* Memory of the calling thread's own for MATH_SCRATCH floats, made when it first asks and then kept. Whoever takes it
 * must be done with it before anything else that takes it is called. */
enum { MATH_SCRATCH = 1 << 19 };
float *math_scratch(void);

/* What a tool's main calls first: sees to two things that are read from the environment only when a program is loaded,
 * by executing it over again with the same arguments. Threads that wait should look for work for some ten
 * microseconds, about what it takes to be woken, and then sleep ($GOMP_SPINCOUNT, unless $OMP_WAIT_POLICY is set): GNU
 * OpenMP's spin on, which on a processor shared with other programs made training four times slower. And OpenBLAS should
 * use what the processor has ($OPENBLAS_CORETYPE): one that it does not know it treats as the oldest there is. What
 * the user has set stands. Nothing may have been read or opened before. */
void math_start(char **argv);

/* What "float32", "bfloat16" or "auto" asks to compute in; auto is bf16 where the processor has instructions for it. */
enum num math_compute(const char *dtype);

/* "OpenBLAS 0.3.21 SkylakeX; fp32 on avx512, bf16 on amx": what the products run on. Static memory. */
const char *math_backend(void);

#endif

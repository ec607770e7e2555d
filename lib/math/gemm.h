/* Matrix products in fp32, row-major. The only user of BLAS.
 *
 * The two letters say how A and B lie in memory: n as written, t transposed. `ld` is the distance between
 * rows in elements. C = alpha * op(A) op(B) + beta * C; with beta 0, C need not be initialised. */
#ifndef HONE_MATH_GEMM_H
#define HONE_MATH_GEMM_H

/* C[M,N] from A[M,K] and B[K,N]. */
void gemm_nn(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta);

/* C[M,N] from A[M,K] and B[N,K]: a linear layer's forward, weights as checkpoints store them. */
void gemm_nt(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta);

/* C[M,N] from A[K,M] and B[K,N]: a weight's gradient. */
void gemm_tn(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta);

/* Sets the threads of OpenMP and of BLAS; 0 means $OMP_NUM_THREADS, or else the processors
 * this process may run on. Returns how many. */
int math_set_threads(int n);
int math_threads(void);

/* "OpenBLAS 0.3.21 SkylakeX": what the products run on. Static memory. */
const char *math_backend(void);

#endif

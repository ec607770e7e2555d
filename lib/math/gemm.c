#define _GNU_SOURCE  /* sched_getaffinity */
#include "math/gemm.h"

#include <cblas.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int threads = 1;

/* A product of nothing leaves beta * C; BLAS is not asked, as some versions refuse a leading dimension of 0. */
static void
scale_only(float *C, int ldc, int M, int N, float beta)
{
	for (int i = 0; i < M; i++)
		for (int j = 0; j < N; j++)
			C[(size_t)i * (size_t)ldc + (size_t)j] =
				beta == 0 ? 0 : beta * C[(size_t)i * (size_t)ldc + (size_t)j];
}

static void
gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, float *C, int ldc, const float *A, int lda, const float *B, int ldb,
	int M, int N, int K, float alpha, float beta)
{
	if (M == 0 || N == 0)
		return;
	if (K == 0)
		scale_only(C, ldc, M, N, beta);
	else
		cblas_sgemm(CblasRowMajor, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

void
gemm_nn(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta)
{
	gemm(CblasNoTrans, CblasNoTrans, C, ldc, A, lda, B, ldb, M, N, K, alpha, beta);
}

void
gemm_nt(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta)
{
	gemm(CblasNoTrans, CblasTrans, C, ldc, A, lda, B, ldb, M, N, K, alpha, beta);
}

void
gemm_tn(float *C, int ldc, const float *A, int lda, const float *B, int ldb, int M, int N, int K, float alpha,
	float beta)
{
	gemm(CblasTrans, CblasNoTrans, C, ldc, A, lda, B, ldb, M, N, K, alpha, beta);
}

int
math_set_threads(int n)
{
	cpu_set_t set;
	if (n <= 0 && getenv("OMP_NUM_THREADS"))
		n = omp_get_max_threads();
	else if (n <= 0)
		n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : omp_get_num_procs();
	threads = n;
	omp_set_num_threads(n);
	openblas_set_num_threads(n);
	return n;
}

int
math_threads(void)
{
	return threads;
}

const char *
math_backend(void)
{
	static char name[128];
	const char *config = openblas_get_config();
	snprintf(name, sizeof name, "%.*s %s", (int)strcspn(strstr(config, "OpenBLAS ") ? config + 9 : config, " ") + 9,
		config, openblas_get_corename());
	return name;
}

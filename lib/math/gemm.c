#define _DEFAULT_SOURCE  /* MAP_ANONYMOUS, readlink */
#include "math/gemm.h"

#include <cblas.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/isa.h"
#include "base/mem.h"
#include "math/bf16_kernel.h"
#include "math/blas_start.h"
#include "math/f32.h"
#include "math/scratch.h"

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

/* A product as BLAS is asked for it. */
struct product {
	CBLAS_TRANSPOSE ta, tb;
	float *C;
	const float *A, *B;
	int ldc, lda, ldb, K;
	float alpha, beta;
};

/* Rows i .. i+M-1 and columns j .. j+N-1 of it. */
static void
part(const struct product *p, int i, int j, int M, int N)
{
	const float *A = p->A + (p->ta == CblasNoTrans ? (size_t)i * (size_t)p->lda : (size_t)i);
	const float *B = p->B + (p->tb == CblasNoTrans ? (size_t)j : (size_t)j * (size_t)p->ldb);
	float *C = p->C + (size_t)i * (size_t)p->ldc + (size_t)j;
	cblas_sgemm(CblasRowMajor, p->ta, p->tb, M, N, p->K, p->alpha, A, p->lda, B, p->ldb, p->beta, C, p->ldc);
}

/* How many of the `n` rows (or columns) make a tile when each costs `cost` multiply-adds: enough to be worth a call,
 * few enough to share out. It follows from the shape alone, never from the number of threads, so that a result is
 * the same to the bit whatever that number is. */
static int
tile_length(int n, double cost)
{
	enum { TILE_COST = 1 << 22, MOST_TILES = 64, UNIT = 32 };
	double length = TILE_COST / cost;
	if (length < (double)n / MOST_TILES)
		length = (double)n / MOST_TILES;
	if (length >= n)
		return n;
	return ((int)length + UNIT) / UNIT * UNIT;
}

/* The whole product by the calling thread: OpenBLAS takes as many threads as OpenMP would, unless told so. */
static void
one_call(const struct product *p, int M, int N)
{
	bool outside = !omp_in_parallel();
	if (outside)
		omp_set_num_threads(1);
	part(p, 0, 0, M, N);
	if (outside)
		omp_set_num_threads(threads);
}

/* Tiles are computed by one thread each. OpenBLAS's own threads wait for each other by spinning several times in a
 * product, which is ruinous when a processor is shared with other programs. */
static void
gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, float *C, int ldc, const float *A, int lda, const float *B, int ldb,
	int M, int N, int K, float alpha, float beta)
{
	const struct product p = {ta, tb, C, A, B, ldc, lda, ldb, K, alpha, beta};
	if (M == 0 || N == 0)
		return;
	if (K == 0) {
		scale_only(C, ldc, M, N, beta);
		return;
	}
	bool by_rows = M >= N;
	int n = by_rows ? M : N, step = tile_length(n, (double)(by_rows ? N : M) * K);
	if (step >= n) {
		one_call(&p, M, N);
		return;
	}
#pragma omp parallel for schedule(dynamic) if (!omp_in_parallel())
	for (int at = 0; at < n; at += step) {
		int length = n - at < step ? n - at : step;
		if (by_rows)
			part(&p, at, 0, length, N);
		else
			part(&p, 0, at, M, length);
	}
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

/* OpenBLAS asks for a buffer for each thread, and when it cannot have one, again and again for ever; better to be told
 * at once. */
static void
probe_memory(int n)
{
	const size_t bytes = (size_t)n << 27;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		mem_die(bytes);
	munmap(p, bytes);
}

int
math_set_threads(int n)
{
	n = threads_wanted(n);
	threads = n;
	probe_memory(n);
	omp_set_num_threads(n);
	return n;
}

int
math_threads(void)
{
	return threads;
}

float *
math_scratch(void)
{
	return thread_scratch(SCRATCH_FLOATS, MATH_SCRATCH * sizeof(float));
}

/* The kernels that OpenBLAS should take, where it does not know the processor (a newer one than itself) and falls
 * back to those of 2004, at a third of the speed or less; NULL where it chose well. */
static const char *
better_kernels(void)
{
#ifdef __x86_64__
	if (strcmp(openblas_get_corename(), "Prescott") != 0)
		return NULL;
	return isa_best() >= ISA_AVX512 ? "SkylakeX" : isa_best() == ISA_AVX2 ? "Haswell" : NULL;
#else
	return NULL;
#endif
}

/* Sets a variable of the environment that has no value yet; whether it did. Without memory for it this is the end: to go on
 * with other kernels would be to compute other numbers. */
static bool
set_default(const char *name, const char *value)
{
	if (!value || getenv(name))
		return false;
	if (setenv(name, value, 1) != 0)
		mem_die(strlen(name) + strlen(value) + 2);
	return true;
}

void
math_start(char **argv)
{
	char path[4096];
	blas_started();
	bool again = !getenv("OMP_WAIT_POLICY") && set_default("GOMP_SPINCOUNT", "1000");
	again |= set_default("OPENBLAS_CORETYPE", better_kernels());
	/* By its own name, not as /proc/self/exe, which ps and pkill would call "exe". */
	ssize_t length = again ? readlink("/proc/self/exe", path, sizeof path - 1) : 0;
	if (length <= 0)
		return;
	path[length] = '\0';
	execv(path, argv);  /* if it fails, it goes on as it is: slower at worst */
}

enum num
math_compute(const char *dtype)
{
	if (strcmp(dtype, "auto") == 0)
		return bf16_instructions() ? NUM_BF16 : NUM_F32;
	return strcmp(dtype, "bfloat16") == 0 ? NUM_BF16 : NUM_F32;
}

const char *
math_backend(void)
{
	static char name[128];
	const char *config = openblas_get_config();
	snprintf(name, sizeof name, "%.*s %s; fp32 on %s, bf16 on %s",
		(int)strcspn(strstr(config, "OpenBLAS ") ? config + 9 : config, " ") + 9, config, openblas_get_corename(), f32_isa(),
		bf16_isa());
	return name;
}

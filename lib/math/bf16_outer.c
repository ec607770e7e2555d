#include "math/bf16_outer.h"

#include <omp.h>

#include "math/gemm.h"
#include "math/scratch.h"
#include "math/simd.h"

/* Rows are taken OUTER_DEPTH at a time, each time for all columns, and what each comes to is added to C in the order of the
 * rows. So it does not matter which thread multiplies what: each has a stretch of all chunks of columns of all depths,
 * one after the other, and turns few of the rows of A that another turns, too. */
struct job {
	const struct outer_kernel *kernel;
	struct outer o;
	float *sums;  /* [depths][M,N]; NULL where there is one, whose go to C at once */
	int depths, chunks;
};

static int
parts(int n, int of)
{
	return (n + of - 1) / of;
}

static float *
sums_of(const struct job *j, int depth)
{
	return j->sums + (size_t)depth * (size_t)j->o.M * (size_t)j->o.N;
}

static void
multiply_part(const struct job *j, int thread, int threads)
{
	void *memory = thread_scratch(SCRATCH_FLOATS, MATH_SCRATCH * sizeof(float));
	long long units = (long long)j->depths * j->chunks;
	int u = (int)(units * thread / threads), end = (int)(units * (thread + 1) / threads);
	struct outer o = j->o;
	if (j->kernel->begin)
		j->kernel->begin(o.M);
	for (int packed = -1; u < end; u++) {
		int depth = u / j->chunks, k = depth * OUTER_DEPTH, kn = o.K - k < OUTER_DEPTH ? o.K - k : OUTER_DEPTH;
		if (depth != packed)
			j->kernel->pack(memory, &j->o, k, kn);
		packed = depth;
		if (j->sums) {
			o.c = rows_f32(sums_of(j, depth), o.N);
			o.beta = 0;
		}
		j->kernel->multiply(memory, &o, u % j->chunks * OUTER_COLUMNS, k, kn);
	}
	if (j->kernel->end)
		j->kernel->end();
}

/* c = beta c + the sums of all depths, whose rows are `apart` from one to the next. */
HONE_SIMD static void
add_row(float *c, float beta, const float *sums, size_t apart, int depths, int n)
{
	for (int i = 0; i < n; i++) {
		float sum = beta == 0 ? 0 : beta * c[i];
		for (int d = 0; d < depths; d++)
			sum += sums[(size_t)d * apart + (size_t)i];
		c[i] = sum;
	}
}

static void
add_part(const struct job *j, int thread, int threads)
{
	const struct outer *o = &j->o;
	int n = (int)((long long)j->chunks * thread / threads) * OUTER_COLUMNS;
	int end = (int)((long long)j->chunks * (thread + 1) / threads) * OUTER_COLUMNS;
	end = end < o->N ? end : o->N;
	for (int i = 0; i < o->M && n < end; i++)
		add_row(rows_at(o->c, i, n).data, o->beta, j->sums + (size_t)i * (size_t)o->N + n, (size_t)o->M * (size_t)o->N, j->depths,
			end - n);
}

static void
run(const struct job *j)
{
	if (omp_in_parallel() || math_threads() == 1 || (double)j->o.M * j->o.N * j->o.K < SMALL_PRODUCT) {
		multiply_part(j, 0, 1);
		if (j->sums)
			add_part(j, 0, 1);
		return;
	}
#pragma omp parallel num_threads(math_threads())
	{
		multiply_part(j, omp_get_thread_num(), omp_get_num_threads());
		if (j->sums) {
#pragma omp barrier
			add_part(j, omp_get_thread_num(), omp_get_num_threads());
		}
	}
}

/* The product for columns n .. n+columns-1. */
static struct job
job_for(const struct outer_kernel *kernel, const struct outer *whole, int depths, int n, int columns)
{
	struct job j = {kernel, *whole, depths > 1 ? sums_scratch() : NULL, depths,
		parts(columns, OUTER_COLUMNS)};
	j.o.c = rows_at(j.o.c, 0, n);
	j.o.b = rows_at(j.o.b, 0, n);
	j.o.N = columns;
	return j;
}

bool
bf16_outer(const struct outer_kernel *kernel, struct rows c, const struct operand *a, const struct operand *b, int M, int N,
	int K, float alpha, float beta)
{
	const struct outer o = {c, a->rows, b->rows, M, N, K, alpha, beta};
	if (!kernel || !a->k_rows || !b->k_rows || a->w || b->w || b->part || a->rows.type != NUM_BF16 ||
		b->rows.type != NUM_BF16 || c.type != NUM_F32 || M > OUTER_ROWS)
		return false;
	if (M == 0 || N == 0)
		return true;
	int depths = K > 0 ? parts(K, OUTER_DEPTH) : 1, most = SUMS_SCRATCH / (M * depths) / OUTER_COLUMNS * OUTER_COLUMNS;
	if (most == 0)
		return false;
	/* Where there would be more sums than there is room for, some columns come after the others. */
	for (int n = 0; n < N; n += most) {
		const struct job j = job_for(kernel, &o, depths, n, N - n < most ? N - n : most);
		run(&j);
	}
	return true;
}

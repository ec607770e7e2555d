#include "math/bf16_outer.h"

#include <omp.h>

#include "math/gemm.h"
#include "math/scratch.h"

/* A thread's part of the columns; each has A for itself. */
static void
take_part(const struct outer_kernel *kernel, const struct outer *o, int thread, int threads)
{
	void *memory = thread_scratch(SCRATCH_FLOATS, MATH_SCRATCH * sizeof(float));
	int chunks = (o->N + OUTER_COLUMNS - 1) / OUTER_COLUMNS;
	int first = (int)((long long)chunks * thread / threads), end = (int)((long long)chunks * (thread + 1) / threads);
	if (kernel->begin)
		kernel->begin(o->M);
	for (int k = 0; k < o->K && first < end; k += OUTER_DEPTH) {
		int kn = o->K - k < OUTER_DEPTH ? o->K - k : OUTER_DEPTH;
		kernel->pack(memory, o, k, kn);
		for (int j = first; j < end; j++)
			kernel->multiply(memory, o, j * OUTER_COLUMNS, k, kn);
	}
	if (kernel->end)
		kernel->end();
}

bool
bf16_outer(const struct outer_kernel *kernel, struct rows c, const struct operand *a, const struct operand *b, int M, int N,
	int K, float alpha, float beta)
{
	const struct outer o = {c, a->rows, b->rows, M, N, K, alpha, beta};
	if (!kernel || !a->k_rows || !b->k_rows || a->w || b->w || b->part || a->rows.type != NUM_BF16 ||
		b->rows.type != NUM_BF16 || c.type != NUM_F32 || M > OUTER_ROWS)
		return false;
	if (omp_in_parallel() || math_threads() == 1 || (double)M * N * K < SMALL_PRODUCT) {
		take_part(kernel, &o, 0, 1);
		return true;
	}
#pragma omp parallel num_threads(math_threads())
	take_part(kernel, &o, omp_get_thread_num(), omp_get_num_threads());
	return true;
}

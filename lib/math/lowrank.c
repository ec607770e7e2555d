#include "math/lowrank.h"

#include <math.h>

#include "math/gemm.h"

enum { OUTPUTS = 64, INPUTS = MATH_SCRATCH / 2 / OUTPUTS };  /* of a block: W's and the update's fit a thread's scratch */

struct update {
	const struct matrix *w;
	const float *A, *B;
	int r;
	float scale;
};

/* sum[n] += squares over inputs k0 .. k0+k-1 of outputs n0 .. n0+n-1. */
static void
add_squares(double *sum, const struct update *u, int n0, int n, int k0, int k)
{
	bool transposed = u->w->transposed;
	float *w = math_scratch(), *d = w + (size_t)OUTPUTS * INPUTS;
	if (transposed)
		matrix_expand(w, n, u->w, k0, k, n0, n);
	else
		matrix_expand(w, k, u->w, n0, n, k0, k);
	gemm_nn(d, k, u->B + (size_t)n0 * (size_t)u->r, u->r, u->A + k0, u->w->in, n, k, u->r, u->scale, 0);
	int by_output = transposed ? 1 : k, by_input = transposed ? n : 1;
	for (int j = 0; j < n; j++)
		for (int i = 0; i < k; i++) {
			double x = (double)(w[(size_t)j * (size_t)by_output + (size_t)i * (size_t)by_input] + d[(size_t)j * (size_t)k + (size_t)i]);
			sum[j] += x * x;
		}
}

void
lowrank_norms(float *norm, const struct matrix *w, const float *A, const float *B, int r, float scale)
{
	const struct update u = {w, A, B, r, scale};
#pragma omp parallel for schedule(dynamic)
	for (int n0 = 0; n0 < w->out; n0 += OUTPUTS) {
		int n = w->out - n0 < OUTPUTS ? w->out - n0 : OUTPUTS;
		double sum[OUTPUTS] = {0};
		for (int k0 = 0; k0 < w->in; k0 += INPUTS)
			add_squares(sum, &u, n0, n, k0, w->in - k0 < INPUTS ? w->in - k0 : INPUTS);
		for (int j = 0; j < n; j++)
			norm[n0 + j] = (float)sqrt(sum[j]);
	}
}

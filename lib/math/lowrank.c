#include "math/lowrank.h"

#include <math.h>

#include "math/gemm.h"
#include "math/simd.h"

enum { OUTPUTS = 64, INPUTS = MATH_SCRATCH / 2 / OUTPUTS };  /* of a block: W's and the update's fit a thread's scratch */

struct update {
	const struct matrix *w;
	const float *A, *B;
	int r;
	float scale;
};

/* The squares of w + d, where w's elements are `stride` apart. */
HONE_INLINE float
squares(const float *w, int stride, const float *d, int n)
{
	float acc[LANES] = {0};
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++) {
			float x = w[(size_t)(i + j) * (size_t)stride] + d[i + j];
			acc[j] += x * x;
		}
	for (int j = 0; i < n; i++, j++) {
		float x = w[(size_t)i * (size_t)stride] + d[i];
		acc[j] += x * x;
	}
	return lanes_sum(acc);
}

HONE_SIMD static float
squares_along(const float *w, const float *d, int n)
{
	return squares(w, 1, d, n);
}

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
	for (int j = 0; j < n; j++, d += k)
		sum[j] += (double)(transposed ? squares(w + j, n, d, k) : squares_along(w + (size_t)j * (size_t)k, d, k));
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

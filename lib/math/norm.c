#include "math/norm.h"

#include <math.h>
#include <stddef.h>

#include "math/simd.h"
#include "math/vector.h"

HONE_SIMD static float
mean_square(const float *x, int C)
{
	return row_dot(x, x, C) / (float)C;
}

HONE_SIMD static void
scale_row(float *out, const float *x, const float *w, float s, int C)
{
	for (int c = 0; c < C; c++)
		out[c] = x[c] * s * w[c];
}

/* With n = x * s: dx = s * (w dout - n * mean(w dout n)). */
HONE_SIMD static void
backward_row(float *dx, const float *dout, const float *x, const float *w, float s, int C)
{
	float acc[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += dout[c + j] * w[c + j] * x[c + j];
	for (int j = 0; c < C; c++, j++)
		acc[j] += dout[c] * w[c] * x[c];
	float k = lanes_sum(acc) * s * s / (float)C;
	for (c = 0; c < C; c++)
		dx[c] += s * (dout[c] * w[c] - x[c] * k);
}

HONE_SIMD static void
weight_terms(float *dout, const float *x, float s, int C)
{
	for (int c = 0; c < C; c++)
		dout[c] *= x[c] * s;
}

void
rmsnorm_forward(float *out, float *rstd, const float *x, const float *w, int T, int C, float eps)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++) {
		const float *row = x + (size_t)t * (size_t)C;
		rstd[t] = 1.0f / sqrtf(mean_square(row, C) + eps);
		scale_row(out + (size_t)t * (size_t)C, row, w, rstd[t], C);
	}
}

void
rmsnorm_again(float *out, const float *rstd, const float *x, const float *w, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		scale_row(out + (size_t)t * (size_t)C, x + (size_t)t * (size_t)C, w, rstd[t], C);
}

void
rmsnorm_backward(float *dx, float *dw, float *dout, const float *x, const float *w, const float *rstd, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++) {
		size_t at = (size_t)t * (size_t)C;
		backward_row(dx + at, dout + at, x + at, w, rstd[t], C);
		if (dw)
			weight_terms(dout + at, x + at, rstd[t], C);
	}
	if (dw)
		vec_sum_rows(dw, dout, T, C);
}

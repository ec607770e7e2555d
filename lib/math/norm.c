#include "math/norm.h"

#include <math.h>

#include "math/gemm.h"
#include "math/simd.h"

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

/* With n = x * s: the gradient is s * (w dout - n * mean(w dout n)). */
HONE_SIMD static void
backward_row(float *dx, float beta, const float *dout, const float *x, const float *w, float s, int C)
{
	float acc[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += dout[c + j] * w[c + j] * x[c + j];
	for (int j = 0; c < C; c++, j++)
		acc[j] += dout[c] * w[c] * x[c];
	float k = lanes_sum(acc) * s * s / (float)C;
	if (beta == 0)
		for (c = 0; c < C; c++)
			dx[c] = s * (dout[c] * w[c] - x[c] * k);
	else
		for (c = 0; c < C; c++)
			dx[c] = beta * dx[c] + s * (dout[c] * w[c] - x[c] * k);
}

HONE_SIMD static void
weight_terms(float *dw, const float *dout, const float *x, float s, int n)
{
	for (int i = 0; i < n; i++)
		dw[i] += dout[i] * x[i] * s;
}

/* Three rows of C floats of the calling thread's own. */
struct buffers {
	float *a, *b, *c;
};

static struct buffers
buffers(int C)
{
	float *s = math_scratch();
	return (struct buffers){s, s + C, s + 2 * (size_t)C};
}

static void
forward_group(struct rows out, float *rstd, struct rows x, const float *w, int t, int at, int C, const float *eps)
{
	struct buffers b = buffers(C);
	const float *from = row_load(x, t, at, C, b.a);
	float *to = row_begin(out, t, at, b.b);
	if (eps)
		*rstd = 1.0f / sqrtf(mean_square(from, C) + *eps);
	scale_row(to, from, w, *rstd, C);
	row_store(out, t, at, C, to);
}

void
rmsnorm_forward(struct rows out, float *rstd, struct rows x, const float *w, int T, int groups, int C, float eps)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		for (int g = 0; g < groups; g++)
			forward_group(out, rstd + (size_t)t * (size_t)groups + (size_t)g, x, w, t, g * C, C, &eps);
}

void
rmsnorm_again(struct rows out, const float *rstd, struct rows x, const float *w, int T, int groups, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		for (int g = 0; g < groups; g++) {
			float s = rstd[(size_t)t * (size_t)groups + (size_t)g];
			forward_group(out, &s, x, w, t, g * C, C, NULL);
		}
}

/* Threads share out the columns, so that each element is summed in the order of the rows. */
static void
weight_gradient(float *dw, struct rows dout, struct rows x, const float *rstd, int T, int groups, int C)
{
	enum { COLUMNS = 64 };
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		float a[COLUMNS], b[COLUMNS];
		for (int t = 0; t < T; t++)
			for (int g = 0; g < groups; g++)
				weight_terms(dw + c, row_load(dout, t, g * C + c, n, a), row_load(x, t, g * C + c, n, b),
					rstd[(size_t)t * (size_t)groups + (size_t)g], n);
	}
}

static void
backward_group(struct rows dx, float beta, struct rows dout, struct rows x, const float *w, float rstd, int t, int at,
	int C)
{
	struct buffers b = buffers(C);
	float *to = row_begin(dx, t, at, b.c);
	if (beta != 0)
		row_load(dx, t, at, C, b.c);
	backward_row(to, beta, row_load(dout, t, at, C, b.a), row_load(x, t, at, C, b.b), w, rstd, C);
	row_store(dx, t, at, C, to);
}

void
rmsnorm_backward(struct rows dx, float beta, float *dw, struct rows dout, struct rows x, const float *w,
	const float *rstd, int T, int groups, int C)
{
	if (dw)
		weight_gradient(dw, dout, x, rstd, T, groups, C);
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		for (int g = 0; g < groups; g++)
			backward_group(dx, beta, dout, x, w, rstd[(size_t)t * (size_t)groups + (size_t)g], t, g * C, C);
}

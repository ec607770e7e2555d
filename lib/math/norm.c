#include "math/norm.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "math/gemm.h"
#include "math/simd.h"

/* ---- one group of C elements ---- */

HONE_SIMD static float
mean_of(const float *x, int C)
{
	float acc[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += x[c + j];
	for (int j = 0; c < C; c++, j++)
		acc[j] += x[c];
	return lanes_sum(acc) / (float)C;
}

/* The mean of (x - mean)^2. */
HONE_SIMD static float
mean_square(const float *x, float mean, int C)
{
	float acc[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += (x[c + j] - mean) * (x[c + j] - mean);
	for (int j = 0; c < C; c++, j++)
		acc[j] += (x[c] - mean) * (x[c] - mean);
	return lanes_sum(acc) / (float)C;
}

static struct norm_stat
stat_of(const float *x, const struct norm *n, int C)
{
	float mean = n->kind == NORM_LAYER ? mean_of(x, C) : 0;
	return (struct norm_stat){mean, 1.0f / sqrtf(mean_square(x, mean, C) + n->eps)};
}

/* What Gemma adds to w. */
static float
offset(const struct norm *n)
{
	return n->kind == NORM_RMS_OFFSET ? 1 : 0;
}

HONE_SIMD static void
scale_group(float *out, const float *x, const float *w, float add, struct norm_stat s, int C)
{
	for (int c = 0; c < C; c++)
		out[c] = (x[c] - s.mean) * s.rstd * (w[c] + add);
}

HONE_SIMD static void
shift_group(float *out, const float *b, int C)
{
	for (int c = 0; c < C; c++)
		out[c] += b[c];
}

/* With n = (x - mean) * rstd and g = w dout, the gradient is rstd * (g - mean(g) - n * mean(g n)); without a mean taken
 * off x, without mean(g). */
HONE_SIMD static void
backward_group(float *dx, float beta, const float *dout, const float *x, const float *w, float add, bool centred,
	struct norm_stat s, int C)
{
	float along[LANES] = {0}, sum[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++) {
			float g = dout[c + j] * (w[c + j] + add);
			along[j] += g * (x[c + j] - s.mean);
			sum[j] += g;
		}
	for (int j = 0; c < C; c++, j++) {
		float g = dout[c] * (w[c] + add);
		along[j] += g * (x[c] - s.mean);
		sum[j] += g;
	}
	float k = lanes_sum(along) * s.rstd * s.rstd / (float)C, m = centred ? lanes_sum(sum) / (float)C : 0;
	if (beta == 0)
		for (c = 0; c < C; c++)
			dx[c] = s.rstd * (dout[c] * (w[c] + add) - m - (x[c] - s.mean) * k);
	else
		for (c = 0; c < C; c++)
			dx[c] = beta * dx[c] + s.rstd * (dout[c] * (w[c] + add) - m - (x[c] - s.mean) * k);
}

HONE_SIMD static void
weight_terms(float *dw, const float *dout, const float *x, struct norm_stat s, int n)
{
	for (int i = 0; i < n; i++)
		dw[i] += dout[i] * (x[i] - s.mean) * s.rstd;
}

/* ---- rows ---- */

/* Three rows of C floats of the calling thread's own. */
struct buffers {
	float *a, *b, *c;
};

static struct buffers
buffers(int C)
{
	float *s = math_scratch();
	assert((size_t)C * 3 <= MATH_SCRATCH);
	return (struct buffers){s, s + C, s + 2 * (size_t)C};
}

/* Group g of row t. */
static void
forward(struct rows out, struct norm_stat *stat, bool again, struct rows x, const struct norm *n, int t, int g, int C)
{
	struct buffers b = buffers(C);
	const float *from = row_load(x, t, g * C, C, b.a);
	float *to = row_begin(out, t, g * C, b.b);
	if (!again)
		*stat = stat_of(from, n, C);
	scale_group(to, from, n->w, offset(n), *stat, C);
	if (n->b)
		shift_group(to, n->b, C);
	row_store(out, t, g * C, C, to);
}

void
norm_forward(struct rows out, struct norm_stat *stat, struct rows x, const struct norm *n, int T, int groups, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		for (int g = 0; g < groups; g++)
			forward(out, &stat[(size_t)t * (size_t)groups + (size_t)g], false, x, n, t, g, C);
}

void
norm_again(struct rows out, const struct norm_stat *stat, struct rows x, const struct norm *n, int T, int groups, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		for (int g = 0; g < groups; g++) {
			struct norm_stat s = stat[(size_t)t * (size_t)groups + (size_t)g];
			forward(out, &s, true, x, n, t, g, C);
		}
}

/* Threads share out the columns, so that each element is summed in the order of the rows. */
static void
weight_gradient(const struct norm_grad *grad, struct rows dout, struct rows x, const struct norm_stat *stat, int T,
	int groups, int C)
{
	enum { COLUMNS = 64 };
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		float a[COLUMNS], b[COLUMNS];
		for (int t = 0; t < T; t++)
			for (int g = 0; g < groups; g++) {
				const float *d = row_load(dout, t, g * C + c, n, a);
				if (grad->w)
					weight_terms(grad->w + c, d, row_load(x, t, g * C + c, n, b),
						stat[(size_t)t * (size_t)groups + (size_t)g], n);
				if (grad->b)
					shift_group(grad->b + c, d, n);
			}
	}
}

static void
backward(struct rows dx, float beta, struct rows dout, struct rows x, const struct norm *n, struct norm_stat stat,
	int t, int g, int C)
{
	struct buffers b = buffers(C);
	float *to = row_begin(dx, t, g * C, b.c);
	if (beta != 0)
		row_load(dx, t, g * C, C, b.c);
	backward_group(to, beta, row_load(dout, t, g * C, C, b.a), row_load(x, t, g * C, C, b.b), n->w, offset(n),
		n->kind == NORM_LAYER, stat, C);
	row_store(dx, t, g * C, C, to);
}

void
norm_backward(struct rows dx, float beta, const struct norm_grad *grad, struct rows dout, struct rows x,
	const struct norm *n, const struct norm_stat *stat, int T, int groups, int C)
{
	if (grad->w || grad->b)
		weight_gradient(grad, dout, x, stat, T, groups, C);
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		for (int g = 0; g < groups; g++)
			backward(dx, beta, dout, x, n, stat[(size_t)t * (size_t)groups + (size_t)g], t, g, C);
}

#include "math/norm.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "math/gemm.h"
#include "math/scratch.h"
#include "math/simd.h"

/* Each kernel is written once, for types that are constants where it is inlined, and compiled for those of which most is
 * read and written: fp32 all over, and bf16 around a residual stream in fp32. Other rows are converted on the way. */

/* One group of C elements of each. */
struct forward {
	void *out, *copy;
	const void *x;
};

static const struct rows none;

struct backward {
	void *dx, *out, *copy;
	const void *dout, *x;
	float beta;
};

/* Rows of C floats of the calling thread's own. */
static float *
buffer(int i, int C)
{
	assert((size_t)C * 3 <= MATH_SCRATCH);
	return math_scratch() + (size_t)i * (size_t)C;
}

/* What Gemma adds to w. */
HONE_INLINE float
offset(const struct norm *n)
{
	return n->kind == NORM_RMS_OFFSET ? 1 : 0;
}

/* ---- forward ---- */

HONE_INLINE float
mean_of(const void *x, enum num from, int C)
{
	float acc[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += num_load(x, (size_t)(c + j), from);
	for (int j = 0; c < C; c++, j++)
		acc[j] += num_load(x, (size_t)c, from);
	return lanes_sum(acc) / (float)C;
}

/* The mean of (x - mean)^2. */
HONE_INLINE float
mean_square(const void *x, enum num from, float mean, int C)
{
	float acc[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
		for (int j = 0; j < LANES; j++) {
			float d = num_load(x, (size_t)(c + j), from) - mean;
			acc[j] += d * d;
		}
	for (int j = 0; c < C; c++, j++) {
		float d = num_load(x, (size_t)c, from) - mean;
		acc[j] += d * d;
	}
	return lanes_sum(acc) / (float)C;
}

HONE_INLINE struct norm_stat
stat_of(const void *x, enum num from, const struct norm *n, int C)
{
	float mean = n->kind == NORM_LAYER ? mean_of(x, from, C) : 0;
	return (struct norm_stat){mean, 1.0f / sqrtf(mean_square(x, from, mean, C) + n->eps)};
}

HONE_INLINE void
scale_group(const struct forward *f, enum num to, enum num from, const struct norm *n, struct norm_stat s, int C)
{
	const float *w = n->w, *b = n->b, add = offset(n);
	const void *x = f->x;
	void *out = f->out;
	if (b)
#pragma GCC ivdep
		for (int c = 0; c < C; c++)
			num_store(out, (size_t)c, to, (num_load(x, (size_t)c, from) - s.mean) * s.rstd * (w[c] + add) + b[c]);
	else
#pragma GCC ivdep
		for (int c = 0; c < C; c++)
			num_store(out, (size_t)c, to, (num_load(x, (size_t)c, from) - s.mean) * s.rstd * (w[c] + add));
}

HONE_INLINE void
copy_group(void *to, const void *x, enum num to_type, enum num from, int C)
{
#pragma GCC ivdep
	for (int c = 0; c < C; c++)
		num_store(to, (size_t)c, to_type, num_load(x, (size_t)c, from));
}

HONE_INLINE void
forward_typed(const struct forward *f, enum num to, enum num from, bool again, struct norm_stat *stat, const struct norm *n,
	int C)
{
	if (!again)
		*stat = stat_of(f->x, from, n, C);
	if (f->copy)
		copy_group(f->copy, f->x, to, from, C);
	scale_group(f, to, from, n, *stat, C);
}

HONE_SIMD static void
forward_f32(const struct forward *f, bool again, struct norm_stat *stat, const struct norm *n, int C)
{
	forward_typed(f, NUM_F32, NUM_F32, again, stat, n, C);
}

HONE_SIMD static void
forward_stream(const struct forward *f, bool again, struct norm_stat *stat, const struct norm *n, int C)
{
	forward_typed(f, NUM_BF16, NUM_F32, again, stat, n, C);
}

/* NULL where there are no rows. */
static void *
group_at(struct rows r, int t, int c)
{
	return r.data ? rows_at(r, t, c).data : NULL;
}

/* From column c on. */
static void
forward_group(struct rows out, struct rows copy, struct norm_stat *stat, bool again, struct rows x, const struct norm *n, int t,
	int c, int C)
{
	struct forward f = {group_at(out, t, c), group_at(copy, t, c), row_load(x, t, c, C, buffer(0, C))};
	if (out.type == NUM_F32)
		forward_f32(&f, again, stat, n, C);
	else
		forward_stream(&f, again, stat, n, C);
}

static void
forward_row(struct rows out, struct rows copy, struct norm_stat *stat, bool again, struct rows x, const struct norm *n, int t,
	int groups, int C)
{
	row_ahead(x, t + 1, 0, groups * C);
	for (int g = 0; g < groups; g++)
		forward_group(out, copy, &stat[g], again, x, n, t, g * C, C);
}

void
norm_forward(struct rows out, struct rows copy, struct norm_stat *stat, struct rows x, const struct norm *n, int T,
	int groups, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		forward_row(out, copy, stat + (size_t)t * (size_t)groups, false, x, n, t, groups, C);
}

void
norm_again(struct rows out, const struct norm_stat *stat, struct rows x, const struct norm *n, int T, int groups, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		forward_row(out, none, (struct norm_stat *)(uintptr_t)(stat + (size_t)t * (size_t)groups), true, x, n, t,
			groups, C);
}

/* ---- backward ---- */

/* With n = (x - mean) * rstd and g = w dout, the gradient is rstd * (g - mean(g) - n * mean(g n)); without a mean taken
 * off x, without mean(g). */
struct means {
	float of_g, along;        /* mean(g), and rstd * mean(g n) */
};

HONE_INLINE struct means
means_of(const struct backward *b, enum num dout_type, enum num from, const struct norm *n, struct norm_stat s, int C)
{
	const float *w = n->w, add = offset(n);
	const void *dout = b->dout, *x = b->x;
	float along[LANES] = {0}, sum[LANES] = {0};
	int c = 0;
	for (; c + LANES <= C; c += LANES)
#pragma omp simd
		for (int j = 0; j < LANES; j++) {
			float g = num_load(dout, (size_t)(c + j), dout_type) * (w[c + j] + add);
			along[j] += g * (num_load(x, (size_t)(c + j), from) - s.mean);
			sum[j] += g;
		}
	for (int j = 0; c < C; c++, j++) {
		float g = num_load(dout, (size_t)c, dout_type) * (w[c] + add);
		along[j] += g * (num_load(x, (size_t)c, from) - s.mean);
		sum[j] += g;
	}
	return (struct means){n->kind == NORM_LAYER ? lanes_sum(sum) / (float)C : 0,
		lanes_sum(along) * s.rstd * s.rstd / (float)C};
}

/* The gradient of element c. */
HONE_INLINE float
gradient(const struct backward *b, size_t c, enum num dout_type, enum num from, float w, struct norm_stat s, struct means m)
{
	return s.rstd * (num_load(b->dout, c, dout_type) * w - m.of_g - (num_load(b->x, c, from) - s.mean) * m.along);
}

HONE_INLINE void
backward_typed(const struct backward *at, enum num to, enum num dout_type, enum num from, const struct norm *n,
	struct norm_stat s, int C)
{
	const struct backward b = *at;
	const float *w = n->w, add = offset(n), beta = b.beta;
	struct means m = means_of(&b, dout_type, from, n, s, C);
	if (b.out)
		scale_group(&(struct forward){b.out, NULL, b.x}, dout_type, from, n, s, C);
	if (beta == 0)
#pragma GCC ivdep
		for (int c = 0; c < C; c++)
			num_store(b.dx, (size_t)c, to, gradient(&b, (size_t)c, dout_type, from, w[c] + add, s, m));
	else
#pragma GCC ivdep
		for (int c = 0; c < C; c++)
			num_store(b.dx, (size_t)c, to,
				beta * num_load(b.dx, (size_t)c, to) + gradient(&b, (size_t)c, dout_type, from, w[c] + add, s, m));
	if (b.copy)
		copy_group(b.copy, b.dx, dout_type, to, C);
}

HONE_SIMD static void
backward_f32(const struct backward *b, const struct norm *n, struct norm_stat s, int C)
{
	backward_typed(b, NUM_F32, NUM_F32, NUM_F32, n, s, C);
}

HONE_SIMD static void
backward_stream(const struct backward *b, const struct norm *n, struct norm_stat s, int C)
{
	backward_typed(b, NUM_F32, NUM_BF16, NUM_BF16, n, s, C);
}

/* In fp32, converted before and after. */
static void
backward_converted(struct rows dx, float beta, const struct norm_also *also, struct rows dout, struct rows x,
	const struct norm *n, struct norm_stat stat, int t, int c, int C)
{
	float *to = row_begin(dx, t, c, buffer(0, C));
	if (beta != 0)
		row_load(dx, t, c, C, to);
	const struct backward b = {to, NULL, NULL, row_load(dout, t, c, C, buffer(1, C)), row_load(x, t, c, C, buffer(2, C)), beta};
	backward_f32(&b, n, stat, C);
	row_store(dx, t, c, C, to);
	if (also->copy.data)
		rows_copy(rows_at(also->copy, t, c), rows_at(dx, t, c), 1, C);
	if (also->out.data)
		forward_group(also->out, none, &stat, true, x, n, t, c, C);
}

static void
backward_group(struct rows dx, float beta, const struct norm_also *also, struct rows dout, struct rows x,
	const struct norm *n, const struct norm_stat *stat, int t, int c, int C)
{
	const struct backward b = {group_at(dx, t, c), group_at(also->out, t, c), group_at(also->copy, t, c),
		group_at(dout, t, c), group_at(x, t, c), beta};
	if (dx.type == NUM_F32 && dout.type == NUM_F32 && x.type == NUM_F32)
		backward_f32(&b, n, *stat, C);
	else if (dx.type == NUM_F32 && dout.type == NUM_BF16 && x.type == NUM_BF16)
		backward_stream(&b, n, *stat, C);
	else
		backward_converted(dx, beta, also, dout, x, n, *stat, t, c, C);
}

static void
backward_row(struct rows dx, float beta, const struct norm_also *also, struct rows dout, struct rows x, const struct norm *n,
	const struct norm_stat *stat, int t, int groups, int C)
{
	row_ahead(dx, t + 1, 0, groups * C);
	row_ahead(dout, t + 1, 0, groups * C);
	row_ahead(x, t + 1, 0, groups * C);
	for (int g = 0; g < groups; g++)
		backward_group(dx, beta, also, dout, x, n, &stat[g], t, g * C, C);
}

/* ---- the gradients of w and b ---- */

/* One row's part, of all groups. */
HONE_INLINE void
add_typed(float *dw, float *db, const void *dout, enum num dout_type, const void *x, enum num from, struct norm_stat s, int C)
{
	if (dw)
#pragma GCC ivdep
		for (int c = 0; c < C; c++)
			dw[c] += num_load(dout, (size_t)c, dout_type) * (num_load(x, (size_t)c, from) - s.mean) * s.rstd;
	if (db)
#pragma GCC ivdep
		for (int c = 0; c < C; c++)
			db[c] += num_load(dout, (size_t)c, dout_type);
}

HONE_SIMD static void
add_group(float *dw, float *db, const void *dout, enum num dout_type, const void *x, enum num from, struct norm_stat s, int C)
{
	if (dout_type == NUM_F32 && from == NUM_F32)
		add_typed(dw, db, dout, NUM_F32, x, NUM_F32, s, C);
	else if (dout_type == NUM_F32)
		add_typed(dw, db, dout, NUM_F32, x, NUM_BF16, s, C);
	else if (from == NUM_F32)
		add_typed(dw, db, dout, NUM_BF16, x, NUM_F32, s, C);
	else
		add_typed(dw, db, dout, NUM_BF16, x, NUM_BF16, s, C);
}

static void
add_row(const struct norm_grad *sums, struct rows dout, struct rows x, const struct norm_stat *stat, int t, int groups, int C)
{
	for (int g = 0; g < groups; g++)
		add_group(sums->w, sums->b, rows_at(dout, t, g * C).data, dout.type, rows_at(x, t, g * C).data, x.type, stat[g], C);
}

/* Rows are summed up in blocks whose number follows from T and C, and the blocks' sums added in their order, so that
 * nothing depends on the number of threads. */
enum { BLOCKS = 64 };

static int
block_rows(int T, int C)
{
	int most = SUMS_SCRATCH / 2 / C, blocks = most < BLOCKS ? most : BLOCKS;
	assert(blocks > 0);
	return T > blocks ? (T + blocks - 1) / blocks : 1;
}

/* The block's sums, zero; NULL what is not wanted. */
static struct norm_grad
block_sums(const struct norm_grad *grad, float *memory, int block, int C)
{
	float *w = memory + (size_t)block * 2 * (size_t)C;
	memset(w, 0, (size_t)C * 2 * sizeof *w);
	return (struct norm_grad){grad->w ? w : NULL, grad->b ? w + C : NULL};
}

HONE_SIMD static void
add_blocks(float *to, const float *sums, int blocks, int C)
{
	for (int b = 0; b < blocks; b++, sums += (size_t)2 * (size_t)C)
		for (int c = 0; c < C; c++)
			to[c] += sums[c];
}

void
norm_backward(struct rows dx, float beta, const struct norm_grad *grad, const struct norm_also *also, struct rows dout,
	struct rows x, const struct norm *n, const struct norm_stat *stat, int T, int groups, int C)
{
	static const struct norm_also nothing;
	const bool sums = grad->w || grad->b;
	const int rows = sums ? block_rows(T, C) : 1, blocks = (T + rows - 1) / rows;
	float *memory = sums ? sums_scratch() : NULL;
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)groups * (size_t)C > PARALLEL_MIN)
	for (int b = 0; b < blocks; b++) {
		const struct norm_grad own = sums ? block_sums(grad, memory, b, C) : *grad;
		for (int t = b * rows; t < (b + 1) * rows && t < T; t++) {
			const struct norm_stat *of = stat + (size_t)t * (size_t)groups;
			if (sums)
				add_row(&own, dout, x, of, t, groups, C);
			backward_row(dx, beta, also ? also : &nothing, dout, x, n, of, t, groups, C);
		}
	}
	if (grad->w)
		add_blocks(grad->w, memory, blocks, C);
	if (grad->b)
		add_blocks(grad->b, memory + C, blocks, C);
}

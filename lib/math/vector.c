#include "math/vector.h"

#include <string.h>

#include "math/simd.h"

enum { BLOCK = 1 << 12 };  /* elements a thread takes at a time; also the unit of fixed-order sums */

static size_t
block_count(size_t n)
{
	return (n + BLOCK - 1) / BLOCK;
}

static int
block_length(size_t n, size_t b)
{
	size_t left = n - b * BLOCK;
	return left < BLOCK ? (int)left : BLOCK;
}

HONE_SIMD static void
add_block(float *out, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		out[i] += x[i];
}

HONE_SIMD static void
scale_block(float *to, const float *x, float by, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = x[i] * by;
}

HONE_SIMD static float
squares_block(const float *x, int n)
{
	return row_dot(x, x, n);
}

void
vec_zero(float *x, size_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t b = 0; b < block_count(n); b++)
		memset(x + b * BLOCK, 0, (size_t)block_length(n, b) * sizeof *x);
}

double
vec_sum_squares(const float *x, size_t n)
{
	/* Groups of blocks are summed in parallel and added in order, so the result does not depend on threads. */
	enum { GROUPS = 64 };
	double part[GROUPS] = {0};
	size_t blocks = block_count(n), each = (blocks + GROUPS - 1) / GROUPS;
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t g = 0; g < GROUPS; g++)
		for (size_t b = g * each; b < (g + 1) * each && b < blocks; b++)
			part[g] += (double)squares_block(x + b * BLOCK, block_length(n, b));
	double sum = 0;
	for (int g = 0; g < GROUPS; g++)
		sum += part[g];
	return sum;
}

/* ---- rows, taken COLUMNS at a time where threads share out columns, BLOCK at a time where they share out rows ---- */

enum { COLUMNS = 64 };

/* out[n] of row t += x[n], both from column c on. */
static void
add_to_row(struct rows out, int t, int c, int n, const float *x)
{
	float buf[BLOCK], *to = row_begin(out, t, c, buf);
	row_load(out, t, c, n, buf);
	add_block(to, x, n);
	row_store(out, t, c, n, to);
}

static void
add_row(struct rows out, int t, struct rows x, int u, int C)
{
	float buf[BLOCK];
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		add_to_row(out, t, c, n, row_load(x, u, c, n, buf));
	}
}

void
rows_add(struct rows out, struct rows x, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		add_row(out, t, x, t, C);
}

static void
scale_row(struct rows x, float by, int t, int C)
{
	float buf[BLOCK];
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		float *to = row_begin(x, t, c, buf);
		scale_block(to, row_load(x, t, c, n, buf), by, n);
		row_store(x, t, c, n, to);
	}
}

void
rows_scale(struct rows x, float by, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		scale_row(x, by, t, C);
}

void
rows_add_row(struct rows out, const float *row, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		add_row(out, t, rows_f32(row, C), 0, C);
}

void
rows_sum(float *out, struct rows x, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		float buf[COLUMNS];
		for (int t = 0; t < T; t++)
			add_block(out + c, row_load(x, t, c, n, buf), n);
	}
}

void
add_turned(float *out, const float *x, int n, int r)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)r > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		for (int j = 0; j < r; j++)
			out[(size_t)i * (size_t)r + (size_t)j] += x[(size_t)j * (size_t)n + (size_t)i];
}

HONE_SIMD static void
gain_block(float *out, const float *x, const float *gain, float offset, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = ((gain ? gain[i] : 0) + offset) * x[i];
}

HONE_SIMD static void
add_gain_block(float *out, const float *x, const float *gain, float offset, float beta, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = beta * out[i] + ((gain ? gain[i] : 0) + offset) * x[i];
}

static void
gain_row(struct rows out, struct rows x, int t, const float *gain, float offset, float beta, int C)
{
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		float from[BLOCK], buf[BLOCK], *to = row_begin(out, t, c, buf);
		const float *of_x = row_load(x, t, c, n, from), *of_gain = gain ? gain + c : NULL;
		if (beta != 0) {
			row_load(out, t, c, n, buf);
			add_gain_block(to, of_x, of_gain, offset, beta, n);
		} else {
			gain_block(to, of_x, of_gain, offset, n);
		}
		row_store(out, t, c, n, to);
	}
}

void
rows_gain(struct rows out, struct rows x, const float *gain, float offset, float beta, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		gain_row(out, x, t, gain, offset, beta, C);
}

HONE_SIMD static void
dot_block(float *sum, const float *x, const float *y, int n)
{
	for (int i = 0; i < n; i++)
		sum[i] += x[i] * y[i];
}

void
rows_dot(float *out, struct rows x, struct rows y, const float *divisor, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		float sum[COLUMNS] = {0}, a[COLUMNS], b[COLUMNS];
		for (int t = 0; t < T; t++)
			dot_block(sum, row_load(x, t, c, n, a), row_load(y, t, c, n, b), n);
		for (int i = 0; i < n; i++)
			out[c + i] += sum[i] / divisor[c + i];
	}
}

/* Keys are often neighbours: consecutive steps, layers, seeds. This sets them far apart (the finaliser of
 * splitmix64, Vigna). */
static uint64_t
spread(uint64_t key)
{
	key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
	key = (key ^ key >> 27) * 0x94d049bb133111ebu;
	return key ^ key >> 31;
}

/* A 32-bit mix of (key, index): two rounds of multiply and xor-shift (after Wellons' lowbias32). */
HONE_INLINE uint32_t
mix(uint64_t key, uint32_t i)
{
	uint32_t x = i ^ (uint32_t)key;
	x = (x ^ x >> 16) * 0x7feb352du;
	x = (x ^ x >> 15) + (uint32_t)(key >> 32);
	x = (x ^ x >> 16) * 0x846ca68bu;
	return x ^ x >> 16;
}

HONE_SIMD static void
dropout_block(float *out, const float *x, int first, int n, uint32_t threshold, float scale, uint64_t key)
{
	for (int i = 0; i < n; i++)
		out[i] = mix(key, (uint32_t)(first + i)) < threshold ? 0.0f : x[i] * scale;
}

static void
dropout_row(struct rows out, struct rows x, int t, int C, float p, uint64_t key)
{
	uint32_t threshold = (uint32_t)((double)p * 4294967296.0);
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		float from[BLOCK], buf[BLOCK], *to = row_begin(out, t, c, buf);
		dropout_block(to, row_load(x, t, c, n, from), c, n, threshold, 1.0f / (1.0f - p), key);
		row_store(out, t, c, n, to);
	}
}

void
rows_dropout(struct rows out, struct rows x, int T, int C, float p, const uint64_t *key, uint64_t salt)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		dropout_row(out, x, t, C, p, spread(spread(key[t]) ^ salt));
}

HONE_SIMD static void
noise_block(float *x, int first, int n, float amplitude, uint64_t key)
{
	for (int i = 0; i < n; i++)
		x[i] += amplitude * ((float)(mix(key, (uint32_t)(first + i)) >> 8) * 0x1p-23f - 1.0f);
}

static void
noise_row(struct rows out, int t, int C, float amplitude, uint64_t key)
{
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		float buf[BLOCK], *to = row_begin(out, t, c, buf);
		row_load(out, t, c, n, buf);
		noise_block(to, c, n, amplitude, key);
		row_store(out, t, c, n, to);
	}
}

void
rows_noise(struct rows out, int T, int C, float amplitude, const uint64_t *key, uint64_t salt)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		noise_row(out, t, C, amplitude, spread(spread(key[t]) ^ salt));
}

void
columns_forward(struct rows out, const float *m, const int32_t *ids, int T, int r, int V)
{
	for (int t = 0; t < T; t++)
		for (int k = 0; k < r; k++) {
			float buf[1], *to = row_begin(out, t, k, buf);
			*to = m[(size_t)k * (size_t)V + (size_t)ids[t]];
			row_store(out, t, k, 1, to);
		}
}

void
columns_backward(float *dm, struct rows dout, const int32_t *ids, int skip, int T, int r, int V)
{
	for (int t = 0; t < T; t++)
		for (int k = 0; k < r && ids[t] != skip; k++) {
			float buf[1];
			dm[(size_t)k * (size_t)V + (size_t)ids[t]] += *row_load(dout, t, k, 1, buf);
		}
}

static void
expand_to_row(struct rows out, int t, const struct matrix *table, int id)
{
	int C = matrix_columns(table);
	float buf[BLOCK];
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		float *to = row_begin(out, t, c, buf);
		matrix_expand(to, n, table, id, 1, c, n);
		row_store(out, t, c, n, to);
	}
}

void
embedding_forward(struct rows out, const struct matrix *table, const int32_t *ids, int T)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)matrix_columns(table) > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		expand_to_row(out, t, table, ids[t]);
}

static void
add_table_row(struct rows out, int t, const struct matrix *table, int id)
{
	int C = matrix_columns(table);
	float buf[BLOCK];
	for (int c = 0; c < C; c += BLOCK) {
		int n = C - c < BLOCK ? C - c : BLOCK;
		matrix_expand(buf, n, table, id, 1, c, n);
		add_to_row(out, t, c, n, buf);
	}
}

void
embedding_add(struct rows out, const struct matrix *table, const int32_t *ids, int T)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)matrix_columns(table) > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		add_table_row(out, t, table, ids[t]);
}

/* An id may occur twice, so threads share out the columns, not the rows. */
void
embedding_backward(float *dtable, struct rows dout, const int32_t *ids, int skip, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		float buf[COLUMNS];
		for (int t = 0; t < T; t++)
			if (ids[t] != skip)
				add_block(dtable + (size_t)ids[t] * (size_t)C + c, row_load(dout, t, c, n, buf), n);
	}
}

void
rows_gather(struct rows out, struct rows x, const int32_t *index, int n, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)C > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		rows_copy(rows_at(out, i, 0), rows_at(x, index[i], 0), 1, C);
}

void
rows_scatter_add(struct rows dx, struct rows dout, const int32_t *index, int n, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)C > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		add_row(dx, index[i], dout, i, C);
}

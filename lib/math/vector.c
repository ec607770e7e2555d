#include "math/vector.h"

#include <string.h>

#include "math/simd.h"

enum { BLOCK = 1 << 14 };  /* elements a thread takes at a time; also the unit of fixed-order sums */

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

HONE_SIMD static float
squares_block(const float *x, int n)
{
	return row_dot(x, x, n);
}

void
vec_add(float *out, const float *x, size_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t b = 0; b < block_count(n); b++)
		add_block(out + b * BLOCK, x + b * BLOCK, block_length(n, b));
}

void
vec_add_row(float *out, const float *row, int T, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++)
		add_block(out + (size_t)t * (size_t)C, row, C);
}

void
vec_sum_rows(float *out, const float *x, int T, int C)
{
	enum { COLUMNS = 64 };
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		for (int t = 0; t < T; t++)
			add_block(out + c, x + (size_t)t * (size_t)C + c, n);
	}
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
dropout_row(float *out, const float *x, int n, uint32_t threshold, float scale, uint64_t key)
{
	for (int i = 0; i < n; i++)
		out[i] = mix(key, (uint32_t)i) < threshold ? 0.0f : x[i] * scale;
}

void
rows_dropout(float *out, const float *x, int T, int C, float p, const uint64_t *key, uint64_t salt)
{
	uint32_t threshold = (uint32_t)((double)p * 4294967296.0);
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int t = 0; t < T; t++) {
		size_t at = (size_t)t * (size_t)C;
		dropout_row(out + at, x + at, C, threshold, 1.0f / (1.0f - p), spread(spread(key[t]) ^ salt));
	}
}

void
embedding_forward(float *out, const float *table, const int32_t *ids, int T, int C)
{
	rows_gather(out, table, ids, T, C);
}

void
embedding_backward(float *dtable, const float *dout, const int32_t *ids, int T, int C)
{
	/* An id may occur twice, so threads share out the columns, not the rows. */
	enum { COLUMNS = 64 };
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)C > PARALLEL_MIN)
	for (int c = 0; c < C; c += COLUMNS) {
		int n = C - c < COLUMNS ? C - c : COLUMNS;
		for (int t = 0; t < T; t++)
			add_block(dtable + (size_t)ids[t] * (size_t)C + c, dout + (size_t)t * (size_t)C + c, n);
	}
}

void
rows_gather(float *out, const float *x, const int32_t *rows, int n, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)C > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		memcpy(out + (size_t)i * (size_t)C, x + (size_t)rows[i] * (size_t)C, (size_t)C * sizeof *out);
}

void
rows_scatter_add(float *dx, const float *dout, const int32_t *rows, int n, int C)
{
#pragma omp parallel for schedule(static) if ((size_t)n * (size_t)C > PARALLEL_MIN)
	for (int i = 0; i < n; i++)
		add_block(dx + (size_t)rows[i] * (size_t)C, dout + (size_t)i * (size_t)C, C);
}

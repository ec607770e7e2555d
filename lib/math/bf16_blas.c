/* Products in bf16 on a processor that there is no kernel for: what is bf16, or rounded to it, is multiplied in fp32, which
 * is exact, and summed in fp32 as the others do, by BLAS in blocks that the caches hold. */
#include <stdlib.h>
#include <string.h>

#include "math/bf16_kernel.h"
#include "math/gemm.h"

enum {
	ROWS = 192, COLUMNS = 256,  /* of a block of C */
	DEPTH = 512,                /* of k at a time */
};

/* Of A, B and C; behind them, room for a part of B. */
enum { BLOCKS = ROWS * DEPTH + COLUMNS * DEPTH + ROWS * COLUMNS };
_Static_assert(BLOCKS + COLUMNS * DEPTH <= MATH_SCRATCH, "blocks fit the scratch");

struct product {
	struct rows c;
	struct operand a, b;
	int M, N, K;
	float alpha, beta;
};

static int
least(int a, int b)
{
	return a < b ? a : b;
}

static int fetch(float *to, const struct operand *o, int n0, int n, int k0, int k);

/* The same of an operand of parts, [n][k]. */
static int
fetch_parts(float *to, const struct operand *o, int n0, int n, int k0, int k)
{
	float *buf = math_scratch() + BLOCKS;
	memset(to, 0, (size_t)n * (size_t)k * sizeof *to);
	for (int i = 0; i < o->parts; i++) {
		struct operand_part p;
		if (!operand_part_within(&o->part[i], n0, n, k0, k, &p))
			continue;
		int ld = fetch(buf, &p.x, p.n0 - o->part[i].n0, p.n, p.k0 - o->part[i].k0, p.k);
		for (int r = 0; r < p.n; r++)
			for (int c = 0; c < p.k; c++)
				to[(size_t)(p.n0 - n0 + r) * (size_t)k + (size_t)(p.k0 - k0 + c)] =
					p.x.k_rows ? buf[(size_t)c * (size_t)ld + (size_t)r] : buf[(size_t)r * (size_t)ld + (size_t)c];
	}
	return k;
}

/* X[n0..,k0..] as it is stored, rounded to bf16 and widened again; returns the distance between rows. */
static int
fetch(float *to, const struct operand *o, int n0, int n, int k0, int k)
{
	if (o->part)
		return fetch_parts(to, o, n0, n, k0, k);
	int r = o->k_rows ? k0 : n0, rows = o->k_rows ? k : n, c = o->k_rows ? n0 : k0, columns = o->k_rows ? n : k;
	if (o->w)
		matrix_expand(to, columns, o->w, r, rows, c, columns);
	for (int i = 0; i < rows; i++) {
		float *row = to + (size_t)i * (size_t)columns;
		const float *from = o->w ? row : row_load(o->rows, r + i, c, columns, row);
		if (!o->w && o->rows.type == NUM_BF16)
			continue;
		for (int j = 0; j < columns; j++)
			row[j] = bf16_to_f32(bf16_from_f32(from[j]));
	}
	return columns;
}

static void
block(const struct product *p, int m0, int m, int n0, int n)
{
	float *a = math_scratch(), *b = a + ROWS * DEPTH, *sums = b + COLUMNS * DEPTH;
	for (int k0 = 0; k0 < p->K || k0 == 0; k0 += DEPTH) {
		int k = least(DEPTH, p->K - k0);
		int lda = fetch(a, &p->a, m0, m, k0, k), ldb = fetch(b, &p->b, n0, n, k0, k);
		if (p->a.k_rows)
			gemm_tn(sums, COLUMNS, a, lda, b, ldb, m, n, k, 1, k0 ? 1 : 0);
		else if (p->b.k_rows)
			gemm_nn(sums, COLUMNS, a, lda, b, ldb, m, n, k, 1, k0 ? 1 : 0);
		else
			gemm_nt(sums, COLUMNS, a, lda, b, ldb, m, n, k, 1, k0 ? 1 : 0);
	}
	sums_store(&(struct tile_out){rows_at(p->c, m0, n0), m, n, p->alpha, p->beta}, sums, COLUMNS);
}

void
bf16_product_blas(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta)
{
	const struct product p = {c, a, b, M, N, K, alpha, beta};
#pragma omp parallel for collapse(2) schedule(dynamic)
	for (int n0 = 0; n0 < N; n0 += COLUMNS)
		for (int m0 = 0; m0 < M; m0 += ROWS)
			block(&p, m0, least(ROWS, M - m0), n0, least(COLUMNS, N - n0));
}

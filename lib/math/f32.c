/* Which kernel is used for products in fp32, and what is done without one. */
#include "math/f32.h"

#include <assert.h>

#include "base/isa.h"
#include "math/f32_kernel.h"
#include "math/gemm.h"
#include "math/tiled.h"

static const struct tile_kernel *kernel;
static bool chosen;

const struct tile_kernel *
f32_kernel(void)
{
#ifdef __x86_64__
	static const struct tile_kernel *const kernels[] = {[ISA_AVX2] = &f32_avx2, [ISA_AVX512] = &f32_avx512,
		[ISA_AVX512_BF16] = &f32_avx512, [ISA_AMX] = &f32_amx};
	if (!chosen)
		f32_set_kernel(kernels[isa_best()]);
#endif
	return kernel;
}

void
f32_set_kernel(const struct tile_kernel *k)
{
	kernel = k;
	chosen = true;
}

bool
f32_takes_parts(void)
{
	return f32_kernel();
}

const char *
f32_isa(void)
{
	return f32_kernel() ? f32_kernel()->name : isa_name(ISA_BLAS);
}

/* ---- by BLAS ---- */

/* Columns n0 .. n0+n-1 of the result, B expanded into the thread's scratch as deep as it holds. */
static void
expand_and_multiply(struct rows c, const struct operand *a, const struct operand *b, int n0, int n, int M, int K, float alpha,
	float beta)
{
	const int most = MATH_SCRATCH / n;
	float *w = math_scratch(), *to = rows_at(c, 0, n0).data;
	for (int k0 = 0; k0 < K; k0 += most) {
		int k = K - k0 < most ? K - k0 : most, ldb = b->k_rows ? n : k;
		const float *from = rows_at(a->rows, 0, k0).data;
		int r = b->k_rows ? k0 : n0, rows = b->k_rows ? k : n, column = b->k_rows ? n0 : k0;
		if (b->w)
			matrix_expand(w, ldb, b->w, r, rows, column, ldb);
		else
			rows_copy(rows_f32(w, ldb), rows_at(b->rows, r, column), rows, ldb);
		(b->k_rows ? gemm_nn : gemm_nt)(to, c.ld, from, a->rows.ld, w, ldb, M, n, k, alpha, k0 ? 1 : beta);
	}
}

static void
product_blas(struct rows c, const struct operand *a, const struct operand *b, int M, int N, int K, float alpha, float beta)
{
	assert(!b->part);
	enum { N_STEP = 64 };  /* columns of the result a thread takes at a time; wide enough for BLAS */
	if (K == 0 || (!b->w && b->rows.type == NUM_F32)) {
		(a->k_rows ? gemm_tn : b->k_rows ? gemm_nn : gemm_nt)(c.data, c.ld, a->rows.data, a->rows.ld, b->rows.data, b->rows.ld,
			M, N, K, alpha, beta);
		return;
	}
#pragma omp parallel for schedule(dynamic)
	for (int n0 = 0; n0 < N; n0 += N_STEP)
		expand_and_multiply(c, a, b, n0, N - n0 < N_STEP ? N - n0 : N_STEP, M, K, alpha, beta);
}

/* Splitting numbers, and filling up tiles, takes longer than the small kernel where one of these is small, as adapters' ranks
 * are: measured on a Sapphire Rapids. A question of shape alone, so that the result is no question of threads. */
static const struct tile_kernel *
kernel_for(int M, int N, int K)
{
	enum { ROWS = 32, COLUMNS = 32, DEPTH = 16 };
	bool small = M <= ROWS || N <= COLUMNS || K <= DEPTH;
	return small && f32_kernel()->small ? f32_kernel()->small : f32_kernel();
}

void
f32_product(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta)
{
	if (f32_kernel() && K > 0)
		tiled_product(kernel_for(M, N, K), c, a, b, M, N, K, alpha, beta);
	else
		product_blas(c, &a, &b, M, N, K, alpha, beta);
}

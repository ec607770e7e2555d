#include "math/product.h"

#include "base/worktime.h"
#include "math/bf16.h"
#include "math/gemm.h"
#include "math/product_few.h"

/* A product with a matrix: N and K are the result's columns and the inner dimension, whichever of the matrix's two they
 * are; `nt`: the matrix is stored [N,K], otherwise [K,N]. */
struct task {
	struct rows y, x;
	const struct matrix *w;
	bool nt;
	int T, N, K;
	float alpha, beta;
};

static void
multiply(const struct task *t, const float *w, int ldw, int n0, int n, int k0, int k)
{
	float *y = rows_at(t->y, 0, n0).data;
	const float *x = rows_at(t->x, 0, k0).data;
	(t->nt ? gemm_nt : gemm_nn)(y, t->y.ld, x, t->x.ld, w, ldw, t->T, n, k, t->alpha, k0 ? 1 : t->beta);
}

/* Columns n0 .. n0+n-1 of the result, the matrix expanded into the thread's scratch `k_step` at a time. */
static void
expand_and_multiply(const struct task *t, int n0, int n, int k_step)
{
	float *w = math_scratch();
	for (int k0 = 0; k0 < t->K; k0 += k_step) {
		int k = t->K - k0 < k_step ? t->K - k0 : k_step, ldw = t->nt ? k : n;
		if (t->nt)
			matrix_expand(w, ldw, t->w, n0, n, k0, k);
		else
			matrix_expand(w, ldw, t->w, k0, k, n0, n);
		multiply(t, w, ldw, n0, n, k0, k);
	}
}

static void
run(const struct task *t)
{
	enum { N_STEP = 64 };  /* columns of the result a thread takes at a time; wide enough for BLAS */
	if (product_is_few(t->T, t->K)) {
		product_few(t->y, t->x, t->w, t->nt, t->T, t->N, t->K, t->alpha, t->beta);
		return;
	}
	if (t->x.type == NUM_BF16 || t->y.type == NUM_BF16) {
		bf16_product(t->y, operand_rows(t->x, false), operand_matrix(t->w, !t->nt), t->T, t->N, t->K, t->alpha,
			t->beta);
		return;
	}
	if (t->w->form == MATRIX_F32) {
		multiply(t, t->w->data, matrix_columns(t->w), 0, t->N, 0, t->K);
		return;
	}
#pragma omp parallel for schedule(dynamic)
	for (int n0 = 0; n0 < t->N; n0 += N_STEP)
		expand_and_multiply(t, n0, t->N - n0 < N_STEP ? t->N - n0 : N_STEP, MATH_SCRATCH / N_STEP);
}

static void
product(const struct task *t)
{
	enum work before = work_switch(WORK_PRODUCTS);
	run(t);
	work_switch(before);
}

void
product_forward(struct rows y, struct rows x, const struct matrix *w, int T, float alpha, float beta)
{
	product(&(struct task){y, x, w, !w->transposed, T, w->out, w->in, alpha, beta});
}

void
product_backward(struct rows dx, struct rows dy, const struct matrix *w, int T, float alpha, float beta)
{
	product(&(struct task){dx, dy, w, w->transposed, T, w->in, w->out, alpha, beta});
}

/* C[M,N] += alpha A[T,M]^T B[T,N]. */
static void
outer_product(float *c, struct rows a, struct rows b, int M, int N, int T, float alpha)
{
	enum work before = work_switch(WORK_PRODUCTS);
	if (a.type == NUM_BF16 || b.type == NUM_BF16)
		bf16_product(rows_f32(c, N), operand_rows(a, true), operand_rows(b, true), M, N, T, alpha, 1);
	else
		gemm_tn(c, N, a.data, a.ld, b.data, b.ld, M, N, T, alpha, 1);
	work_switch(before);
}

void
product_weight(float *dw, bool transposed, struct rows dy, struct rows x, int T, int out, int in, float alpha)
{
	if (transposed)
		outer_product(dw, x, dy, in, out, T, alpha);
	else
		outer_product(dw, dy, x, out, in, T, alpha);
}

void
product_of(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta)
{
	enum work before = work_switch(WORK_PRODUCTS);
	bf16_product(c, a, b, M, N, K, alpha, beta);
	work_switch(before);
}

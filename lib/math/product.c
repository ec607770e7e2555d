#include "math/product.h"

#include <assert.h>

#include "base/worktime.h"
#include "math/bf16.h"
#include "math/f32.h"
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
run(const struct task *t)
{
	if (product_is_few(t->T, t->K)) {
		product_few(t->y, t->x, t->w, t->nt, t->T, t->N, t->K, t->alpha, t->beta);
		return;
	}
	bool bf16 = t->x.type == NUM_BF16 || t->y.type == NUM_BF16;
	(bf16 ? bf16_product : f32_product)(t->y, operand_rows(t->x, false), operand_matrix(t->w, !t->nt), t->T, t->N, t->K,
		t->alpha, t->beta);
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
	bool bf16 = a.type == NUM_BF16 || b.type == NUM_BF16;
	(bf16 ? bf16_product : f32_product)(rows_f32(c, N), operand_rows(a, true), operand_rows(b, true), M, N, T, alpha, 1);
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
	(a.rows.type == NUM_BF16 ? bf16_product : f32_product)(c, a, b, M, N, K, alpha, beta);
	work_switch(before);
}

size_t
product_kept_size(enum num type, int N, int K)
{
	return type == NUM_BF16 ? bf16_kept_size(N, K) : 0;  /* in fp32 it would take twice as much */
}

void
product_keep(enum num type, struct operand b, int N, int K)
{
	assert(type == NUM_BF16);
	bf16_keep(b, N, K);
}

bool
product_takes_parts(enum num type)
{
	return type == NUM_BF16 || f32_takes_parts();
}

#include "model/linear.h"

#include "math/gemm.h"
#include "math/vector.h"

/* Each layer draws its own mask: FNV-1a over its name. */
static uint64_t
salt_of(const struct linear *l)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (const char *p = l->name; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return h;
}

static bool
drops(const struct linear *l, const struct linear_pass *pass)
{
	return l->lora->dropout > 0 && pass->row_key;
}

/* x as the adapter sees it. */
static const float *
adapter_input(const struct linear *l, const float *x, int T, const struct linear_pass *pass)
{
	if (!drops(l, pass))
		return x;
	rows_dropout(pass->dropped, x, T, l->in, l->lora->dropout, pass->row_key, salt_of(l));
	return pass->dropped;
}

void
linear_forward(const struct linear *l, float *y, const float *x, int T, float beta, const struct linear_pass *pass)
{
	gemm_nt(y, l->out, x, l->in, l->w->value, l->in, T, l->out, l->in, 1, beta);
	if (l->b)
		vec_add_row(y, l->b->value, T, l->out);
	if (!l->lora)
		return;
	const struct lora *a = l->lora;
	gemm_nt(a->xA, a->r, adapter_input(l, x, T, pass), l->in, a->A.value, l->in, T, a->r, l->in, 1, 0);
	gemm_nt(y, l->out, a->xA, a->r, a->B.value, a->r, T, l->out, a->r, a->scale, 1);
}

static void
lora_backward(const struct linear *l, float *dx, const float *dy, const float *x, int T, const struct linear_pass *pass)
{
	const struct lora *a = l->lora;
	float *dxA = pass->dxA;
	gemm_nn(dxA, a->r, dy, l->out, a->B.value, a->r, T, a->r, l->out, a->scale, 0);
	if (a->B.grad)
		gemm_tn(a->B.grad, a->r, dy, l->out, a->xA, a->r, l->out, a->r, T, a->scale, 1);
	if (a->A.grad)
		gemm_tn(a->A.grad, l->in, dxA, a->r, adapter_input(l, x, T, pass), l->in, a->r, l->in, T, 1, 1);
	if (!dx)
		return;
	if (!drops(l, pass)) {
		gemm_nn(dx, l->in, dxA, a->r, a->A.value, l->in, T, l->in, a->r, 1, 1);
		return;
	}
	gemm_nn(pass->dropped, l->in, dxA, a->r, a->A.value, l->in, T, l->in, a->r, 1, 0);
	rows_dropout(pass->dropped, pass->dropped, T, l->in, a->dropout, pass->row_key, salt_of(l));
	vec_add(dx, pass->dropped, (size_t)T * (size_t)l->in);
}

void
linear_backward(const struct linear *l, float *dx, const float *dy, const float *x, int T, float beta,
	const struct linear_pass *pass)
{
	if (l->w->grad)
		gemm_tn(l->w->grad, l->in, dy, l->out, x, l->in, l->out, l->in, T, 1, 1);
	if (l->b && l->b->grad)
		vec_sum_rows(l->b->grad, dy, T, l->out);
	if (dx)
		gemm_nn(dx, l->in, dy, l->out, l->w->value, l->in, T, l->in, l->out, 1, beta);
	if (l->lora)
		lora_backward(l, dx, dy, x, T, pass);
}

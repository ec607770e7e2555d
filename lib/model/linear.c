#include "model/linear.h"

#include "math/gemm.h"
#include "math/vector.h"

/* Each layer draws its own mask: the key is mixed with where the adapter's A lies in the table of parameters. */
static uint64_t
layer_key(const struct linear *l, const struct linear_pass *pass)
{
	uint64_t h = pass->dropout_key;
	for (const char *p = l->name; *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	return h;
}

/* x as the adapter sees it. */
static const float *
adapter_input(const struct linear *l, const float *x, int T, const struct linear_pass *pass)
{
	if (l->lora->dropout == 0 || pass->dropout_key == 0)
		return x;
	vec_dropout(pass->dropped, x, (size_t)T * (size_t)l->in, l->lora->dropout, layer_key(l, pass));
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
	if (a->dropout == 0 || pass->dropout_key == 0) {
		gemm_nn(dx, l->in, dxA, a->r, a->A.value, l->in, T, l->in, a->r, 1, 1);
		return;
	}
	size_t n = (size_t)T * (size_t)l->in;
	gemm_nn(pass->dropped, l->in, dxA, a->r, a->A.value, l->in, T, l->in, a->r, 1, 0);
	vec_dropout(pass->dropped, pass->dropped, n, a->dropout, layer_key(l, pass));
	vec_add(dx, pass->dropped, n);
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

bool
linear_trains(const struct linear *l)
{
	return l->w->grad || (l->b && l->b->grad) || (l->lora && l->lora->A.grad);
}

#include "model/linear.h"

#include "math/product.h"
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

void
linear_take(struct linear *l, struct arena *a, enum num type, int T)
{
	if (l->lora)
		l->lora->xA = (struct rows){arena_take(a, (size_t)T * (size_t)l->lora->r, num_size(type)), l->lora->r, type};
}

/* x as the adapter sees it. */
static struct rows
adapter_input(const struct linear *l, struct rows x, int T, const struct linear_pass *pass)
{
	if (!drops(l, pass))
		return x;
	struct rows dropped = {pass->dropped.data, l->in, pass->dropped.type};
	rows_dropout(dropped, x, T, l->in, l->lora->dropout, pass->row_key, salt_of(l));
	return dropped;
}

void
linear_forward(const struct linear *l, struct rows y, struct rows x, int T, float beta, const struct linear_pass *pass)
{
	const struct lora *a = l->lora;
	product_forward(y, x, &l->w->matrix, T, 1, beta);
	if (l->b)
		rows_add_row(y, l->b->value, T, l->out);
	if (!a)
		return;
	product_forward(a->xA, adapter_input(l, x, T, pass), &a->A.matrix, T, 1, 0);
	product_forward(y, a->xA, &a->B.matrix, T, a->scale, 1);
}

static void
lora_backward(const struct linear *l, struct rows dx, struct rows dy, struct rows x, int T,
	const struct linear_pass *pass)
{
	const struct lora *a = l->lora;
	struct rows dxA = {pass->dxA.data, a->r, pass->dxA.type};
	product_backward(dxA, dy, &a->B.matrix, T, a->scale, 0);
	if (a->B.grad)
		product_weight(a->B.grad, false, dy, a->xA, T, l->out, a->r, a->scale);
	if (a->A.grad)
		product_weight(a->A.grad, false, dxA, adapter_input(l, x, T, pass), T, a->r, l->in, 1);
	if (!dx.data)
		return;
	if (!drops(l, pass)) {
		product_backward(dx, dxA, &a->A.matrix, T, 1, 1);
		return;
	}
	struct rows dropped = {pass->dropped.data, l->in, pass->dropped.type};
	product_backward(dropped, dxA, &a->A.matrix, T, 1, 0);
	rows_dropout(dropped, dropped, T, l->in, a->dropout, pass->row_key, salt_of(l));
	rows_add(dx, dropped, T, l->in);
}

void
linear_backward_base(const struct linear *l, struct rows dy, struct rows x, int T)
{
	if (l->w->grad)
		product_weight(l->w->grad, l->w->transposed, dy, x, T, l->out, l->in, 1);
	if (l->b && l->b->grad)
		rows_sum(l->b->grad, dy, T, l->out);
}

void
linear_backward(const struct linear *l, struct rows dx, struct rows dy, struct rows x, int T, float beta,
	const struct linear_pass *pass)
{
	linear_backward_base(l, dy, x, T);
	if (dx.data)
		product_backward(dx, dy, &l->w->matrix, T, 1, beta);
	if (l->lora)
		lora_backward(l, dx, dy, x, T, pass);
}

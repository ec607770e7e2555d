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
linear_take(struct linear *l, struct arena *a, enum num type, enum num out_type, int T, struct rows *u)
{
	struct lora *lora = l->lora;
	if (!lora)
		return;
	lora->xA = (struct rows){arena_take(a, (size_t)T * (size_t)lora->r, num_size(type)), lora->r, type};
	if (lora_is_dora(lora) && !u->ld)
		*u = (struct rows){arena_take(a, (size_t)T * (size_t)l->out, num_size(out_type)), l->out, out_type};
	lora->u = *u;
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
lora_set_gain(struct lora *a)
{
	for (int i = 0; i < a->B.rows; i++)
		a->gain[i] = a->magnitude.value[i] / a->norm[i];
}

/* ---- forward ---- */

static void
plain_forward(const struct linear *l, struct rows y, struct rows x, int T, float beta, const struct linear_pass *pass)
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
dora_forward(const struct linear *l, struct rows y, struct rows x, int T, float beta, const struct linear_pass *pass)
{
	struct lora *a = l->lora;
	struct rows seen = adapter_input(l, x, T, pass);
	lora_set_gain(a);
	product_forward(a->u, seen, &l->w->matrix, T, 1, 0);
	if (drops(l, pass)) {
		product_forward(y, x, &l->w->matrix, T, 1, beta);
		rows_gain(y, a->u, NULL, -1, 1, T, l->out);
		beta = 1;
	}
	product_forward(a->xA, seen, &a->A.matrix, T, 1, 0);
	product_forward(a->u, a->xA, &a->B.matrix, T, a->scale, 1);
	rows_gain(y, a->u, a->gain, 0, beta, T, l->out);
	if (l->b)
		rows_add_row(y, l->b->value, T, l->out);
}

void
linear_forward(const struct linear *l, struct rows y, struct rows x, int T, float beta, const struct linear_pass *pass)
{
	if (l->lora && lora_is_dora(l->lora))
		dora_forward(l, y, x, T, beta, pass);
	else
		plain_forward(l, y, x, T, beta, pass);
}

/* ---- backward ---- */

void
lora_backward_B(const struct lora *a, struct rows dxA, struct rows dy, struct rows gained, int T)
{
	if (a->magnitude.grad)
		rows_dot(a->magnitude.grad, dy, a->u, a->norm, T, a->B.rows);
	if (a->B.grad)
		product_weight(a->B.grad, false, gained, a->xA, T, a->B.rows, a->r, a->scale);
	product_backward(dxA, gained, &a->B.matrix, T, a->scale, 0);
}

/* Through the adapter alone: dx += dxA A, and where there is `more` the like of it and W, where dropout let x pass. */
static void
adapter_backward(const struct linear *l, struct rows dx, struct rows dxA, int T, const struct linear_pass *pass,
	struct rows more)
{
	const struct lora *a = l->lora;
	if (!dx.data)
		return;
	if (!drops(l, pass)) {
		product_backward(dx, dxA, &a->A.matrix, T, 1, 1);
		return;
	}
	struct rows dropped = {pass->dropped.data, l->in, pass->dropped.type};
	product_backward(dropped, dxA, &a->A.matrix, T, 1, 0);
	if (more.data)
		product_backward(dropped, more, &l->w->matrix, T, 1, 1);
	rows_dropout(dropped, dropped, T, l->in, a->dropout, pass->row_key, salt_of(l));
	rows_add(dx, dropped, T, l->in);
}

static void
plain_backward(const struct linear *l, struct rows dx, struct rows dy, int T, float beta, const struct linear_pass *pass)
{
	if (dx.data)
		product_backward(dx, dy, &l->w->matrix, T, 1, beta);
	if (!l->lora)
		return;
	lora_backward_B(l->lora, pass->dxA, dy, dy, T);
	adapter_backward(l, dx, pass->dxA, T, pass, (struct rows){0});
}

static void
dora_backward(const struct linear *l, struct rows dx, struct rows dy, int T, float beta, const struct linear_pass *pass)
{
	const struct lora *a = l->lora;
	struct rows gained = {pass->gained.data, l->out, pass->gained.type};
	bool dropout = drops(l, pass);
	rows_gain(gained, dy, a->gain, 0, 0, T, l->out);
	lora_backward_B(a, pass->dxA, dy, gained, T);
	if (dx.data)
		product_backward(dx, dropout ? dy : gained, &l->w->matrix, T, 1, beta);
	if (dropout)
		rows_gain(gained, dy, a->gain, -1, 0, T, l->out);
	adapter_backward(l, dx, pass->dxA, T, pass, gained);
}

void
linear_backward(const struct linear *l, struct rows dx, struct rows dy, int T, float beta, const struct linear_pass *pass)
{
	if (l->lora && lora_is_dora(l->lora))
		dora_backward(l, dx, dy, T, beta, pass);
	else
		plain_backward(l, dx, dy, T, beta, pass);
}

void
linear_base_weights(const struct linear *l, struct rows dy, struct rows x, int T)
{
	if (l->w->grad)
		product_weight(l->w->grad, l->w->transposed, dy, x, T, l->out, l->in, 1);
	if (l->b && l->b->grad)
		rows_sum(l->b->grad, dy, T, l->out);
}

void
linear_weights(const struct linear *l, struct rows dy, struct rows x, int T, const struct linear_pass *pass)
{
	const struct lora *a = l->lora;
	linear_base_weights(l, dy, x, T);
	if (a && a->A.grad)
		product_weight(a->A.grad, false, pass->dxA, adapter_input(l, x, T, pass), T, a->r, l->in, 1);
}

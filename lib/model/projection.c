#include "model/projection.h"

#include "math/product.h"
#include "math/vector.h"

/* ---- whether to fuse ---- */

static int
columns_out(const struct projection *p)
{
	int n = 0;
	for (int i = 0; i < p->n; i++)
		n += p->first[i].out;
	return n;
}

int
projection_rank(const struct projection *p)
{
	int rank = 0;
	for (int i = 0; i < p->n; i++)
		rank += p->first[i].lora ? p->first[i].lora->r : 0;
	return rank;
}

static bool
fusible(const struct linear *l)
{
	enum { VECTOR = 32 };
	return l->in % VECTOR == 0 && l->out % VECTOR == 0 &&
		(!l->lora || (linear_has_plain_adapter(l) && l->lora->dropout == 0 && l->lora->r % 2 == 0));
}

/* How many columns of the room products sum over: in bf16 whole steps, with zeros on the right side. */
static int
room_of(int rank, enum num type)
{
	return type == NUM_BF16 ? projection_room(rank) : rank;
}

/* Whether b's A, and its gradient, lie right behind a's. */
static bool
follows(const struct lora *a, const struct lora *b)
{
	size_t n = param_size(&a->A);
	return b->scale == a->scale && b->A.value == a->A.value + n &&
		(a->A.grad ? b->A.grad == a->A.grad + n : !b->A.grad);
}

static bool
can_fuse(const struct projection *p)
{
	const struct lora *last = NULL;
	for (int i = 0; i < p->n; i++) {
		const struct linear *l = &p->first[i];
		if (!fusible(l) || (last && l->lora && !follows(last, l->lora)))
			return false;
		last = l->lora ? l->lora : last;
	}
	return true;
}

/* ---- memory ---- */

enum { FORWARD, BACKWARD };

/* Bytes of a side that is kept packed; 0: it is not. */
static size_t
kept_size(const struct projection *p, enum num type, int side)
{
	int in = p->first->in, outs = columns_out(p), room = room_of(projection_rank(p), type);
	if (!product_takes_parts(type) || !can_fuse(p))
		return 0;
	for (int i = 0; i < p->n; i++)
		if (p->first[i].w->grad || matrix_is_quantised(&p->first[i].w->matrix))
			return 0;
	return side == FORWARD ? product_kept_size(type, outs, in + room) : product_kept_size(type, in, outs + room);
}

size_t
projection_kept_bytes(const struct projection *p, enum num type)
{
	return kept_size(p, type, FORWARD) + kept_size(p, type, BACKWARD);
}

void
projection_take(struct projection *p, struct arena *a, enum num type, int T, struct rows *shared, bool keep)
{
	p->fused = product_takes_parts(type) && can_fuse(p);
	p->rank = 0;
	keep = keep && projection_kept_bytes(p, type) > 0;
	for (int side = FORWARD; side <= BACKWARD; side++)
		p->kept[side] = keep ? arena_take(a, 1, kept_size(p, type, side)) : NULL;
	for (int i = 0; i < p->n; i++) {
		struct linear *l = &p->first[i];
		struct rows own = {0};
		bool joined = p->fused && l->lora;
		l->w->packed = keep;
		p->rank += joined ? l->lora->r : 0;
		/* Few rows are not fused (fuses, below), so there each adapter has its own. */
		linear_take(l, a, type, type, joined && T > PRODUCT_FEW_ROWS ? PRODUCT_FEW_ROWS : T, shared ? &shared[i] : &own);
	}
	p->xA = (struct rows){arena_take(a, (size_t)T * (size_t)p->rank, num_size(type)), p->rank, type};
}

/* Few rows, as in generation, are multiplied faster one layer after the other. */
static bool
fuses(const struct projection *p, int T)
{
	return p->fused && T > PRODUCT_FEW_ROWS;
}

/* ---- forward ---- */

/* W as the right side of the product forward, which sums over its columns, or backward, over its rows. */
static struct operand
weight(const struct linear *l, bool backward)
{
	return operand_matrix(&l->w->matrix, l->w->transposed != backward);
}

/* The stacked A of all adapters. */
static struct rows
stacked(const struct projection *p, bool gradient)
{
	for (int i = 0; i < p->n; i++) {
		const struct lora *a = p->first[i].lora;
		if (a)
			return rows_f32(gradient ? a->A.grad : a->A.value, p->first->in);
	}
	return (struct rows){0};
}

static float
scale_of(const struct projection *p)
{
	for (int i = 0; i < p->n; i++)
		if (p->first[i].lora)
			return p->first[i].lora->scale;
	return 1;
}

/* [W | B] of all layers, below one another: part[2 * MAX_PROJECTED]. */
static struct operand
right_forward(const struct projection *p, struct operand_part *part)
{
	int in = p->first->in, parts = 0;
	for (int i = 0, column = 0, at = in; i < p->n; column += p->first[i++].out) {
		const struct linear *l = &p->first[i];
		part[parts++] = (struct operand_part){column, l->out, 0, in, weight(l, false), true};
		if (!l->lora)
			continue;
		struct rows B = rows_f32(l->lora->B.value, l->lora->r);
		part[parts++] = (struct operand_part){column, l->out, at, l->lora->r, operand_rows(B, false), false};
		at += l->lora->r;
	}
	return operand_parts(part, parts, p->kept[FORWARD]);
}

static void
fused_forward(const struct projection *p, struct rows y, struct rows x, int T, float beta)
{
	int in = p->first->in, outs = columns_out(p);
	struct operand_part part[2 * MAX_PROJECTED];
	if (p->rank) {
		struct rows room = rows_at(x, 0, in);
		product_of(room, operand_rows(x, false), operand_rows(stacked(p, false), false), T, p->rank, in, scale_of(p), 0);
		rows_copy(p->xA, room, T, p->rank);
	}
	product_of(y, operand_rows(x, false), right_forward(p, part), T, outs, in + room_of(p->rank, x.type), 1, beta);
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out)
		if (p->first[i].b)
			rows_add_row(rows_at(y, 0, column), p->first[i].b->value, T, p->first[i].out);
}

void
projection_forward(const struct projection *p, struct rows y, struct rows x, int T, float beta,
	const struct linear_pass *pass)
{
	if (fuses(p, T)) {
		fused_forward(p, y, x, T, beta);
		return;
	}
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out)
		linear_forward(&p->first[i], rows_at(y, 0, column), x, T, beta, pass);
}

/* ---- backward ---- */

/* scale dy B into the room behind dy; the gradients of B. */
static void
adapters_backward(const struct projection *p, struct rows dy, int T, const struct linear_pass *pass)
{
	int outs = columns_out(p), at = 0;
	struct rows room = rows_at(dy, 0, outs);
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out) {
		const struct linear *l = &p->first[i];
		struct lora *a = l->lora;
		struct rows own = rows_at(dy, 0, column);
		if (!a)
			continue;
		product_of(rows_at(room, 0, at), operand_rows(own, false), operand_rows(rows_f32(a->B.value, a->r), true), T, a->r,
			l->out, a->scale, 0);
		if (a->B.grad) {  /* turned: what is wide is better on the right side */
			struct rows turned = rows_f32(pass->turned, l->out);
			product_of(turned, operand_rows(rows_at(p->xA, 0, at), true), operand_rows(own, true), a->r, l->out, T, 1, 0);
			add_turned(a->B.grad, pass->turned, l->out, a->r);
		}
		at += a->r;
	}
}

/* [W ; A], the layers' side by side: part[MAX_PROJECTED + 1]. */
static struct operand
right_backward(const struct projection *p, struct operand_part *part)
{
	int in = p->first->in, outs = columns_out(p), parts = 0;
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out)
		part[parts++] = (struct operand_part){0, in, column, p->first[i].out, weight(&p->first[i], true), true};
	if (p->rank)
		part[parts++] = (struct operand_part){0, in, outs, p->rank, operand_rows(stacked(p, false), true), false};
	return operand_parts(part, parts, p->kept[BACKWARD]);
}

static void
fused_backward(const struct projection *p, struct rows dx, struct rows dy, int T, const struct linear_pass *pass)
{
	struct operand_part part[MAX_PROJECTED + 1];
	if (p->rank)
		adapters_backward(p, dy, T, pass);
	if (dx.data)
		product_of(dx, operand_rows(dy, false), right_backward(p, part), T, p->first->in,
			columns_out(p) + room_of(p->rank, dy.type), 1, 0);
}

/* What layer i finds of the pass when they come one after the other: dxA beside those of the layers before. */
static struct linear_pass
pass_of(const struct projection *p, int i, const struct linear_pass *pass)
{
	struct linear_pass own = *pass;
	for (int j = 0; j < i; j++)
		own.dxA = rows_at(own.dxA, 0, p->first[j].lora ? p->first[j].lora->r : 0);
	return own;
}

void
projection_backward(const struct projection *p, struct rows dx, struct rows dy, int T, const struct linear_pass *pass)
{
	if (fuses(p, T)) {
		fused_backward(p, dx, dy, T, pass);
		return;
	}
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out) {
		struct linear_pass own = pass_of(p, i, pass);
		linear_backward(&p->first[i], dx, rows_at(dy, 0, column), T, i > 0, &own);
	}
}

static void
fused_weights(const struct projection *p, struct rows dy, struct rows x, int T)
{
	struct rows dA = stacked(p, true);
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out)
		linear_base_weights(&p->first[i], rows_at(dy, 0, column), x, T);
	if (dA.data)
		product_of(dA, operand_rows(rows_at(dy, 0, columns_out(p)), true), operand_rows(x, true), p->rank, p->first->in, T, 1,
			1);
}

void
projection_weights(const struct projection *p, struct rows dy, struct rows x, int T, const struct linear_pass *pass)
{
	if (fuses(p, T)) {
		fused_weights(p, dy, x, T);
		return;
	}
	for (int i = 0, column = 0; i < p->n; column += p->first[i++].out) {
		struct linear_pass own = pass_of(p, i, pass);
		linear_weights(&p->first[i], rows_at(dy, 0, column), x, T, &own);
	}
}

/* ---- what stays packed ---- */

void
projection_pack(const struct projection *p, enum num type)
{
	struct operand_part part[2 * MAX_PROJECTED];
	int in = p->first->in, outs = columns_out(p), room = room_of(p->rank, type);
	if (!p->kept[FORWARD])
		return;
	product_keep(type, right_forward(p, part), outs, in + room);
	product_keep(type, right_backward(p, part), in, outs + room);
	for (int i = 0; i < p->n; i++) {
		const struct param *w = p->first[i].w;
		if (w->tensor && w->matrix.data == w->tensor->data)
			st_forget(w->tensor);
	}
}

bool
projection_reads_input(const struct projection *p)
{
	for (int i = 0; i < p->n; i++) {
		const struct linear *l = &p->first[i];
		if (l->w->grad || (l->lora && l->lora->A.grad))
			return true;
	}
	return false;
}

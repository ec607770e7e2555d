/* One side of a product: X[n,k], where k is what the product sums over. It lies in memory as rows of activations or as
 * a weight matrix in any form, with k along the stored rows' elements or from row to row; or it is put together of
 * parts: so the layers that read the same rows become one product, and an adapter some columns more of it. */
#ifndef HONE_MATH_OPERAND_H
#define HONE_MATH_OPERAND_H

#include <stdbool.h>

#include "math/matrix.h"
#include "math/rows.h"

struct operand {
	bool k_rows;             /* stored [k,n]: row r holds X[.,r]; otherwise [n,k] */
	struct rows rows;        /* what lies in memory as fp32 or bf16 */
	const struct matrix *w;  /* or a weight that must be expanded first; else NULL */
	const struct operand_part *part;  /* or parts, in ascending order of k0 where they share an n; elsewhere it is zero */
	int parts;
	void *kept;              /* where the frozen parts stay packed (product_keep); NULL: all are packed for each product */
};

/* Elements n0 .. n0+n-1, k0 .. k0+k-1 are those of x. n0 is a multiple of 16, k0 is even. */
struct operand_part {
	int n0, n, k0, k;
	struct operand x;
	bool frozen;  /* each product has the same */
};

static inline struct operand
operand_rows(struct rows rows, bool k_rows)
{
	return (struct operand){.k_rows = k_rows, .rows = rows};
}

static inline struct operand
operand_parts(const struct operand_part *part, int parts, void *kept)
{
	return (struct operand){.part = part, .parts = parts, .kept = kept};
}

/* What of a part lies within n0 .. n0+nn-1, k0 .. k0+kn-1, numbered as the whole is; whether anything does. */
static inline bool
operand_part_within(const struct operand_part *p, int n0, int nn, int k0, int kn, struct operand_part *within)
{
	int n1 = p->n0 + p->n < n0 + nn ? p->n0 + p->n : n0 + nn, k1 = p->k0 + p->k < k0 + kn ? p->k0 + p->k : k0 + kn;
	int first = p->n0 > n0 ? p->n0 : n0, k = p->k0 > k0 ? p->k0 : k0;
	*within = (struct operand_part){first, n1 - first, k, k1 - k, p->x, p->frozen};
	return n1 > first && k1 > k;
}

/* W with its stored rows along n, or along k. */
static inline struct operand
operand_matrix(const struct matrix *w, bool k_rows)
{
	struct operand o = {.k_rows = k_rows};
	if (w->form == MATRIX_F32 || w->form == MATRIX_BF16)
		o.rows = (struct rows){(void *)(uintptr_t)w->data, matrix_columns(w),
			w->form == MATRIX_F32 ? NUM_F32 : NUM_BF16};
	else
		o.w = w;
	return o;
}

#endif

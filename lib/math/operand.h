/* One side of a product: X[n,k], where k is what the product sums over. It lies in memory as rows of activations or as
 * a weight matrix in any form, with k along the stored rows' elements or from row to row. */
#ifndef HONE_MATH_OPERAND_H
#define HONE_MATH_OPERAND_H

#include <stdbool.h>

#include "math/matrix.h"
#include "math/rows.h"

struct operand {
	bool k_rows;             /* stored [k,n]: row r holds X[.,r]; otherwise [n,k] */
	struct rows rows;        /* what lies in memory as fp32 or bf16 */
	const struct matrix *w;  /* or a weight that must be expanded first; else NULL */
};

static inline struct operand
operand_rows(struct rows rows, bool k_rows)
{
	return (struct operand){k_rows, rows, NULL};
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

/* Products of very few rows with a matrix, as generation computes them token by token: each weight is read once, in the
 * form in which it is stored, and that is what they take. */
#ifndef HONE_MATH_MATVEC_H
#define HONE_MATH_MATVEC_H

#include "math/matrix.h"
#include "math/rows.h"

enum { MATVEC_ROWS = 4, MATVEC_IN = 1 << 16 };

/* Whether T rows are few enough: for more, and for rows longer than any model's, products by blocks are better. */
static inline bool
matvec_suits(const struct matrix *w, int T)
{
	return T <= MATVEC_ROWS && w->in <= MATVEC_IN;
}

/* y[T,out] = beta y + alpha x[T,in] W^T, computed in fp32. With beta 0, y need not be initialised. */
void matvec(struct rows y, struct rows x, const struct matrix *w, int T, float alpha, float beta);

#endif

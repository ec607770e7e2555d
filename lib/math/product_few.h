/* Products of a few rows, as generation makes them: the weights are read once, as they are stored, and what is computed
 * with them hides behind the reading. Internal to lib/math. */
#ifndef HONE_MATH_PRODUCT_FEW_H
#define HONE_MATH_PRODUCT_FEW_H

#include "math/matrix.h"
#include "math/product.h"
#include "math/rows.h"

enum { FEW_ROWS = PRODUCT_FEW_ROWS };

/* y[T,N] = beta y + alpha x[T,K] W' for at most FEW_ROWS rows of any type, in fp32; W' is the matrix as it is stored,
 * or with `nt` transposed (stored [N,K]). */
void product_few(struct rows y, struct rows x, const struct matrix *w, bool nt, int T, int N, int K, float alpha,
	float beta);

/* Whether it can be used: the rows of x are widened into math_scratch(). */
bool product_is_few(int T, int K);

#endif

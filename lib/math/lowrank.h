/* A matrix with a low-rank update, W + scale B A, of which only the norms are wanted (DoRA, Liu et al. 2024). */
#ifndef HONE_MATH_LOWRANK_H
#define HONE_MATH_LOWRANK_H

#include "math/matrix.h"

/* norm[out] = the Euclidean norm of each row of W + scale B A, whose rows are outputs however W is stored; A [r,in],
 * B [out,r]. W is expanded block by block and never held in fp32. */
void lowrank_norms(float *norm, const struct matrix *w, const float *A, const float *B, int r, float scale);

#endif

/* Products of activations and weights: what a linear layer y = x W^T computes forward and backward.
 *
 * T rows; W [out,in] in any form of math/matrix.h. Rows of fp32 are multiplied in fp32; where a row is bf16, on
 * either side, in bf16 with fp32 accumulation. The order of every sum follows from the shapes, never from the number of
 * threads. */
#ifndef HONE_MATH_PRODUCT_H
#define HONE_MATH_PRODUCT_H

#include "math/matrix.h"
#include "math/operand.h"
#include "math/rows.h"

/* y[T,out] = beta y + alpha x[T,in] W^T. With beta 0, y need not be initialised. */
void product_forward(struct rows y, struct rows x, const struct matrix *w, int T, float alpha, float beta);

/* dx[T,in] = beta dx + alpha dy[T,out] W. */
void product_backward(struct rows dx, struct rows dy, const struct matrix *w, int T, float alpha, float beta);

/* dw += alpha dy^T x, stored as W is: [out,in], or [in,out] when `transposed`. */
void product_weight(float *dw, bool transposed, struct rows dy, struct rows x, int T, int out, int in, float alpha);

/* C[M,N] = beta C + alpha A[M,K] B[N,K]^T in the type of A's rows, whatever B lies in; C in fp32 where that is. Only B may have
 * parts, where product_takes_parts. */
void product_of(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta);
bool product_takes_parts(enum num type);

/* Memory, aligned to 64, in which B[N,K]'s frozen parts stay packed from one product to the next where A is of this type; 0
 * when that is not done. product_keep puts them there, with zeros where no part is. */
size_t product_kept_size(enum num type, int N, int K);
void product_keep(enum num type, struct operand b, int N, int K);

enum { PRODUCT_FEW_ROWS = 4 };  /* up to so many rows, the first two above read each weight once, as it is stored */

#endif

/* Element-wise work on long vectors and on rows, in parallel. */
#ifndef HONE_MATH_VECTOR_H
#define HONE_MATH_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "math/matrix.h"
#include "math/rows.h"

void vec_zero(float *x, size_t n);
double vec_sum_squares(const float *x, size_t n);                    /* in a fixed order, whatever the threads */

void rows_add(struct rows out, struct rows x, int T, int C);         /* out[T,C] += x */
void rows_add_row(struct rows out, const float *row, int T, int C);  /* out[T,C] += row[C] */
void rows_sum(float *out, struct rows x, int T, int C);              /* out[C] += sum over t of x[T,C] */
void rows_scale(struct rows x, float by, int T, int C);              /* x[T,C] *= by */

/* out[n,r] += x[r,n], turned. */
void add_turned(float *out, const float *x, int n, int r);

/* out[T,C] = beta out + (gain[C] + offset) * x; gain NULL stands for zeros; out may be x. With beta 0, out need not be
 * initialised. And out[C] += sum over t of x[T,C] * y[T,C] / divisor[C]. */
void rows_gain(struct rows out, struct rows x, const float *gain, float offset, float beta, int T, int C);
void rows_dot(float *out, struct rows x, struct rows y, const float *divisor, int T, int C);

/* out[T,C] = x with each element zeroed with probability p, the rest divided by 1 - p; out may be x. Which ones is a
 * function of (key of the row, salt, column), so that backward draws the same mask again, wherever the row lies. */
void rows_dropout(struct rows out, struct rows x, int T, int C, float p, const uint64_t *key, uint64_t salt);

/* out[T,C] += noise, uniform in (-amplitude, amplitude), a function of key, salt and column as above. */
void rows_noise(struct rows out, int T, int C, float amplitude, const uint64_t *key, uint64_t salt);

/* Columns of a matrix [r,V] stored row by row: out[T,r] = m[:,ids[t]], and its backward dm[:,ids[t]] += dout[t]; the id
 * `skip` gets none (-1: all do), as a padding token does not. */
void columns_forward(struct rows out, const float *m, const int32_t *ids, int T, int r, int V);
void columns_backward(float *dm, struct rows dout, const int32_t *ids, int skip, int T, int r, int V);

/* Rows of a table [V,C]: out[T,C] = table[ids[t]], or += for _add, and the backward of both, dtable[ids[t]] += dout[t];
 * `skip` as above. */
void embedding_forward(struct rows out, const struct matrix *table, const int32_t *ids, int T);
void embedding_add(struct rows out, const struct matrix *table, const int32_t *ids, int T);
void embedding_backward(float *dtable, struct rows dout, const int32_t *ids, int skip, int T, int C);

/* Rows chosen by index: out[n,C] = x[index[i]]; the backward adds: dx[index[i]] += dout[i]; indices are distinct. */
void rows_gather(struct rows out, struct rows x, const int32_t *index, int n, int C);
void rows_scatter_add(struct rows dx, struct rows dout, const int32_t *index, int n, int C);

#endif

/* Element-wise work on long vectors, in parallel. */
#ifndef HONE_MATH_VECTOR_H
#define HONE_MATH_VECTOR_H

#include <stddef.h>
#include <stdint.h>

void vec_add(float *out, const float *x, size_t n);                  /* out += x */
void vec_add_row(float *out, const float *row, int T, int C);        /* out[T,C] += row[C] */
void vec_sum_rows(float *out, const float *x, int T, int C);         /* out[C] += sum over t of x[T,C] */
void vec_zero(float *x, size_t n);
double vec_sum_squares(const float *x, size_t n);                    /* in a fixed order, whatever the threads */

/* out[T,C] = x with each element zeroed with probability p, the rest divided by 1 - p; out may be x. Which ones is a
 * function of (key of the row, salt, column), so that backward draws the same mask again, wherever the row lies. */
void rows_dropout(float *out, const float *x, int T, int C, float p, const uint64_t *key, uint64_t salt);

/* Rows of a table: out[T,C] = table[ids[t]], and its backward dtable[ids[t]] += dout[t]. */
void embedding_forward(float *out, const float *table, const int32_t *ids, int T, int C);
void embedding_backward(float *dtable, const float *dout, const int32_t *ids, int T, int C);

/* Rows chosen by index: out[n,C] = x[rows[i]]; the backward adds: dx[rows[i]] += dout[i]; rows are distinct. */
void rows_gather(float *out, const float *x, const int32_t *rows, int n, int C);
void rows_scatter_add(float *dx, const float *dout, const int32_t *rows, int n, int C);

#endif

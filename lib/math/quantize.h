/* Matrices in 8 and in 4 bits, made out of such in any other form.
 *
 * MATRIX_INT8: a row as stored is its largest magnitude / 127 and a whole number of such steps for each element,
 * rounded to the nearest: the weights of LLM.int8 (Dettmers et al. 2022). Activations are not quantised, so none of
 * its outliers need a path of their own.
 *
 * MATRIX_NF4: NormalFloat4 with double quantisation (Dettmers et al. 2023, "QLoRA"), element for element as
 * bitsandbytes has it: 64 elements, counted on from one stored row to the next, are their largest magnitude and for
 * each the nearest of the sixteen quantiles of nf4_code, two to a byte, the first in the high half. The magnitudes of
 * a matrix are their mean, and what is above or below it in the dynamic map of math/dynamic8.h, 256 to a block. */
#ifndef HONE_MATH_QUANTIZE_H
#define HONE_MATH_QUANTIZE_H

#include "base/arena.h"
#include "math/matrix.h"

/* Gives the matrix, of which the shape is set, memory in one of these forms out of the arena. */
void quantize_place(struct matrix *m, enum matrix_form form, struct arena *a);

/* Puts n elements from `first` on, counted as they are stored, into `to`. Called by several threads at once. */
typedef void quantize_read(void *ctx, size_t first, size_t n, float *to);

/* Fills a matrix that has memory. Call it outside of parallel regions. -1 when an element is infinite or not a number,
 * which none of these forms can hold; the matrix is unusable then. */
int quantize(const struct matrix *m, quantize_read *read, void *ctx);

#endif

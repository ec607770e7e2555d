/* A parameter: one tensor of the checkpoint or of an adapter. */
#ifndef HONE_MODEL_PARAM_H
#define HONE_MODEL_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "fmt/safetensors.h"
#include "math/matrix.h"

/* Where random weights come from. */
enum init { INIT_NORMAL, INIT_RESIDUAL, INIT_ZERO, INIT_ONE };

struct param {
	char *name;            /* as the full checkpoint has it: "model.norm.weight" */
	int layer;             /* that it belongs to; -1: what comes before the layers; L: what comes after them */
	enum init init;
	int rank;              /* 1: a norm's weight or a bias; 2: a matrix */
	int rows, columns;     /* as stored; rank 1: rows elements, columns 1 */
	bool transposed;       /* a linear layer's matrix stored [in,out] */
	float *value;          /* in fp32: read only where it lies in the mapped file; NULL: only `matrix` has it */
	struct matrix matrix;  /* rank 2: as the products read it */
	float *grad;           /* as value; NULL when frozen */
	enum st_dtype stored;  /* its dtype in the base checkpoint */
	const struct st_tensor *tensor;  /* where the mapped checkpoint has it; NULL: nowhere */
	bool packed;           /* products read a packed copy of it: where it lies it is not read again */
	bool scales;           /* a vector that scales the rows of a matrix (DoRA's magnitudes) */
};

static inline size_t
param_size(const struct param *p)
{
	return (size_t)p->rows * (size_t)p->columns;
}

/* Puts fp32 values at `value` in the place of those there were. */
void param_place(struct param *p, float *value);

/* Puts a matrix in another form in their place. */
void param_place_matrix(struct param *p, enum matrix_form form, const void *data);

/* Quantises a matrix out of its tensor, in memory of the arena; while the arena counts, nothing but that. ERR_CONFIG
 * when it holds something that is no number. The tensor's pages are given back: they were read for the last time. */
int param_quantize(struct param *p, enum matrix_form form, struct arena *a, struct err *e);

/* Copies n values from element `first` on, whatever their form. */
void param_read(const struct param *p, size_t first, size_t n, float *to);

/* The same, but as the checkpoint has them where it has been quantised. */
void param_read_exact(const struct param *p, size_t first, size_t n, float *to);

/* AdamW decays matrices, not biases or norms; and DoRA's magnitudes, as under Trainer. */
static inline bool
param_decays(const struct param *p)
{
	return p->rank > 1 || p->scales;
}

#endif

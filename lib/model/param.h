/* A parameter: one tensor of the checkpoint or of an adapter. */
#ifndef HONE_MODEL_PARAM_H
#define HONE_MODEL_PARAM_H

#include <stdbool.h>
#include <stddef.h>

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

/* Copies n values from element `first` on, whatever their form. */
void param_read(const struct param *p, size_t first, size_t n, float *to);

/* AdamW decays matrices, not biases or norms; and DoRA's magnitudes, as under Trainer. */
static inline bool
param_decays(const struct param *p)
{
	return p->rank > 1 || p->scales;
}

#endif

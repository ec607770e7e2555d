/* A parameter: one tensor of the checkpoint or of an adapter. */
#ifndef HONE_MODEL_PARAM_H
#define HONE_MODEL_PARAM_H

#include <stdbool.h>
#include <stddef.h>

#include "fmt/safetensors.h"

struct param {
	char *name;            /* as the checkpoint has it: "model.norm.weight" */
	int rank;              /* 1: a norm's weight or a bias; 2: [rows, columns] */
	int rows, columns;     /* rank 1: rows elements, columns 1 */
	float *value;          /* [rows, columns]; of a frozen parameter it may lie in the mapped file: read only */
	float *grad;           /* as value; NULL when frozen */
	enum st_dtype stored;  /* its dtype in the base checkpoint */
};

static inline size_t
param_size(const struct param *p)
{
	return (size_t)p->rows * (size_t)p->columns;
}

/* AdamW decays matrices, not biases or norms. */
static inline bool
param_decays(const struct param *p)
{
	return p->rank > 1;
}

#endif

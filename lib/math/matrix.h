/* A weight matrix W [out,in] as it lies in memory. Frozen weights stay in the form in which they are stored, mapped
 * from the checkpoint or quantised; the products (math/product.h) expand them block by block on the way. */
#ifndef HONE_MATH_MATRIX_H
#define HONE_MATH_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum matrix_form { MATRIX_F32, MATRIX_BF16, MATRIX_F16, MATRIX_INT8, MATRIX_NF4 };

enum { NF4_BLOCK = 64 };  /* elements of MATRIX_NF4 that share a magnitude */
extern const float nf4_code[16];

struct matrix {
	enum matrix_form form;
	bool transposed;       /* stored [in,out] (GPT-2's Conv1D); otherwise [out,in] */
	int out, in;
	const void *data;      /* rows without gaps; any alignment for BF16 and F16 */

	/* The two quantised forms, which math/quantize.h makes and explains. */
	const float *scale;    /* INT8: the step of each stored row; NF4: the mean magnitude, then 256 blocks' each */
	const uint8_t *block;  /* NF4: of each block, how far its magnitude is from the mean */
};

static inline int
matrix_rows(const struct matrix *m)
{
	return m->transposed ? m->in : m->out;
}

static inline int
matrix_columns(const struct matrix *m)
{
	return m->transposed ? m->out : m->in;
}

static inline bool
matrix_is_quantised(const struct matrix *m)
{
	return m->form == MATRIX_INT8 || m->form == MATRIX_NF4;
}

/* to[n,nc] (row distance ld) = stored rows r .. r+n-1, columns c .. c+nc-1, in fp32. */
void matrix_expand(float *to, int ld, const struct matrix *m, int r, int n, int c, int nc);

#endif

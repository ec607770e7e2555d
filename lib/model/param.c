#include "model/param.h"

#include <string.h>

void
param_place_matrix(struct param *p, enum matrix_form form, const void *data)
{
	p->value = NULL;
	p->matrix = (struct matrix){.form = form, .transposed = p->transposed, .data = data,
		.out = p->transposed ? p->columns : p->rows, .in = p->transposed ? p->rows : p->columns};
}

void
param_place(struct param *p, float *value)
{
	param_place_matrix(p, MATRIX_F32, value);
	p->value = value;
}

void
param_read(const struct param *p, size_t first, size_t n, float *to)
{
	if (p->value) {
		memcpy(to, p->value + first, n * sizeof *to);
		return;
	}
	size_t columns = (size_t)p->columns;
	for (size_t done = 0; done < n;) {
		size_t at = first + done, c = at % columns, k = columns - c < n - done ? columns - c : n - done;
		matrix_expand(to + done, (int)k, &p->matrix, (int)(at / columns), 1, (int)c, (int)k);
		done += k;
	}
}

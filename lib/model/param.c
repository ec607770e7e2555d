#include "model/param.h"

#include <string.h>

#include "math/quantize.h"

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

static void
read_tensor(void *tensor, size_t first, size_t n, float *to)
{
	st_to_f32(tensor, first, n, to);
}

int
param_quantize(struct param *p, enum matrix_form form, struct arena *a, struct err *e)
{
	param_place_matrix(p, form, NULL);
	quantize_place(&p->matrix, form, a);
	if (!a->base)
		return 0;
	if (quantize(&p->matrix, read_tensor, (void *)(uintptr_t)p->tensor) < 0)
		return err_set(e, ERR_CONFIG, "tensor '%s' holds an infinity or a NaN and cannot be quantised",
			p->name);
	st_forget(p->tensor);
	return 0;
}

void
param_read_exact(const struct param *p, size_t first, size_t n, float *to)
{
	if (p->tensor)
		st_to_f32(p->tensor, first, n, to);
	else
		param_read(p, first, n, to);
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

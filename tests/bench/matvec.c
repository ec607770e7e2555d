/* How fast a matrix is read by a product with one row, in each form, against how fast memory can be read at all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "math/gemm.h"
#include "math/product.h"
#include "math/quantize.h"
#include "read_rate.h"

enum { OUT = 4864, IN = 896, MATRICES = 24, REPEAT = 7 };  /* the widest of Qwen2.5-0.5B, of each layer its own */

static float weights[OUT * IN];

static void
read_weights(void *ctx, size_t first, size_t n, float *to)
{
	(void)ctx;
	memcpy(to, weights + first, n * sizeof *to);
}

static size_t
bytes_of(enum matrix_form form)
{
	const size_t n = (size_t)OUT * IN;
	return form == MATRIX_F32 ? 4 * n : form == MATRIX_INT8 ? n : form == MATRIX_NF4 ? n / 2 + n / 64 : 2 * n;
}

static struct matrix
make(enum matrix_form form, struct arena *a)
{
	struct matrix m = {.form = form, .out = OUT, .in = IN};
	for (int pass = 0; pass < 2; pass++) {
		if (form == MATRIX_INT8 || form == MATRIX_NF4)
			quantize_place(&m, form, a);
		else
			m.data = arena_take(a, bytes_of(form), 1);
		if (pass == 0)
			arena_make(a);
	}
	if (form == MATRIX_INT8 || form == MATRIX_NF4)
		quantize(&m, read_weights, NULL);
	else
		memset((void *)(uintptr_t)m.data, 0x3c, bytes_of(form));
	return m;
}

static double
product_rate(enum matrix_form form, int T)
{
	static float x[4 * IN], y[4 * OUT];
	struct arena a[MATRICES] = {0};
	struct matrix m[MATRICES];
	double best = 1e30;
	for (int i = 0; i < MATRICES; i++)
		m[i] = make(form, &a[i]);
	for (int r = 0; r < REPEAT; r++) {
		double start = clock_seconds();
		for (int i = 0; i < MATRICES; i++)
			product_forward(rows_f32(y, OUT), rows_f32(x, IN), &m[i], T, 1, 0);
		double took = clock_seconds() - start;
		best = took < best ? took : best;
	}
	for (int i = 0; i < MATRICES; i++)
		arena_release(&a[i]);
	return (double)bytes_of(form) * MATRICES / best;
}

int
main(int argc, char **argv)
{
	static const char *const names[] = {"f32", "bf16", "f16", "int8", "nf4"};
	(void)argc;
	math_start(argv);
	math_set_threads(0);
	for (size_t i = 0; i < (size_t)OUT * IN; i++)
		weights[i] = (float)(i * 2654435761u % 1000) / 1000 - 0.5f;
	double rate = read_rate();
	printf("%d threads read %.1f GB/s\n", math_threads(), rate / 1e9);
	printf("form   GB/s  of it  G weights/s  GB/s with 4 rows\n");
	for (int f = MATRIX_F32; f <= MATRIX_NF4; f++) {
		double one = product_rate((enum matrix_form)f, 1), four = product_rate((enum matrix_form)f, 4);
		printf("%-5s %6.1f %4.0f %%  %11.1f  %6.1f\n", names[f], one / 1e9, 100 * one / rate,
			one / (double)bytes_of((enum matrix_form)f) * OUT * IN / 1e9, four / 1e9);
	}
	return 0;
}

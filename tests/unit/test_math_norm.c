/* RMSNorm against its definition in double precision. */
#include "numeric.h"

#include "math/norm.h"

static const double eps = 1e-5;

struct norm {
	int T, C;
	double *x, *w, *dout;
};

static void
reference(const struct norm *n, double *out)
{
	for (int t = 0; t < n->T; t++) {
		const double *x = n->x + (ptrdiff_t)t * n->C;
		double square = 0;
		for (int c = 0; c < n->C; c++)
			square += x[c] * x[c];
		for (int c = 0; c < n->C; c++)
			out[t * n->C + c] = x[c] / sqrt(square / n->C + eps) * n->w[c];
	}
}

static double
loss(void *ctx)
{
	struct norm *n = ctx;
	double *out = xreallocarray(NULL, (size_t)(n->T * n->C), sizeof *out), sum = 0;
	reference(n, out);
	for (int i = 0; i < n->T * n->C; i++)
		sum += n->dout[i] * out[i];
	free(out);
	return sum;
}

static const int sizes[][2] = {{1, 1}, {3, 2}, {2, 7}, {5, 13}, {1, 16}, {7, 17}, {2, 31}, {3, 65}, {4, 127}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void
test_forward(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		int T = sizes[s][0], C = sizes[s][1];
		size_t n = (size_t)(T * C);
		float *x = random_floats(n, 3, s), *w = random_floats((size_t)C, 1, s + 100), *out = random_floats(n, 1, 0);
		float *rstd = random_floats((size_t)T, 1, 0), *again = random_floats(n, 1, 0);
		struct norm ref = {T, C, to_double(x, n), to_double(w, (size_t)C), NULL};
		double *want = to_double(x, n);
		reference(&ref, want);
		rmsnorm_forward(rows_f32(out, C), rstd, rows_f32(x, C), w, T, 1, C, (float)eps);
		assert_all_near(out, want, n, 1e-6);
		rmsnorm_again(rows_f32(again, C), rstd, rows_f32(x, C), w, T, 1, C);
		assert_same_floats(again, out, n);
		rmsnorm_forward(rows_f32(x, C), rstd, rows_f32(x, C), w, T, 1, C, (float)eps);
		assert_same_floats(x, out, n);
		release_all();
	}
}

static void
test_backward(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		int T = sizes[s][0], C = sizes[s][1];
		size_t n = (size_t)(T * C), m = (size_t)C;
		float *x = random_floats(n, 2, s), *w = random_floats(m, 1, s + 100), *dout = random_floats(n, 1, s + 200);
		float *out = random_floats(n, 1, 0), *rstd = random_floats((size_t)T, 1, 0);
		float *dx0 = random_floats(n, 1, 1), *dw0 = random_floats(m, 1, 2), *dx = copy_floats(dx0, n),
		      *dw = copy_floats(dw0, m), *dx_only = copy_floats(dx0, n), *kept = copy_floats(dout, n), *in_place;
		struct norm ref = {T, C, to_double(x, n), to_double(w, m), to_double(dout, n)};
		rmsnorm_forward(rows_f32(out, C), rstd, rows_f32(x, C), w, T, 1, C, (float)eps);
		rmsnorm_backward(rows_f32(dx_only, C), 1, NULL, rows_f32(dout, C), rows_f32(x, C), w, rstd, T, 1, C);
		rmsnorm_backward(rows_f32(dx, C), 1, dw, rows_f32(dout, C), rows_f32(x, C), w, rstd, T, 1, C);
		assert_same_floats(dout, kept, n);
		assert_same_floats(dx, dx_only, n);
		in_place = copy_floats(dout, n);
		rmsnorm_backward(rows_f32(in_place, C), 0, NULL, rows_f32(in_place, C), rows_f32(x, C), w, rstd, T, 1, C);
		for (size_t i = 0; i < n; i++)
			assert_true(dx0[i] + in_place[i] == dx[i]);
		if (C > 1)  /* the norm of one element is its sign: its gradient is that of eps, lost in rounding */
			assert_gradient(dx, dx0, ref.x, n, loss, &ref, 0, 1e-5);
		assert_gradient(dw, dw0, ref.w, m, loss, &ref, 0, 1e-5);
		release_all();
	}
}

static void
test_zero_row(void **state)
{
	(void)state;
	float x[3] = {0}, w[3] = {1, 2, 3}, out[3] = {7, 7, 7}, rstd[1];
	rmsnorm_forward(rows_f32(out, 3), rstd, rows_f32(x, 3), w, 1, 1, 3, (float)eps);
	for (int i = 0; i < 3; i++)
		assert_true(out[i] == 0);
	assert_near((double)rstd[0], 1 / sqrt(eps), 1e-4 / sqrt(eps));
}

/* Groups of a row, as heads are, are rows of their own; rows may lie apart, and may be bf16. */
static void
test_groups_and_types(void **state)
{
	(void)state;
	enum { T = 5, G = 3, C = 21, LD = G * C + 7, N = T * G };
	float *x = random_floats(T * LD, 2, 1), *w = random_floats(C, 1, 2), *dout = random_floats(T * LD, 1, 3);
	float *out = random_floats(T * LD, 1, 4), *rstd = random_floats(N, 1, 0), *dw = random_floats(C, 1, 5);
	float *dx = random_floats(T * LD, 1, 6), *one = random_floats(C, 1, 0), *one_dx = random_floats(C, 1, 0);
	float *one_dw = copy_floats(dw, C);
	uint16_t half[T * LD], half_out[T * LD];
	for (int i = 0; i < T * LD; i++)
		x[i] = bf16_to_f32(half[i] = bf16_from_f32(x[i]));
	rmsnorm_forward(rows_f32(out, LD), rstd, rows_f32(x, LD), w, T, G, C, (float)eps);
	rmsnorm_forward((struct rows){half_out, LD, NUM_BF16}, rstd, (struct rows){half, LD, NUM_BF16}, w, T, G, C, (float)eps);
	rmsnorm_backward(rows_f32(dx, LD), 0, dw, rows_f32(dout, LD), (struct rows){half, LD, NUM_BF16}, w, rstd, T, G, C);
	for (int i = 0; i < N; i++) {
		int at = i / G * LD + i % G * C;
		float r;
		rmsnorm_forward(rows_f32(one, C), &r, rows_f32(x + at, C), w, 1, 1, C, (float)eps);
		rmsnorm_backward(rows_f32(one_dx, C), 0, one_dw, rows_f32(dout + at, C), rows_f32(x + at, C), w, &r, 1, 1, C);
		assert_true(r == rstd[i]);
		assert_same_floats(out + at, one, C);
		assert_same_floats(dx + at, one_dx, C);
		for (int c = 0; c < C; c++)
			assert_int_equal(half_out[at + c], bf16_from_f32(one[c]));
	}
	assert_same_floats(dw, one_dw, C);
	release_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_backward),
		cmocka_unit_test(test_zero_row),
		cmocka_unit_test(test_groups_and_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

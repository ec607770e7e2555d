/* SwiGLU against its definition in double precision. */
#include "numeric.h"

#include "math/activation.h"

static double
swiglu(double gate, double up)
{
	return gate / (1 + exp(-gate)) * up;
}

struct element {
	double gate, up;
};

static double
at(void *ctx)
{
	const struct element *x = ctx;
	return swiglu(x->gate, x->up);
}

/* 4097: one more than a block of the kernel. */
static const size_t sizes[] = {1, 2, 3, 7, 13, 17, 31, 33, 65, 127, 4097};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void
test_forward(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		size_t n = sizes[s];
		float *gate = random_floats(n, 3, s), *up = random_floats(n, 1, s + 100), *out = random_floats(n, 1, 0);
		double *want = to_double(gate, n);
		for (size_t i = 0; i < n; i++)
			want[i] = swiglu((double)gate[i], (double)up[i]);
		swiglu_forward(rows_f32(out, (int)n), rows_f32(gate, (int)n), rows_f32(up, (int)n), 1, (int)n);
		assert_all_near(out, want, n, 1e-6);
		swiglu_forward(rows_f32(gate, (int)n), rows_f32(gate, (int)n), rows_f32(up, (int)n), 1, (int)n);
		assert_same_floats(gate, out, n);
		release_all();
	}
}

static void
test_backward(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		size_t n = sizes[s];
		float *gate = random_floats(n, 3, s), *up = random_floats(n, 1, s + 100), *dout = random_floats(n, 1, s + 200);
		float *dgate = random_floats(n, 1, 0), *dup = random_floats(n, 1, 0);
		double *want_gate = to_double(gate, n), *want_up = to_double(gate, n);
		for (size_t i = 0; i < n; i++) {
			struct element x = {(double)gate[i], (double)up[i]};
			want_gate[i] = (double)dout[i] * derivative(at, &x, &x.gate);
			want_up[i] = (double)dout[i] * derivative(at, &x, &x.up);
		}
		swiglu_backward(rows_f32(dgate, (int)n), rows_f32(dup, (int)n), rows_f32(dout, (int)n), rows_f32(gate, (int)n), rows_f32(up, (int)n), 1, (int)n);
		assert_all_near(dgate, want_gate, n, 1e-6);
		assert_all_near(dup, want_up, n, 1e-6);
		swiglu_backward(rows_f32(dout, (int)n), rows_f32(dup, (int)n), rows_f32(dout, (int)n), rows_f32(gate, (int)n), rows_f32(up, (int)n), 1, (int)n);
		assert_same_floats(dout, dgate, n);
		release_all();
	}
}

static void
test_extremes(void **state)
{
	(void)state;
	float gate[4] = {-1000, -90, 90, 1000}, up[4] = {2, 2, 2, 2}, dout[4] = {1, 1, 1, 1}, out[4], dgate[4], dup[4];
	swiglu_forward(rows_f32(out, 4), rows_f32(gate, 4), rows_f32(up, 4), 1, 4);
	swiglu_backward(rows_f32(dgate, 4), rows_f32(dup, 4), rows_f32(dout, 4), rows_f32(gate, 4), rows_f32(up, 4), 1, 4);
	for (int i = 0; i < 4; i++) {
		assert_near((double)out[i], i < 2 ? 0 : 2 * (double)gate[i], 1e-3);
		assert_near((double)dgate[i], i < 2 ? 0 : 2, 1e-3);
		assert_near((double)dup[i], i < 2 ? 0 : (double)gate[i], 1e-3);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_backward),
		cmocka_unit_test(test_extremes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

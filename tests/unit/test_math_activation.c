/* Activations, plain and as gates, against their definitions in double precision. */
#include "numeric.h"

#include "math/activation.h"
#include "math/bf16_kernel.h"
#include "math/gemm.h"

static const enum activation kinds[] = {ACT_SILU, ACT_GELU, ACT_GELU_TANH, ACT_QUICK_GELU, ACT_RELU};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const struct rows none;

static double
f(enum activation kind, double x)
{
	switch (kind) {
	case ACT_SILU:
		return x / (1 + exp(-x));
	case ACT_GELU:
		return 0.5 * x * erfc(-x / sqrt(2));
	case ACT_GELU_TANH:
		return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
	case ACT_QUICK_GELU:
		return x / (1 + exp(-1.702 * x));
	case ACT_RELU:
		return fmax(x, 0);
	}
	return NAN;
}

struct element {
	enum activation kind;
	double gate, up;
};

static double
at(void *ctx)
{
	const struct element *x = ctx;
	return f(x->kind, x->gate) * x->up;
}

/* 4097: one more than some blocks of the kernel. */
static const size_t sizes[] = {1, 2, 3, 7, 13, 17, 31, 33, 65, 127, 4097};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void
check_forward(enum activation kind, size_t s)
{
	size_t n = sizes[s];
	int F = (int)n;
	float *gate = random_floats(n, 3, s), *up = random_floats(n, 1, s + 100), *out = random_floats(n, 1, 0);
	double *want = to_double(gate, n), *gated = to_double(gate, n);
	for (size_t i = 0; i < n; i++) {
		want[i] = f(kind, (double)gate[i]);
		gated[i] = want[i] * (double)up[i];
	}
	gated_forward(kind, rows_f32(out, F), rows_f32(gate, F), rows_f32(up, F), 1, F);
	assert_all_near(out, gated, n, 1e-6);
	gated_forward(kind, rows_f32(up, F), rows_f32(gate, F), rows_f32(up, F), 1, F);
	assert_same_floats(up, out, n);
	activation_forward(kind, rows_f32(out, F), rows_f32(gate, F), 1, F);
	assert_all_near(out, want, n, 1e-6);
	activation_forward(kind, rows_f32(gate, F), rows_f32(gate, F), 1, F);
	assert_same_floats(gate, out, n);
	release_all();
}

static void
test_forward(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		for (size_t s = 0; s < N_SIZES; s++)
			check_forward(kinds[k], s);
}

static void
check_backward(enum activation kind, size_t s)
{
	size_t n = sizes[s];
	int F = (int)n;
	float *gate = random_floats(n, 3, s), *up = random_floats(n, 1, s + 100), *dout = random_floats(n, 1, s + 200);
	float *dgate = random_floats(n, 1, 0), *dup = random_floats(n, 1, 0), *dx = random_floats(n, 1, 0);
	double *want_gate = to_double(gate, n), *want_up = to_double(gate, n), *want = to_double(gate, n);
	for (size_t i = 0; i < n; i++) {
		struct element x = {kind, (double)gate[i], (double)up[i]}, plain = {kind, (double)gate[i], 1};
		want_gate[i] = (double)dout[i] * derivative(at, &x, &x.gate);
		want_up[i] = (double)dout[i] * derivative(at, &x, &x.up);
		want[i] = (double)dout[i] * derivative(at, &plain, &plain.gate);
	}
	gated_backward(kind, none, rows_f32(dgate, F), rows_f32(dup, F), rows_f32(dout, F), rows_f32(gate, F), rows_f32(up, F), 1, F);
	assert_all_near(dgate, want_gate, n, 1e-6);
	assert_all_near(dup, want_up, n, 1e-6);
	activation_backward(kind, none, rows_f32(dx, F), rows_f32(dout, F), rows_f32(gate, F), 1, F);
	assert_all_near(dx, want, n, 1e-6);
	float *in_place = copy_floats(dout, n);
	activation_backward(kind, none, rows_f32(in_place, F), rows_f32(in_place, F), rows_f32(gate, F), 1, F);
	assert_same_floats(in_place, dx, n);
	gated_backward(kind, none, rows_f32(dout, F), rows_f32(dup, F), rows_f32(dout, F), rows_f32(gate, F), rows_f32(up, F), 1, F);
	assert_same_floats(dout, dgate, n);
	release_all();
}

static void
test_backward(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		for (size_t s = 0; s < N_SIZES; s++)
			check_backward(kinds[k], s);
}

/* Far out every one of them is 0 on one side and x on the other. */
static void
check_extremes(enum num type)
{
	for (size_t k = 0; k < N_KINDS; k++) {
		float x[6] = {-1e30f, -1000, -90, 90, 1000, 1e30f}, two[6] = {2, 2, 2, 2, 2, 2}, one[6] = {1, 1, 1, 1, 1, 1};
		float memory[6][6];
		struct rows r[6];
		for (int i = 0; i < 6; i++)
			r[i] = (struct rows){memory[i], 6, type};
		rows_copy(r[0], rows_f32(x, 6), 1, 6);
		rows_copy(r[1], rows_f32(two, 6), 1, 6);
		rows_copy(r[2], rows_f32(one, 6), 1, 6);
		gated_forward(kinds[k], r[3], r[0], r[1], 1, 6);
		gated_backward(kinds[k], none, r[4], r[5], r[2], r[0], r[1], 1, 6);
		for (size_t i = 0; i < 6; i++) {
			double at = (double)x[i], near = 1e-3 * fmax(1, fabs(at) / 1e4), rounding = type == NUM_BF16 ? 1.0 / 128 : 0;
			double value = i < 3 ? 0 : at, slope = i < 3 ? 0 : 2;
			assert_near((double)num_load(r[3].data, i, type), 2 * value, near + 2 * value * rounding);
			assert_near((double)num_load(r[5].data, i, type), value, near + value * rounding);
			assert_near((double)num_load(r[4].data, i, type), slope, near);
		}
	}
}

static void
test_extremes(void **state)
{
	(void)state;
	check_extremes(NUM_F32);
	check_extremes(NUM_BF16);
}

/* n of bf16 against fp32 rounded to it. Where a kernel has exponentials of its own, what it rounds may differ as fp32 does. */
static void
assert_rounded(const uint16_t *half, const float *full, int n)
{
	for (int i = 0; i < n; i++)
		if (bf16_instructions())
			assert_near((double)bf16_to_f32(half[i]), (double)full[i], fabs((double)full[i]) / 256 + 2e-6);
		else
			assert_int_equal(half[i], bf16_from_f32(full[i]));
}

/* bf16 rows, apart from each other: computed in fp32 and rounded. Shared out among threads, the same. */
static void
check_types(enum activation kind)
{
	enum { T = 37, F = 601, LD = 2 * F + 5, N = T * LD };
	float *x = random_floats(N, 2, 1), *out = random_floats(N, 1, 2), *d = random_floats(N, 1, 3), *dx = random_floats(N, 1, 4);
	uint16_t *half = hold(xreallocarray(NULL, N, sizeof *half)), *half_out = hold(xreallocarray(NULL, N, sizeof *half)),
		 *half_d = hold(xreallocarray(NULL, N, sizeof *half));
	for (int i = 0; i < N; i++)
		x[i] = bf16_to_f32(half[i] = bf16_from_f32(x[i]));
	struct rows hx = {half, LD, NUM_BF16}, ho = {half_out, LD, NUM_BF16}, hd = {half_d, LD, NUM_BF16}, fx = rows_f32(x, LD), fo = rows_f32(out, LD),
		fd = rows_f32(dx, LD);
	math_set_threads(1);
	gated_forward(kind, fo, fx, rows_at(fx, 0, F), T, F);
	math_set_threads(3);
	gated_forward(kind, ho, hx, rows_at(hx, 0, F), T, F);
	for (int t = 0; t < T; t++)
		assert_rounded(half_out + t * LD, out + t * LD, F);
	for (int i = 0; i < N; i++)
		d[i] = bf16_to_f32(half_d[i] = bf16_from_f32(d[i]));
	gated_backward(kind, none, fd, rows_at(fd, 0, F), rows_f32(d, LD), fx, rows_at(fx, 0, F), T, F);
	gated_backward(kind, none, ho, rows_at(ho, 0, F), hd, hx, rows_at(hx, 0, F), T, F);
	for (int t = 0; t < T; t++)
		assert_rounded(half_out + t * LD, dx + t * LD, 2 * F);
	activation_forward(kind, fo, fx, T, F);
	activation_forward(kind, ho, hx, T, F);
	activation_backward(kind, none, fd, rows_f32(d, LD), fx, T, F);
	for (int t = 0; t < T; t++)
		for (int c = 0; c < F; c++)
			assert_int_equal(half_out[t * LD + c], bf16_from_f32(out[t * LD + c]));
	activation_backward(kind, none, ho, rows_f32(d, LD), hx, T, F);
	for (int t = 0; t < T; t++)
		for (int c = 0; c < F; c++)
			assert_int_equal(half_out[t * LD + c], bf16_from_f32(dx[t * LD + c]));
	release_all();
}

/* Backward gives again what forward gave, in both types, and all else as if it did not; dgate in the place of dout. */
static void
check_again(enum activation kind, enum num type)
{
	enum { T = 3, F = 1061, N = T * F };
	struct rows r[8];
	for (uint64_t i = 0; i < 8; i++) {
		r[i] = (struct rows){hold(xreallocarray(NULL, N, sizeof(float))), F, type};
		rows_copy(r[i], rows_f32(random_floats(N, 2, i < 3 ? i : 9), F), T, F);
	}
	struct rows gate = r[0], up = r[1], dout = r[2];
	size_t bytes = N * num_size(type);
	gated_forward(kind, r[3], gate, up, T, F);
	gated_backward(kind, none, r[4], r[5], dout, gate, up, T, F);
	rows_copy(r[7], dout, T, F);
	gated_backward(kind, r[6], r[7], r[2], r[7], gate, up, T, F);
	assert_memory_equal(r[6].data, r[3].data, bytes);
	assert_memory_equal(r[7].data, r[4].data, bytes);
	assert_memory_equal(r[2].data, r[5].data, bytes);
	activation_forward(kind, r[3], gate, T, F);
	activation_backward(kind, none, r[4], up, gate, T, F);
	activation_backward(kind, r[6], r[5], up, gate, T, F);
	assert_memory_equal(r[6].data, r[3].data, bytes);
	assert_memory_equal(r[5].data, r[4].data, bytes);
	release_all();
}

static void
test_again(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++) {
		check_again(kinds[k], NUM_F32);
		check_again(kinds[k], NUM_BF16);
	}
}

/* The bf16 gates, which have kernels of their own, against those for all types. */
static void
test_gates(void **state)
{
	(void)state;
	enum { T = 5, F = 1093, N = T * F };
	for (size_t k = 0; k < N_KINDS; k++) {
		float *x = random_floats(2 * N, 3, 1), *d = random_floats(N, 1, 2), *out = random_floats(3 * N, 1, 3);
		uint16_t *half = hold(xreallocarray(NULL, 6 * N, sizeof *half));
		struct rows h[6], f[3] = {rows_f32(out, F), rows_f32(out + N, F), rows_f32(out + 2 * N, F)};
		for (int i = 0; i < 6; i++)
			h[i] = (struct rows){half + i * N, F, NUM_BF16};
		rows_copy(h[0], rows_f32(x, F), T, F);
		rows_copy(h[1], rows_f32(x + N, F), T, F);
		rows_copy(h[2], rows_f32(d, F), T, F);
		gated_backward(kinds[k], f[0], f[1], f[2], h[2], h[0], h[1], T, F);
		gated_backward(kinds[k], h[3], h[4], h[5], h[2], h[0], h[1], T, F);
		assert_rounded(half + 3 * N, out, 3 * N);
		release_all();
	}
}

static void
test_types(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		check_types(kinds[k]);
}

/* bf16 as the processors have it whose instructions do not know it. */
static void
test_portable(void **state)
{
	const struct tile_kernel *best = bf16_kernel();
	bf16_set_kernel(NULL);
	test_extremes(state);
	test_types(state);
	test_again(state);
	test_gates(state);
	bf16_set_kernel(best);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_backward),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_gates),
		cmocka_unit_test(test_portable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

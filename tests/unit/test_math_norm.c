/* Norms against their definitions in double precision. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/norm.h"

static const double eps = 1e-5;
static const struct rows none;

static const struct {
	enum norm_kind kind;
	bool bias;
} kinds[] = {{NORM_RMS, false}, {NORM_RMS_OFFSET, false}, {NORM_LAYER, true}, {NORM_LAYER, false}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

struct reference {
	enum norm_kind kind;
	int T, C;
	double *x, *w, *b, *dout;
};

static void
norm_row(const struct reference *n, const double *x, double *out)
{
	double mean = 0, square = 0;
	for (int c = 0; c < n->C; c++)
		mean += n->kind == NORM_LAYER ? x[c] / n->C : 0;
	for (int c = 0; c < n->C; c++)
		square += (x[c] - mean) * (x[c] - mean) / n->C;
	for (int c = 0; c < n->C; c++)
		out[c] = (x[c] - mean) / sqrt(square + eps) * (n->w[c] + (n->kind == NORM_RMS_OFFSET)) + (n->b ? n->b[c] : 0);
}

static void
reference(const struct reference *n, double *out)
{
	for (int t = 0; t < n->T; t++)
		norm_row(n, n->x + (ptrdiff_t)t * n->C, out + (ptrdiff_t)t * n->C);
}

static double
loss(void *ctx)
{
	struct reference *n = ctx;
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
check_forward(size_t k, size_t s)
{
	int T = sizes[s][0], C = sizes[s][1];
	size_t n = (size_t)(T * C), m = (size_t)C;
	float *x = random_floats(n, 3, s), *w = random_floats(m, 1, s + 100), *b = random_floats(m, 1, s + 200);
	float *out = random_floats(n, 1, 0), *again = random_floats(n, 1, 0);
	struct norm_stat stat[8];
	const struct norm norm = {kinds[k].kind, (float)eps, w, kinds[k].bias ? b : NULL};
	struct reference ref = {kinds[k].kind, T, C, to_double(x, n), to_double(w, m), norm.b ? to_double(b, m) : NULL};
	double *want = to_double(x, n);
	reference(&ref, want);
	norm_forward(rows_f32(out, C), none, stat, rows_f32(x, C), &norm, T, 1, C);
	assert_all_near(out, want, n, 1e-6);
	norm_again(rows_f32(again, C), stat, rows_f32(x, C), &norm, T, 1, C);
	assert_same_floats(again, out, n);
	norm_forward(rows_f32(x, C), none, stat, rows_f32(x, C), &norm, T, 1, C);
	assert_same_floats(x, out, n);
	release_all();
}

static void
test_forward(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		for (size_t s = 0; s < N_SIZES; s++)
			check_forward(k, s);
}

static void
check_backward(size_t k, size_t s)
{
	int T = sizes[s][0], C = sizes[s][1];
	size_t n = (size_t)(T * C), m = (size_t)C;
	float *x = random_floats(n, 2, s), *w = random_floats(m, 1, s + 100), *b = random_floats(m, 1, s + 150);
	float *dout = random_floats(n, 1, s + 200), *kept = copy_floats(dout, n), *out = random_floats(n, 1, 0);
	float *dx0 = random_floats(n, 1, 1), *dw0 = random_floats(m, 1, 2), *db0 = random_floats(m, 1, 3);
	float *dx = copy_floats(dx0, n), *dw = copy_floats(dw0, m), *db = copy_floats(db0, m), *dx_only = copy_floats(dx0, n);
	struct norm_stat stat[8];
	const struct norm norm = {kinds[k].kind, (float)eps, w, kinds[k].bias ? b : NULL};
	const struct norm_grad grad = {dw, norm.b ? db : NULL}, nothing = {0};
	struct reference ref = {kinds[k].kind, T, C, to_double(x, n), to_double(w, m), norm.b ? to_double(b, m) : NULL,
		to_double(dout, n)};
	norm_forward(rows_f32(out, C), none, stat, rows_f32(x, C), &norm, T, 1, C);
	norm_backward(rows_f32(dx_only, C), 1, &nothing, NULL, rows_f32(dout, C), rows_f32(x, C), &norm, stat, T, 1, C);
	norm_backward(rows_f32(dx, C), 1, &grad, NULL, rows_f32(dout, C), rows_f32(x, C), &norm, stat, T, 1, C);
	assert_same_floats(dout, kept, n);
	assert_same_floats(dx, dx_only, n);
	float *in_place = copy_floats(dout, n);
	norm_backward(rows_f32(in_place, C), 0, &nothing, NULL, rows_f32(in_place, C), rows_f32(x, C), &norm, stat, T, 1, C);
	for (size_t i = 0; i < n; i++)
		assert_true(dx0[i] + in_place[i] == dx[i]);
	/* The norm of one element is its sign, and LayerNorm's of two are both signs: the gradient is that of eps, lost in
	 * rounding. */
	if (C > 2)
		assert_gradient(dx, dx0, ref.x, n, loss, &ref, 0, 2e-5);
	assert_gradient(dw, dw0, ref.w, m, loss, &ref, 0, 1e-5);
	if (norm.b)
		assert_gradient(db, db0, ref.b, m, loss, &ref, 0, 1e-5);
	release_all();
}

static void
test_backward(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		for (size_t s = 0; s < N_SIZES; s++)
			check_backward(k, s);
}

static void
test_zero_row(void **state)
{
	(void)state;
	float x[3] = {0}, w[3] = {1, 2, 3}, b[3] = {4, 5, 6}, out[3] = {7, 7, 7};
	struct norm_stat stat;
	norm_forward(rows_f32(out, 3), none, &stat, rows_f32(x, 3), &(struct norm){NORM_RMS, (float)eps, w, NULL}, 1, 1, 3);
	for (int i = 0; i < 3; i++)
		assert_true(out[i] == 0);
	assert_near((double)stat.rstd, 1 / sqrt(eps), 1e-4 / sqrt(eps));
	for (int i = 0; i < 3; i++)
		x[i] = 1000;
	norm_forward(rows_f32(out, 3), none, &stat, rows_f32(x, 3), &(struct norm){NORM_LAYER, (float)eps, w, b}, 1, 1, 3);
	assert_same_floats(out, b, 3);
}

/* Groups of a row, as heads are, are rows of their own; rows may lie apart, and may be bf16. */
static void
check_groups(size_t k)
{
	enum { T = 5, G = 3, C = 21, LD = G * C + 7, N = T * G };
	float *x = random_floats(T * LD, 2, 1), *w = random_floats(C, 1, 2), *b = random_floats(C, 1, 7);
	float *dout = random_floats(T * LD, 1, 3), *out = random_floats(T * LD, 1, 4), *dx = random_floats(T * LD, 1, 6);
	float *dw = random_floats(C, 1, 5), *db = random_floats(C, 1, 8), *one = random_floats(C, 1, 0);
	float *one_dx = random_floats(C, 1, 0), *one_dw = copy_floats(dw, C), *one_db = copy_floats(db, C);
	struct norm_stat stat[N];
	const struct norm norm = {kinds[k].kind, (float)eps, w, kinds[k].bias ? b : NULL};
	const struct norm_grad grad = {dw, norm.b ? db : NULL}, one_grad = {one_dw, norm.b ? one_db : NULL};
	uint16_t half[T * LD], half_out[T * LD];
	for (int i = 0; i < T * LD; i++)
		x[i] = bf16_to_f32(half[i] = bf16_from_f32(x[i]));
	norm_forward(rows_f32(out, LD), none, stat, rows_f32(x, LD), &norm, T, G, C);
	norm_forward((struct rows){half_out, LD, NUM_BF16}, none, stat, (struct rows){half, LD, NUM_BF16}, &norm, T, G, C);
	norm_backward(rows_f32(dx, LD), 0, &grad, NULL, rows_f32(dout, LD), (struct rows){half, LD, NUM_BF16}, &norm, stat, T, G, C);
	for (int i = 0; i < N; i++) {
		int at = i / G * LD + i % G * C;
		struct norm_stat r;
		norm_forward(rows_f32(one, C), none, &r, rows_f32(x + at, C), &norm, 1, 1, C);
		norm_backward(rows_f32(one_dx, C), 0, &one_grad, NULL, rows_f32(dout + at, C), rows_f32(x + at, C), &norm, &r, 1, 1, C);
		assert_true(r.rstd == stat[i].rstd && r.mean == stat[i].mean);
		assert_same_floats(out + at, one, C);
		assert_same_floats(dx + at, one_dx, C);
		for (int c = 0; c < C; c++)
			assert_int_equal(half_out[at + c], bf16_from_f32(one[c]));
	}
	for (int c = 0; c < C; c++) {  /* added up in another order */
		assert_near((double)dw[c], (double)one_dw[c], 1e-5);
		assert_near((double)db[c], (double)one_db[c], 1e-5);
	}
	release_all();
}

static void
test_groups_and_types(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		check_groups(k);
}

/* What the passes write besides is what the kernels of their own give. */
static void
check_also(size_t k)
{
	enum { T = 5, G = 2, C = 37, LD = G * C + 5, N = T * LD };
	float *x = random_floats(N, 2, 1), *w = random_floats(C, 1, 2), *b = random_floats(C, 1, 7), *dx = random_floats(N, 1, 3);
	float *alone = copy_floats(dx, N);
	uint16_t half[5][N], want[2][N];
	struct rows fx = rows_f32(x, LD), fdx = rows_f32(dx, LD), h[5], hw[2] = {{want[0], LD, NUM_BF16}, {want[1], LD, NUM_BF16}};
	struct norm_stat stat[T * G];
	const struct norm norm = {kinds[k].kind, (float)eps, w, kinds[k].bias ? b : NULL};
	memset(half, 0x3f, sizeof half);
	memset(want, 0x3f, sizeof want);
	for (int i = 0; i < 5; i++)
		h[i] = (struct rows){half[i], LD, NUM_BF16};
	norm_forward(h[0], h[1], stat, fx, &norm, T, G, C);
	norm_forward(hw[0], none, stat, fx, &norm, T, G, C);
	rows_copy(hw[1], fx, T, G * C);
	assert_memory_equal(half[0], want[0], sizeof want[0]);
	assert_memory_equal(half[1], want[1], sizeof want[1]);

	rows_copy(h[2], rows_f32(random_floats(N, 1, 4), LD), T, G * C);
	norm_backward(fdx, 1, &(struct norm_grad){0}, &(struct norm_also){h[3], h[4]}, h[2], h[1], &norm, stat, T, G, C);
	norm_backward(rows_f32(alone, LD), 1, &(struct norm_grad){0}, NULL, h[2], h[1], &norm, stat, T, G, C);
	assert_same_floats(dx, alone, N);
	norm_again(hw[0], stat, h[1], &norm, T, G, C);
	rows_copy(hw[1], fdx, T, G * C);
	assert_memory_equal(half[3], want[0], sizeof want[0]);
	assert_memory_equal(half[4], want[1], sizeof want[1]);
	release_all();
}

static void
test_also(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_KINDS; k++)
		check_also(k);
}

/* Every combination of types gives what fp32 gives, rounded. */
static void
test_types(void **state)
{
	(void)state;
	enum { C = 75 };
	float *x = random_floats(C, 2, 1), *dout = random_floats(C, 1, 2), *w = random_floats(C, 1, 3), *dx0 = random_floats(C, 1, 4);
	uint16_t half_x[C], half_dout[C], half_dx[C];
	for (int c = 0; c < C; c++) {
		x[c] = bf16_to_f32(half_x[c] = bf16_from_f32(x[c]));
		dout[c] = bf16_to_f32(half_dout[c] = bf16_from_f32(dout[c]));
		dx0[c] = bf16_to_f32(bf16_from_f32(dx0[c]));
	}
	for (size_t k = 0; k < N_KINDS; k++)
		for (int i = 0; i < 8; i++) {
			struct norm_stat stat;
			const struct norm norm = {kinds[k].kind, (float)eps, w, NULL};
			const struct norm_grad nothing = {0};
			float out[C], dx[C], want[C];
			memcpy(want, dx0, sizeof want);
			struct rows fx = rows_f32(x, C), fd = rows_f32(dout, C), hx = {half_x, C, NUM_BF16}, hd = {half_dout, C, NUM_BF16},
				to = i & 4 ? (struct rows){half_dx, C, NUM_BF16} : rows_f32(dx, C);
			norm_forward(rows_f32(out, C), none, &stat, fx, &norm, 1, 1, C);
			norm_forward(to, none, &stat, i & 1 ? hx : fx, &norm, 1, 1, C);
			for (int c = 0; c < C; c++)
				assert_true(i & 4 ? half_dx[c] == bf16_from_f32(out[c]) : dx[c] == out[c]);
			rows_copy(to, rows_f32(dx0, C), 1, C);
			norm_backward(rows_f32(want, C), 1, &nothing, NULL, fd, fx, &norm, &stat, 1, 1, C);
			norm_backward(to, 1, &nothing, NULL, i & 2 ? hd : fd, i & 1 ? hx : fx, &norm, &stat, 1, 1, C);
			for (int c = 0; c < C; c++)
				assert_true(i & 4 ? half_dx[c] == bf16_from_f32(want[c]) : dx[c] == want[c]);
		}
	release_all();
}

/* Large enough to be shared out; the same bits on any number of threads. */
static void
test_threads(void **state)
{
	(void)state;
	enum { T = 131, C = 257, N = T * C };
	float *x = random_floats(N, 2, 1), *w = random_floats(C, 1, 2), *b = random_floats(C, 1, 3), *dout = random_floats(N, 1, 4);
	float *out[2], *dx[2], *dw[2], *db[2];
	const struct norm norm = {NORM_LAYER, (float)eps, w, b};
	struct norm_stat stat[T];
	for (int i = 0; i < 2; i++) {
		math_set_threads(i ? 3 : 1);
		out[i] = random_floats(N, 1, 0);
		dx[i] = random_floats(N, 1, 0);
		dw[i] = random_floats(C, 1, 5);
		db[i] = random_floats(C, 1, 6);
		norm_forward(rows_f32(out[i], C), none, stat, rows_f32(x, C), &norm, T, 1, C);
		norm_backward(rows_f32(dx[i], C), 0, &(struct norm_grad){dw[i], db[i]}, NULL, rows_f32(dout, C), rows_f32(x, C), &norm, stat, T,
			1, C);
	}
	assert_same_floats(out[0], out[1], N);
	assert_same_floats(dx[0], dx[1], N);
	assert_same_floats(dw[0], dw[1], C);
	assert_same_floats(db[0], db[1], C);
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
		cmocka_unit_test(test_also),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Element-wise work on vectors, also longer than the blocks in which threads take it. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/vector.h"

/* The kernels' block is 4,096 elements. */
static const size_t sizes[] = {1, 2, 3, 7, 13, 17, 31, 33, 65, 127, 4096, 4097, 40001};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void
test_add_zero(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++) {
		size_t n = sizes[s];
		float *a = random_floats(n + 1, 1, 1), *b = random_floats(n, 1, 2), *sum = copy_floats(a, n + 1);
		rows_add(rows_f32(sum, (int)n), rows_f32(b, (int)n), 1, (int)n);
		for (size_t i = 0; i < n; i++)
			assert_true(sum[i] == a[i] + b[i]);
		vec_zero(sum, n);
		for (size_t i = 0; i < n; i++)
			assert_true(sum[i] == 0);
		assert_true(sum[n] == a[n]);
		release_all();
	}
}

static void
test_rows(void **state)
{
	(void)state;
	static const int dims[][2] = {{1, 1}, {2, 3}, {7, 13}, {3, 64}, {5, 65}, {1, 127}, {33, 130}};
	for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
		int T = dims[d][0], C = dims[d][1];
		size_t n = (size_t)(T * C);
		float *x = random_floats(n, 1, 1), *row = random_floats((size_t)C, 1, 2), *added = copy_floats(x, n), *sum = copy_floats(row, (size_t)C);
		double *want = to_double(row, (size_t)C);
		rows_add_row(rows_f32(added, C), row, T, C);
		rows_sum(sum, rows_f32(x, C), T, C);
		for (int i = 0; i < T * C; i++) {
			assert_true(added[i] == x[i] + row[i % C]);
			want[i % C] += (double)x[i];
		}
		assert_all_near(sum, want, (size_t)C, 1e-6);
		release_all();
	}
}

static void
test_sum_squares(void **state)
{
	(void)state;
	static const size_t lengths[] = {1, 2, 17, 127, 16385, 1500007};
	for (size_t s = 0; s < sizeof lengths / sizeof *lengths; s++) {
		size_t n = lengths[s];
		float *x = random_floats(n, 1, s);
		double want = 0;
		for (size_t i = 0; i < n; i++)
			want += (double)x[i] * (double)x[i];
		math_set_threads(1);
		double one = vec_sum_squares(x, n);
		assert_near(one, want, 1e-5 * want);
		for (int threads = 2; threads < 8; threads++) {
			math_set_threads(threads);
			assert_true(vec_sum_squares(x, n) == one);
		}
		release_all();
	}
	math_set_threads(0);
	assert_true(vec_sum_squares(NULL, 0) == 0);
}

static void
test_dropout(void **state)
{
	(void)state;
	enum { N = 100003 };
	static const float rates[] = {0.05f, 0.1f, 0.5f, 0.9f};
	float *x = random_floats(N, 1, 1), *y = random_floats(N, 1, 2), *again = random_floats(N, 1, 3);
	for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
		double p = (double)rates[r], dropped = 0, sigma = sqrt(N * p * (1 - p));
		rows_dropout(rows_f32(y, N), rows_f32(x, N), 1, N, rates[r], &(uint64_t){77 + r}, 0);
		for (size_t i = 0; i < N; i++) {
			dropped += y[i] == 0;
			assert_true(y[i] == 0 || y[i] == x[i] * (1.0f / (1.0f - rates[r])));
		}
		assert_near(dropped, N * p, 4 * sigma);
		math_set_threads(3);
		rows_dropout(rows_f32(again, N), rows_f32(x, N), 1, N, rates[r], &(uint64_t){77 + r}, 0);
		assert_same_floats(again, y, N);
		math_set_threads(0);
		rows_dropout(rows_f32(again, 100), rows_f32(x, 100), 1, 100, rates[r], &(uint64_t){77 + r}, 0);
		assert_same_floats(again, y, 100);
		memcpy(again, x, N * sizeof *x);
		rows_dropout(rows_f32(again, N), rows_f32(again, N), 1, N, rates[r], &(uint64_t){77 + r}, 0);
		assert_same_floats(again, y, N);
	}
	release_all();
}

/* Masks of different keys agree no more often than chance has it, also when the keys are neighbours. */
static void
test_dropout_keys(void **state)
{
	(void)state;
	enum { N = 100000 };
	static const uint64_t keys[] = {1, 3, 1 | (uint64_t)1 << 16, 1 | (uint64_t)1 << 40};
	float *x = random_floats(N, 1, 1), *a = random_floats(N, 1, 2), *b = random_floats(N, 1, 2);
	rows_dropout(rows_f32(a, N), rows_f32(x, N), 1, N, 0.5f, &keys[0], 7);
	for (size_t k = 1; k < sizeof keys / sizeof *keys; k++) {
		double same = 0;
		rows_dropout(rows_f32(b, N), rows_f32(x, N), 1, N, 0.5f, &keys[k], 7);
		for (size_t i = 0; i < N; i++)
			same += (a[i] == 0) == (b[i] == 0);
		assert_near(same, N / 2.0, 4 * sqrt(N / 4.0));
	}
	/* A row's mask goes with its key, wherever the row lies; another salt draws another. */
	enum { C = 1000 };
	const uint64_t order[] = {11, 12, 13}, other[] = {13, 11, 12};
	rows_dropout(rows_f32(a, C), rows_f32(x, C), 3, C, 0.5f, order, 1);
	memcpy(b, x + 2 * C, C * sizeof *x);
	memcpy(b + C, x, 2 * C * sizeof *x);
	rows_dropout(rows_f32(b, C), rows_f32(b, C), 3, C, 0.5f, other, 1);
	assert_same_floats(b, a + 2 * C, C);
	assert_same_floats(b + C, a, 2 * C);
	rows_dropout(rows_f32(b, C), rows_f32(x, C), 3, C, 0.5f, order, 2);
	assert_memory_not_equal(a, b, 3 * C * sizeof *a);
	rows_dropout(rows_f32(a, N), rows_f32(x, N), 1, N, 0, &keys[0], 5);
	assert_same_floats(a, x, N);
	release_all();
}

/* Uniform within its bounds, by key and column as the masks are; on rows of both types, with any number of threads. */
static void
test_noise(void **state)
{
	(void)state;
	enum { N = 100003 };
	const uint64_t keys[] = {5, 6};
	float *x = random_floats(2 * N, 0, 1), *again = random_floats(2 * N, 0, 1);
	uint16_t *half = hold(xcalloc(2 * N, sizeof *half));
	double mean = 0, squares = 0, products = 0;
	rows_noise(rows_f32(x, N), 2, N, 0.5f, keys, 9);
	for (size_t i = 0; i < N; i++) {
		assert_true(fabsf(x[i]) <= 0.5f);
		mean += (double)x[i] / N;
		squares += (double)x[i] * (double)x[i] / N;
		products += (double)x[i] * (double)x[N + i] / N;
	}
	assert_near(mean, 0, 4 * 0.5 / sqrt(3.0 * N));
	assert_near(squares, 0.25 / 3, 4 * 0.25 * sqrt(4.0 / 45 / N));
	assert_near(products, 0, 4 * 0.25 / 3 / sqrt(N));
	math_set_threads(3);
	rows_noise(rows_f32(again, N), 2, N, 0.5f, keys, 9);
	math_set_threads(0);
	assert_same_floats(again, x, 2 * N);
	rows_noise((struct rows){half, N, NUM_BF16}, 2, N, 0.5f, keys, 9);
	for (size_t i = 0; i < 2 * N; i++)
		assert_int_equal(half[i], bf16_from_f32(x[i]));
	rows_noise(rows_f32(again, N), 1, N, 0.5f, keys, 9);
	for (size_t i = 0; i < N; i++)
		assert_true(again[i] == 2 * x[i]);
	release_all();
}

static void
check_gain(int rows, int C, bool half)
{
	size_t n = (size_t)rows * (size_t)C;
	float *x = random_floats(n, 1, 1), *y = random_floats(n, 1, 2), *gain = random_floats((size_t)C, 1, 3);
	float *sum = random_floats((size_t)C, 1, 4), *before = copy_floats(sum, (size_t)C);
	double *want = hold(xcalloc(n, sizeof *want)), *dots = to_double(sum, (size_t)C);
	uint16_t *xh = hold(xcalloc(n, sizeof *xh)), *yh = hold(xcalloc(n, sizeof *yh));
	rows_copy((struct rows){xh, C, NUM_BF16}, rows_f32(x, C), rows, C);
	rows_copy((struct rows){yh, C, NUM_BF16}, rows_f32(y, C), rows, C);
	rows_copy(rows_f32(x, C), (struct rows){xh, C, NUM_BF16}, rows, C);
	rows_copy(rows_f32(y, C), (struct rows){yh, C, NUM_BF16}, rows, C);
	struct rows in = half ? (struct rows){xh, C, NUM_BF16} : rows_f32(x, C);
	struct rows out = half ? (struct rows){yh, C, NUM_BF16} : rows_f32(y, C);
	for (size_t i = 0; i < n; i++) {
		want[i] = 0.5 * (double)y[i] + ((double)gain[i % (size_t)C] - 1) * (double)x[i];
		dots[i % (size_t)C] += (double)x[i] * (double)y[i] / (double)gain[i % (size_t)C];
	}
	rows_dot(sum, in, out, gain, rows, C);
	for (int c = 0; c < C; c++)
		assert_near((double)sum[c], dots[c], 1e-5 * (fabs(dots[c] - (double)before[c]) + rows));
	rows_gain(out, in, gain, -1, 0.5f, rows, C);
	rows_copy(rows_f32(y, C), out, rows, C);
	assert_all_near(y, want, n, half ? 4e-3 : 1e-6);
	rows_gain(out, in, NULL, -2, 0, rows, C);
	rows_copy(rows_f32(y, C), out, rows, C);
	for (size_t i = 0; i < n; i++)
		assert_true(y[i] == -2 * x[i]);
	release_all();
}

static void
test_gain(void **state)
{
	(void)state;
	static const int shapes[][2] = {{1, 1}, {3, 17}, {5, 64}, {2, 5001}, {131, 129}};
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (int half = 0; half < 2; half++)
			check_gain(shapes[i][0], shapes[i][1], half);
}

/* The columns of a matrix by id, and back; an id may occur twice, and one may be passed over. */
static void
test_columns(void **state)
{
	(void)state;
	enum { R = 3, V = 11, T = 5 };
	static const int32_t ids[T] = {4, 0, 4, 10, 7};
	float *m = random_floats(R * V, 1, 1), *out = random_floats(T * R, 1, 2), *dm = random_floats(R * V, 1, 3);
	float *want = copy_floats(dm, R * V);
	columns_forward(rows_f32(out, R), m, ids, T, R, V);
	for (int t = 0; t < T; t++)
		for (int k = 0; k < R; k++) {
			assert_true(out[t * R + k] == m[k * V + ids[t]]);
			want[k * V + ids[t]] += ids[t] == 7 ? 0 : out[t * R + k];
		}
	columns_backward(dm, rows_f32(out, R), ids, 7, T, R, V);
	assert_same_floats(dm, want, R * V);
	release_all();
}

static void
test_embedding(void **state)
{
	(void)state;
	static const int widths[] = {1, 7, 63, 65, 130};
	static const int32_t ids[] = {3, 0, 3, 3, 9, 0, 3};
	enum { V = 10, T = sizeof ids / sizeof *ids };
	for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
		int C = widths[w];
		size_t n = (size_t)(T * C), table_n = (size_t)(V * C);
		float *table = random_floats(table_n, 1, 1), *out = random_floats(n, 1, 2), *dout = random_floats(n, 1, 3);
		float *dtable = random_floats(table_n, 1, 4), *before = copy_floats(dtable, table_n);
		double *want = to_double(dtable, table_n);
		embedding_forward(rows_f32(out, C), &(struct matrix){.form = MATRIX_F32, .out = V, .in = C, .data = table}, ids, T);
		int skip = w % 2 ? 9 : -1;
		embedding_backward(dtable, rows_f32(dout, C), ids, skip, T, C);
		for (int i = 0; i < T * C; i++) {
			assert_true(out[i] == table[ids[i / C] * C + i % C]);
			want[ids[i / C] * C + i % C] += ids[i / C] == skip ? 0 : (double)dout[i];
		}
		assert_all_near(dtable, want, table_n, 1e-6);
		float *twice = copy_floats(out, n), *half = copy_floats(out, n);
		embedding_add(rows_f32(twice, C), &(struct matrix){.form = MATRIX_F32, .out = V, .in = C, .data = table}, ids, T);
		rows_scale(rows_f32(half, C), 2, T, C);
		assert_same_floats(twice, half, n);
		for (int id = 0; id < V; id++)
			if (id != 0 && id != 3 && id != 9)
				assert_same_floats(dtable + id * C, before + id * C, (size_t)C);
		release_all();
	}
}

static void
test_gather_scatter(void **state)
{
	(void)state;
	static const int32_t rows[] = {1, 4, 5, 9};
	enum { C = 13, ROWS = 10, N = sizeof rows / sizeof *rows };
	float *x = random_floats(ROWS * C, 1, 1), *got = random_floats(N * C, 1, 2), *dx = copy_floats(x, ROWS * C);
	rows_gather(rows_f32(got, C), rows_f32(x, C), rows, N, C);
	rows_scatter_add(rows_f32(dx, C), rows_f32(got, C), rows, N, C);
	for (int r = 0; r < ROWS; r++) {
		bool chosen = r == 1 || r == 4 || r == 5 || r == 9;
		for (int c = 0; c < C; c++)
			assert_true(dx[r * C + c] == (chosen ? 2 : 1) * x[r * C + c]);
	}
	for (int i = 0; i < N; i++)
		assert_same_floats(got + i * C, x + rows[i] * C, C);
	release_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_zero),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sum_squares),
		cmocka_unit_test(test_dropout),
		cmocka_unit_test(test_dropout_keys),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_gain),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_embedding),
		cmocka_unit_test(test_gather_scatter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Matrices in 8 and 4 bits: what quantising loses is no more than the formats say, and products see what is left. */
#include "numeric.h"

#include "math/dynamic8.h"
#include "math/gemm.h"
#include "math/product.h"
#include "math/quantize.h"

struct shape {
	int rows, columns;  /* as stored */
};

/* Rows that are blocks, that are not, odd ones, less than a block, more than a group of 256 blocks, long ones. */
static const struct shape shapes[] = {{1, 1}, {1, 63}, {3, 64}, {5, 65}, {7, 31}, {64, 128}, {37, 129}, {200, 192},
	{1, 20000}, {1000, 1}, {2, 600000}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void
read_floats(void *ctx, size_t first, size_t n, float *to)
{
	memcpy(to, (const float *)ctx + first, n * sizeof *to);
}

/* x as a matrix of rows x columns in this form; its memory is the arena's. */
static struct matrix
quantized(const float *x, struct shape s, enum matrix_form form, bool transposed, struct arena *a)
{
	struct matrix m = {.transposed = transposed, .out = s.rows, .in = s.columns};
	if (transposed)
		m.out = s.columns, m.in = s.rows;
	*a = (struct arena){0};
	quantize_place(&m, form, a);
	arena_make(a);
	quantize_place(&m, form, a);
	assert_int_equal(quantize(&m, read_floats, (void *)(uintptr_t)x), 0);
	return m;
}

static float *
expanded(const struct matrix *m)
{
	int rows = matrix_rows(m), columns = matrix_columns(m);
	float *y = hold(xreallocarray(NULL, (size_t)rows * (size_t)columns, sizeof *y));
	matrix_expand(y, columns, m, 0, rows, 0, columns);
	return y;
}

/* Weights as they are, normal, but rows of very different sizes, among them one of zeros. */
static float *
weights(struct shape s)
{
	float *x = random_floats((size_t)s.rows * (size_t)s.columns, 0.05, 1);
	for (int r = 0; r < s.rows; r++)
		for (int c = 0; c < s.columns; c++)
			x[(size_t)r * (size_t)s.columns + (size_t)c] *= r == 2 ? 0 : r % 5 == 4 ? 1e-3f : 1;
	return x;
}

/* ---- what is lost ---- */

/* Half a step, and the rounding of the step and of the product. */
static void
test_int8(void **state)
{
	(void)state;
	for (int i = 0; i < N_SHAPES; i++) {
		struct shape s = shapes[i];
		struct arena a;
		float *x = weights(s);
		struct matrix m = quantized(x, s, MATRIX_INT8, false, &a);
		float *y = expanded(&m);
		for (int r = 0; r < s.rows; r++) {
			size_t n = (size_t)s.columns, at = (size_t)r * n;
			double max = magnitude(x + at, n), bound = max / 127 / 2 + 1e-6 * max;
			for (size_t c = 0; c < n; c++)
				assert_near((double)y[at + c], (double)x[at + c], bound);
			assert_near(magnitude(y + at, n), max, 2e-7 * max);
		}
		arena_release(&a);
		release_all();
	}
}

static double
largest_gap(const float *ascending, int n)
{
	double gap = 0;
	for (int i = 1; i < n; i++)
		gap = larger(gap, (double)ascending[i] - (double)ascending[i - 1]);
	return gap;
}

/* How far the magnitude of a block may be off: half a gap of the dynamic map, whose lowest value is not -1 but half a
 * gap from it, of the largest deviation from the mean in the group. */
static double
magnitude_bound(const double *max, size_t blocks, size_t b)
{
	double mean = 0, deviation = 0;
	size_t first = b / DYNAMIC8_BLOCK * DYNAMIC8_BLOCK;
	for (size_t i = 0; i < blocks; i++)
		mean += max[i] / (double)blocks;
	for (size_t i = first; i < blocks && i < first + DYNAMIC8_BLOCK; i++)
		deviation = fmax(deviation, fabs(max[i] - mean));
	const float *value = dynamic8_signed()->value;
	return deviation * fmax(largest_gap(value, 256) / 2, 1 + (double)value[0]) + 1e-6 * (mean + deviation);
}

/* Half the largest gap between two codes of the block's magnitude, and what that has lost itself. */
static void
test_nf4(void **state)
{
	(void)state;
	for (int i = 0; i < N_SHAPES; i++) {
		struct shape s = shapes[i];
		struct arena a;
		float *x = weights(s);
		size_t n = (size_t)s.rows * (size_t)s.columns, blocks = (n + NF4_BLOCK - 1) / NF4_BLOCK;
		struct matrix m = quantized(x, s, MATRIX_NF4, false, &a);
		float *y = expanded(&m);
		double *max = hold(xcalloc(blocks, sizeof *max));
		for (size_t j = 0; j < n; j++)
			max[j / NF4_BLOCK] = larger(max[j / NF4_BLOCK], fabs((double)x[j]));
		for (size_t b = 0; b < blocks; b++) {
			double half_gap = largest_gap(nf4_code, 16) / 2 + 1e-6;
			double bound = max[b] * half_gap + magnitude_bound(max, blocks, b);
			for (size_t j = b * NF4_BLOCK; j < n && j < (b + 1) * NF4_BLOCK; j++)
				assert_near((double)y[j], (double)x[j], bound);
		}
		arena_release(&a);
		release_all();
	}
}

/* Elements that are in the code book come back to the bit, wherever they stand, when all blocks are of one size. */
static void
test_nf4_codes(void **state)
{
	(void)state;
	static const struct shape s = {19, 16 * 5};
	struct arena a;
	float *x = random_floats(19 * 16 * 5, 1, 1);
	for (int i = 0; i < 19 * 16 * 5; i++)
		x[i] = nf4_code[(i * 7 + i / 16) % 16] * 0.3f;
	for (int i = 0; i < 19 * 16 * 5; i += NF4_BLOCK)
		x[i] = i % 3 ? 0.3f : -0.3f;
	struct matrix m = quantized(x, s, MATRIX_NF4, false, &a);
	assert_same_floats(expanded(&m), x, 19 * 16 * 5);
	arena_release(&a);
	release_all();
}

/* bitsandbytes packs the first of two elements into the high half: the nearest codes of -1 1 0 0.5 are 0 15 7 12. */
static void
test_nf4_bytes(void **state)
{
	(void)state;
	float x[4] = {-1, 1, 0, 0.5f};
	struct arena a;
	struct matrix m = quantized(x, (struct shape){1, 4}, MATRIX_NF4, false, &a);
	assert_memory_equal(m.data, "\x0f\x7c", 2);
	assert_true(m.scale[0] == 1);
	arena_release(&a);
}

/* The nearest code of each element, found by looking at all. */
static void
test_nf4_nearest(void **state)
{
	(void)state;
	enum { N = 64 * 50 };
	float *x = random_floats(N, 0.4, 3);
	for (int i = 0; i < N; i++)
		x[i] = i % NF4_BLOCK == 0 ? 1 : fmaxf(-1, fminf(1, x[i]));
	struct arena a;
	struct matrix m = quantized(x, (struct shape){50, 64}, MATRIX_NF4, false, &a);
	float *y = expanded(&m);
	for (int i = 0; i < N; i++) {
		float best = nf4_code[0];
		for (int k = 1; k < 16; k++)
			if (fabs((double)nf4_code[k] - (double)x[i]) < fabs((double)best - (double)x[i]))
				best = nf4_code[k];
		assert_true(y[i] == best);
	}
	arena_release(&a);
	release_all();
}

static void
test_refused(void **state)
{
	(void)state;
	static const float bad[] = {INFINITY, -INFINITY, NAN};
	for (int i = 0; i < 6; i++) {
		float *x = random_floats(5 * 70, 1, 1);
		struct matrix m = {.out = 5, .in = 70};
		struct arena a = {0};
		enum matrix_form form = i % 2 ? MATRIX_NF4 : MATRIX_INT8;
		x[3 * 70 + 69] = bad[i / 2];
		quantize_place(&m, form, &a);
		arena_make(&a);
		quantize_place(&m, form, &a);
		assert_int_equal(quantize(&m, read_floats, x), -1);
		arena_release(&a);
		release_all();
	}
}

/* Magnitudes at both ends of what fp32 has; 127 steps that are denormal numbers are off by half a denormal each. */
static void
test_extremes(void **state)
{
	(void)state;
	static const float ends[] = {3e38f, 1e-38f, 1e-42f};
	for (int i = 0; i < 6; i++) {
		float x[128], big = ends[i / 2];
		struct arena a;
		for (int j = 0; j < 128; j++)
			x[j] = (j % 3 == 0 ? 1 : j % 3 == 1 ? -1 : 0) * big;
		struct matrix m = quantized(x, (struct shape){2, 64}, i % 2 ? MATRIX_NF4 : MATRIX_INT8, false, &a);
		float *y = expanded(&m);
		for (int j = 0; j < 128; j++)
			assert_near((double)y[j], (double)x[j], 0.01 * (double)big + 127 * 0.71e-45);
		arena_release(&a);
		release_all();
	}
}

/* ---- reading it ---- */

/* Blocks out of the middle, beginning at odd elements and within blocks of 64. */
static void
test_expand_block(void **state)
{
	(void)state;
	static const struct shape s = {23, 201};
	enum { LD = 180 };
	for (int form = MATRIX_INT8; form <= MATRIX_NF4; form++) {
		struct arena a;
		struct matrix m = quantized(weights(s), s, (enum matrix_form)form, true, &a);
		float *whole = expanded(&m), to[3 * LD];
		for (int c = 0; c < 70; c++)
			for (int n = 1; n < 131; n += 13) {
				matrix_expand(to, LD, &m, 11, 3, c, n);
				for (int i = 0; i < 3; i++)
					assert_same_floats(to + i * LD, whole + (11 + i) * s.columns + c, (size_t)n);
			}
		arena_release(&a);
		release_all();
	}
}

/* The products are those of the matrix written out. */
static void
test_products(void **state)
{
	(void)state;
	enum { T = 9 };
	for (int i = 0; i < N_SHAPES; i++)
		for (int k = 0; k < 4; k++) {
			struct shape s = shapes[i];
			struct arena a;
			struct matrix m = quantized(weights(s), s, k % 2 ? MATRIX_NF4 : MATRIX_INT8, k / 2, &a);
			struct matrix plain = {.transposed = m.transposed, .out = m.out, .in = m.in};
			plain.data = expanded(&m);
			size_t nx = (size_t)(T * m.in), ny = (size_t)(T * m.out);
			float *x = random_floats(nx, 1, 2), *dy = random_floats(ny, 1, 3), *y = copy_floats(dy, ny);
			float *want = copy_floats(dy, ny), *dx = copy_floats(x, nx), *want_dx = copy_floats(x, nx);
			product_forward(rows_f32(y, m.out), rows_f32(x, m.in), &m, T, 0.5f, 1);
			product_forward(rows_f32(want, m.out), rows_f32(x, m.in), &plain, T, 0.5f, 1);
			product_backward(rows_f32(dx, m.in), rows_f32(dy, m.out), &m, T, 1, 0);
			product_backward(rows_f32(want_dx, m.in), rows_f32(dy, m.out), &plain, T, 1, 0);
			assert_all_near(y, to_double(want, ny), ny, 2e-5);
			assert_all_near(dx, to_double(want_dx, nx), nx, 2e-5);
			arena_release(&a);
			release_all();
		}
}

/* The same bytes on any number of threads. */
static void
test_threads_do_not_matter(void **state)
{
	(void)state;
	static const struct shape s = {300, 333};
	for (int form = MATRIX_INT8; form <= MATRIX_NF4; form++) {
		struct arena a, b;
		float *x = weights(s);
		math_set_threads(3);
		struct matrix m = quantized(x, s, (enum matrix_form)form, false, &a);
		math_set_threads(1);
		struct matrix again = quantized(x, s, (enum matrix_form)form, false, &b);
		math_set_threads(0);
		assert_int_equal(a.size, b.size);
		assert_memory_equal(m.data, again.data, form == MATRIX_NF4 ? 300 * 333 / 2 : 300 * 333);
		assert_same_floats(expanded(&m), expanded(&again), 300 * 333);
		arena_release(&a);
		arena_release(&b);
		release_all();
	}
}

int
main(void)
{
	math_set_threads(0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_int8),
		cmocka_unit_test(test_nf4),
		cmocka_unit_test(test_nf4_codes),
		cmocka_unit_test(test_nf4_bytes),
		cmocka_unit_test(test_nf4_nearest),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_expand_block),
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_threads_do_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

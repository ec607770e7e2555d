/* Rows of both types, matrices in each form, and the products that expand them. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/matrix.h"
#include "math/product.h"
#include "math/rows.h"

/* ---- bf16 ---- */

/* The nearest of the two bf16 numbers around f, the even one of two as near. */
static uint16_t
nearest(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	uint16_t down = (uint16_t)(bits >> 16), up = (uint16_t)(down + 1);
	double below = fabs((double)bf16_to_f32(down) - (double)f), above = fabs((double)bf16_to_f32(up) - (double)f);
	if (below == above)
		return down % 2 ? up : down;
	return below < above ? down : up;
}

static void
test_bf16(void **state)
{
	(void)state;
	float *x = random_floats(5000, 3, 1);
	for (int i = 0; i < 5000; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		if (i % 4 == 0)
			bits = (bits & 0xffff0000) | 0x8000;  /* a tie */
		memcpy(&x[i], &bits, sizeof bits);
		assert_int_equal(bf16_from_f32(x[i]), nearest(x[i]));
	}
	for (uint32_t h = 0; h < 65536; h++) {
		float f = bf16_to_f32((uint16_t)h);
		if (f == f)
			assert_int_equal(bf16_from_f32(f), h);
		else
			assert_true(isnan(bf16_to_f32(bf16_from_f32(f))));
	}
	assert_int_equal(bf16_from_f32(INFINITY), 0x7f80);
	assert_int_equal(bf16_from_f32(3.4e38f), 0x7f80);
	release_all();
}

static void
test_copy(void **state)
{
	(void)state;
	enum { T = 7, N = 33, LD = 40 };
	float *x = random_floats(T * LD, 1, 1), *y = random_floats(T * LD, 1, 2), *before = copy_floats(y, T * LD);
	uint16_t half[T * LD];
	memset(half, 0xab, sizeof half);
	rows_copy((struct rows){half, LD, NUM_BF16}, rows_f32(x, LD), T, N);
	rows_copy(rows_f32(y, LD), (struct rows){half, LD, NUM_BF16}, T, N);
	for (int t = 0; t < T; t++)
		for (int c = 0; c < LD; c++) {
			int i = t * LD + c;
			assert_int_equal(half[i], c < N ? bf16_from_f32(x[i]) : 0xabab);
			assert_true(y[i] == (c < N ? bf16_to_f32(half[i]) : before[i]));
		}
	release_all();
}

/* Heads side by side, and heads with others between them. */
static void
test_copy_heads(void **state)
{
	(void)state;
	enum { T = 5, H = 3, D = 7, LD = 3 * H * D };
	float *x = random_floats(T * LD, 1, 1), *y = random_floats(T * H * D, 1, 2);
	for (int stride = D; stride <= 3 * D; stride += 2 * D) {
		heads_copy(rows_f32(y, H * D), (struct heads){rows_f32(x + D, LD), stride}, T, H, D);
		for (int t = 0; t < T; t++)
			for (int h = 0; h < H; h++)
				assert_same_floats(y + (ptrdiff_t)(t * H + h) * D, x + (ptrdiff_t)t * LD + D + (ptrdiff_t)h * stride, D);
	}
	release_all();
}

/* ---- matrices ---- */

/* A half-precision number by its definition. */
static double
half_value(uint16_t h)
{
	int exponent = h >> 10 & 31, fraction = h & 1023;
	double sign = h & 0x8000 ? -1 : 1;
	if (exponent == 31)
		return fraction ? NAN : sign * INFINITY;
	return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static void
test_expand_f16(void **state)
{
	(void)state;
	static unsigned char bytes[2 * 65536 + 1];
	static float to[65536];
	for (uint32_t h = 0; h < 65536; h++)
		memcpy(bytes + 1 + 2 * (size_t)h, &(uint16_t){(uint16_t)h}, 2);
	const struct matrix m = {.form = MATRIX_F16, .out = 256, .in = 256, .data = bytes + 1};  /* not aligned */
	matrix_expand(to, 256, &m, 0, 256, 0, 256);
	for (uint32_t h = 0; h < 65536; h++) {
		double want = half_value((uint16_t)h);
		assert_true(isnan(want) ? isnan(to[h]) : (double)to[h] == want);
	}
}

/* A block out of the middle of a matrix, written with a row distance of its own. */
static void
test_expand_block(void **state)
{
	(void)state;
	enum { ROWS = 9, COLUMNS = 37, LD = 20 };
	float *x = random_floats(ROWS * COLUMNS, 1, 1), to[3 * LD];
	uint16_t half[ROWS * COLUMNS];
	for (int i = 0; i < ROWS * COLUMNS; i++)
		half[i] = bf16_from_f32(x[i]);
	const struct matrix f32 = {.form = MATRIX_F32, .out = ROWS, .in = COLUMNS, .data = x};
	const struct matrix bf16 = {.form = MATRIX_BF16, .transposed = true, .out = COLUMNS, .in = ROWS, .data = half};
	assert_int_equal(matrix_rows(&bf16), ROWS);
	matrix_expand(to, LD, &f32, 4, 3, 11, 17);
	for (int i = 0; i < 3 * LD; i++)
		if (i % LD < 17)
			assert_true(to[i] == x[(4 + i / LD) * COLUMNS + 11 + i % LD]);
	matrix_expand(to, LD, &bf16, 4, 3, 11, 17);
	for (int i = 0; i < 3 * LD; i++)
		if (i % LD < 17)
			assert_true(to[i] == bf16_to_f32(half[(4 + i / LD) * COLUMNS + 11 + i % LD]));
	release_all();
}

/* ---- products in fp32 ---- */

struct shape {
	int T, out, in;
};

static const struct shape shapes[] = {{1, 1, 1}, {1, 7, 3}, {5, 1, 13}, {3, 65, 1}, {17, 64, 31}, {33, 130, 127}, {2, 3, 20000}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* W[o,i] as the matrix stores it. */
static double
weight(const struct matrix *m, int o, int i)
{
	float w;
	matrix_expand(&w, 1, m, m->transposed ? i : o, 1, m->transposed ? o : i, 1);
	return (double)w;
}

static void
check_products(const struct shape *s, const struct matrix *m)
{
	int ldx = s->in + 3, ldy = s->out + 5;
	size_t nx = (size_t)(s->T * ldx), ny = (size_t)(s->T * ldy);
	float *x = random_floats(nx, 1, 1), *y = random_floats(ny, 1, 2), *y0 = copy_floats(y, ny), *dx = copy_floats(x, nx);
	product_forward(rows_f32(y, ldy), rows_f32(x, ldx), m, s->T, 0.5f, 2);
	product_backward(rows_f32(dx, ldx), rows_f32(y0, ldy), m, s->T, 3, 0);
	for (int t = 0; t < s->T; t++) {
		for (int o = 0; o < ldy; o++) {
			double sum = 0, size = 0;
			for (int i = 0; i < s->in && o < s->out; i++) {
				double p = (double)x[t * ldx + i] * weight(m, o, i);
				sum += p;
				size += fabs(p);
			}
			double want = o < s->out ? 2 * (double)y0[t * ldy + o] + 0.5 * sum : (double)y0[t * ldy + o];
			assert_near((double)y[t * ldy + o], want, 1e-6 * (size + 1));
		}
		for (int i = 0; i < ldx; i++) {
			double sum = 0, size = 0;
			for (int o = 0; o < s->out && i < s->in; o++) {
				double p = (double)y0[t * ldy + o] * weight(m, o, i);
				sum += p;
				size += fabs(p);
			}
			assert_near((double)dx[t * ldx + i], i < s->in ? 3 * sum : (double)x[t * ldx + i], 3e-6 * (size + 1));
		}
	}
}

static void
test_products(void **state)
{
	(void)state;
	for (int i = 0; i < N_SHAPES; i++)
		for (int transposed = 0; transposed < 2; transposed++) {
			const struct shape *s = &shapes[i];
			size_t n = (size_t)(s->out * s->in);
			float *w = random_floats(n, 1, 3);
			uint16_t *half = hold(xreallocarray(NULL, n, sizeof *half));
			for (size_t j = 0; j < n; j++)
				half[j] = bf16_from_f32(w[j]);
			struct matrix m = {.transposed = transposed, .out = s->out, .in = s->in};
			m.form = MATRIX_F32, m.data = w;
			check_products(s, &m);
			m.form = MATRIX_BF16, m.data = half;
			check_products(s, &m);
			m.form = MATRIX_F16;
			for (size_t j = 0; j < n; j++)
				half[j] &= 0xbfff;  /* no infinities, no NaN */
			check_products(s, &m);
			release_all();
		}
}

/* The gradient of W is added, stored as W is. */
static void
test_weight_gradient(void **state)
{
	(void)state;
	enum { T = 19, OUT = 7, IN = 33 };
	float *x = random_floats(T * IN, 1, 1), *dy = random_floats(T * OUT, 1, 2), *dw = random_floats(OUT * IN, 1, 3);
	float *other = random_floats(OUT * IN, 1, 4), *dw0 = copy_floats(dw, OUT * IN), *other0 = copy_floats(other, OUT * IN);
	product_weight(dw, false, rows_f32(dy, OUT), rows_f32(x, IN), T, OUT, IN, 0.5f);
	product_weight(other, true, rows_f32(dy, OUT), rows_f32(x, IN), T, OUT, IN, 0.5f);
	for (int o = 0; o < OUT; o++)
		for (int i = 0; i < IN; i++) {
			double sum = 0;
			for (int t = 0; t < T; t++)
				sum += (double)dy[t * OUT + o] * (double)x[t * IN + i];
			assert_near((double)dw[o * IN + i], (double)dw0[o * IN + i] + 0.5 * sum, 1e-5);
			assert_near((double)other[i * OUT + o], (double)other0[i * OUT + o] + 0.5 * sum, 1e-5);
		}
	release_all();
}

static void
test_threads_do_not_matter(void **state)
{
	(void)state;
	enum { T = 50, OUT = 300, IN = 90 };
	float *x = random_floats(T * IN, 1, 1), *y = random_floats(T * OUT, 1, 2), *again = copy_floats(y, T * OUT);
	uint16_t half[OUT * IN];
	for (int i = 0; i < OUT * IN; i++)
		half[i] = bf16_from_f32(x[i % (T * IN)]);
	const struct matrix m = {.form = MATRIX_BF16, .out = OUT, .in = IN, .data = half};
	math_set_threads(3);
	product_forward(rows_f32(y, OUT), rows_f32(x, IN), &m, T, 1, 0);
	math_set_threads(1);
	product_forward(rows_f32(again, OUT), rows_f32(x, IN), &m, T, 1, 0);
	assert_same_floats(again, y, T * OUT);
	math_set_threads(0);
	release_all();
}

int
main(void)
{
	math_set_threads(0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bf16),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_copy_heads),
		cmocka_unit_test(test_expand_f16),
		cmocka_unit_test(test_expand_block),
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_weight_gradient),
		cmocka_unit_test(test_threads_do_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

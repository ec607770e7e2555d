/* Products of one to four rows against sums in double precision. */
#include "numeric.h"

#include "math/few_kernel.h"
#include "math/gemm.h"
#include "math/quantize.h"

struct few_case {
	int T, N, K;
	bool nt;
	enum matrix_form form;
	enum num x_type, y_type;
	float alpha, beta;
};

static void
read_floats(void *ctx, size_t first, size_t n, float *to)
{
	memcpy(to, (const float *)ctx + first, n * sizeof *to);
}

/* A matrix [rows,columns] at an odd address where its form allows it, held; or in the arena. */
static struct matrix
make_matrix(enum matrix_form form, int rows, int columns, struct arena *a)
{
	size_t n = (size_t)rows * (size_t)columns;
	float *w = random_floats(n, 1, 5);
	if (form >= MATRIX_INT8) {
		struct matrix m = {.out = rows, .in = columns};
		quantize_place(&m, form, a);
		arena_make(a);
		quantize_place(&m, form, a);
		assert_int_equal(quantize(&m, read_floats, w), 0);
		return m;
	}
	unsigned char *odd = hold(xmalloc(2 * n + 1));
	for (size_t i = 0; i < n; i++) {
		uint16_t h = form == MATRIX_BF16 ? bf16_from_f32(w[i]) : (uint16_t)(0x3800 + (i * 7919) % 0x7ff);
		memcpy(odd + 1 + 2 * i, &h, sizeof h);
	}
	return (struct matrix){.form = form, .out = rows, .in = columns, .data = form == MATRIX_F32 ? (void *)w : (void *)(odd + 1)};
}

static struct rows
make_rows(enum num type, int T, int ld, uint64_t seed)
{
	struct rows r = {hold(xmalloc((size_t)(T * ld) * num_size(type))), ld, type};
	rows_copy(r, rows_f32(random_floats((size_t)(T * ld), 1, seed), ld), T, ld);
	return r;
}

static double
element(struct rows r, int t, int i)
{
	float buf;
	return (double)*row_load(r, t, i, 1, &buf);
}

static double
weight(const struct few_case *c, const struct matrix *m, int n, int k)
{
	float v;
	matrix_expand(&v, 1, m, c->nt ? n : k, 1, c->nt ? k : n, 1);
	return (double)v;
}

/* fp32 throughout: K products and K sums, each off by half a unit of 24 digits, in the worst case (Higham 3.1); then
 * the scale of a quantised weight, here and in its expansion, alpha, beta and their sum; for bf16, half a unit of 8
 * digits. */
static void
check(const struct few_case *c)
{
	struct arena arena = {0};
	struct matrix m = make_matrix(c->form, c->nt ? c->N : c->K, c->nt ? c->K : c->N, &arena);
	struct rows x = make_rows(c->x_type, c->T, c->K + 3, 1), old = make_rows(c->y_type, c->T, c->N + 5, 2);
	size_t bytes = (size_t)(c->T * old.ld) * num_size(c->y_type);
	struct rows y[2] = {old, old};
	for (int i = 0; i < 2; i++) {
		y[i].data = memcpy(hold(xmalloc(bytes)), old.data, bytes);
		math_set_threads(i ? 3 : 1);
		product_few(y[i], x, &m, c->nt, c->T, c->N, c->K, c->alpha, c->beta);
	}
	assert_memory_equal(y[0].data, y[1].data, bytes);
	for (int t = 0; t < c->T; t++)
		for (int n = 0; n < old.ld; n++) {
			double sum = 0, size = 0, kept = (double)c->beta * element(old, t, n);
			for (int k = 0; k < c->K && n < c->N; k++) {
				double p = element(x, t, k) * weight(c, &m, n, k);
				sum += p;
				size += fabs(p);
			}
			double want = n < c->N ? (double)c->alpha * sum + kept : element(old, t, n);
			double sizes = (c->K + 6) * fabs((double)c->alpha) * size + 2 * fabs(kept);
			double tolerance = n < c->N ? 0x1p-24 * 1.01 * sizes : 0;
			if (c->y_type == NUM_BF16 && n < c->N)
				tolerance += 0x1p-8 * (fabs(want) + tolerance);
			assert_near(element(y[0], t, n), want, tolerance);
		}
	arena_release(&arena);
	release_all();
}

static void
check_all(void)
{
	static const int sizes[][2] = {{1, 1}, {3, 31}, {16, 32}, {17, 33}, {65, 8}, {130, 100}, {40, 1100}, {600, 70},
		{5, 64}, {9, 128}, {33, 192}, {30, 320}};
	for (int T = 1; T <= FEW_ROWS; T++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (int form = MATRIX_F32; form <= MATRIX_NF4; form++)
				for (int i = 0; i < 8; i++) {
					const struct few_case c = {T, sizes[s][0], sizes[s][1], i & 1, (enum matrix_form)form,
						i & 2 ? NUM_BF16 : NUM_F32, i & 4 ? NUM_BF16 : NUM_F32, i & 2 ? 1 : -0.75f, i & 4 ? 0 : 0.5f};
					check(&c);
				}
}

static void
test_few(void **state)
{
	(void)state;
	check_all();
}

/* On any processor. */
static void
test_plain(void **state)
{
	(void)state;
	few_plain = true;
	check_all();
	few_plain = false;
}

/* What was in y does not matter when beta is 0, be it a NaN. */
static void
test_beta_0(void **state)
{
	(void)state;
	float w[6] = {1, 2, 3, 4, 5, 6}, x[3] = {1, 1, 1}, y[2] = {NAN, INFINITY};
	const struct matrix m = {.out = 2, .in = 3, .data = w};
	product_few(rows_f32(y, 2), rows_f32(x, 3), &m, true, 1, 2, 3, 1, 0);
	assert_true(y[0] == 6 && y[1] == 15);
}

static void
test_limits(void **state)
{
	(void)state;
	assert_true(product_is_few(1, 151936));
	assert_true(product_is_few(FEW_ROWS, 4864));
	assert_false(product_is_few(FEW_ROWS + 1, 1));
	assert_false(product_is_few(1, MATH_SCRATCH));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_beta_0),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

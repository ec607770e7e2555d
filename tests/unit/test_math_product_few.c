/* Products of one to four rows against sums in double precision. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/product_few.h"

struct few_case {
	int T, N, K;
	bool nt;
	enum matrix_form form;
	enum num x_type, y_type;
	float alpha, beta;
};

/* A matrix [rows,columns] at an odd address where its form allows it; held. */
static struct matrix
make_matrix(enum matrix_form form, int rows, int columns)
{
	size_t n = (size_t)rows * (size_t)columns;
	float *w = random_floats(n, 1, 5);
	unsigned char *odd = hold(xmalloc(2 * n + 1));
	for (size_t i = 0; i < n; i++) {
		uint16_t h = form == MATRIX_BF16 ? bf16_from_f32(w[i]) : (uint16_t)(0x3800 + (i * 7919) % 0x7ff);
		memcpy(odd + 1 + 2 * i, &h, sizeof h);
	}
	return (struct matrix){form, false, rows, columns, form == MATRIX_F32 ? (void *)w : (void *)(odd + 1)};
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
 * alpha, beta and their sum; for bf16, half a unit of 8 digits. */
static void
check(const struct few_case *c)
{
	struct matrix m = make_matrix(c->form, c->nt ? c->N : c->K, c->nt ? c->K : c->N);
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
			double sizes = (c->K + 4) * fabs((double)c->alpha) * size + 2 * fabs(kept);
			double tolerance = n < c->N ? 0x1p-24 * 1.01 * sizes : 0;
			if (c->y_type == NUM_BF16 && n < c->N)
				tolerance += 0x1p-8 * (fabs(want) + tolerance);
			assert_near(element(y[0], t, n), want, tolerance);
		}
	release_all();
}

static void
test_few(void **state)
{
	static const int sizes[][2] = {{1, 1}, {3, 31}, {16, 32}, {17, 33}, {65, 8}, {130, 100}, {40, 1100}, {600, 70}};
	(void)state;
	for (int T = 1; T <= FEW_ROWS; T++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (int form = MATRIX_F32; form <= MATRIX_F16; form++)
				for (int i = 0; i < 8; i++) {
					const struct few_case c = {T, sizes[s][0], sizes[s][1], i & 1, (enum matrix_form)form,
						i & 2 ? NUM_BF16 : NUM_F32, i & 4 ? NUM_BF16 : NUM_F32, i & 2 ? 1 : -0.75f, i & 4 ? 0 : 0.5f};
					check(&c);
				}
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
		cmocka_unit_test(test_beta_0),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

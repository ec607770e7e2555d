/* What the kernels are made of: exp, dot products, maxima. */
#include "numeric.h"

#include "math/simd.h"

/* Apart, so that the compiler cannot work the result out itself. */
static __attribute__((noinline)) float
exp_of(float x)
{
	return exp_f32(x);
}

static void
test_exp(void **state)
{
	(void)state;
	double worst = 0;
	for (double x = -87; x <= 88; x += 0.00037) {
		double want = exp((double)(float)x);
		worst = fmax(worst, fabs((double)exp_of((float)x) - want) / want);
	}
	assert_near(worst, 0, 2e-7);
	assert_true(exp_of(0) == 1.0f);
}

static void
test_exp_clamps(void **state)
{
	(void)state;
	assert_true(isfinite(exp_of(1e30f)) && exp_of(1e30f) >= exp_of(88));
	assert_true(exp_of(-1e30f) > 0 && exp_of(-1e30f) < 2e-38f);
	assert_true(exp_of(-INFINITY) < 2e-38f);
}

static const int sizes[] = {1, 2, 3, 7, 13, 15, 16, 17, 31, 33, 65, 127, 1000};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		int n = sizes[s];
		float *a = random_floats((size_t)n, 1, 1), *b = random_floats((size_t)n, 1, 2);
		double dot = 0, size = 0, max = -INFINITY, sum = 0;
		for (int i = 0; i < n; i++) {
			dot += (double)a[i] * (double)b[i];
			size += fabs((double)a[i] * (double)b[i]);
			max = fmax(max, (double)a[i]);
		}
		assert_near((double)row_dot(a, b, n), dot, 1e-6 * size);
		assert_true((double)row_max(a, n) == max);
		for (int i = 0; i < n; i++)
			sum += exp((double)a[i] - max);
		assert_near((double)row_exp_sum(a, (float)max, n), sum, 1e-6 * sum);
		release_all();
	}
}

/* The largest may be anywhere, also in the last, incomplete block. */
static void
test_max_everywhere(void **state)
{
	(void)state;
	float x[40];
	for (int n = 1; n <= 40; n++)
		for (int at = 0; at < n; at++) {
			for (int i = 0; i < n; i++)
				x[i] = -5;
			x[at] = -4;
			assert_true(row_max(x, n) == -4);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exp),
		cmocka_unit_test(test_exp_clamps),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_max_everywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Matrix products against three loops in double precision. */
#define _DEFAULT_SOURCE  /* getitimer */
#include "numeric.h"

#include <sys/time.h>

#include "math/gemm.h"

typedef void product(float *, int, const float *, int, const float *, int, int, int, int, float, float);

struct form {
	product *f;
	int ta, tb;
};

static const struct form forms[] = {{gemm_nn, 0, 0}, {gemm_nt, 0, 1}, {gemm_tn, 1, 0}};

/* Rows are `gap` elements longer than what is used of them, and what lies between is left alone. */
static void
check(const struct form *form, int M, int N, int K, int gap, float alpha, float beta)
{
	int lda = (form->ta ? M : K) + gap, ldb = (form->tb ? K : N) + gap, ldc = N + gap;
	size_t size = (size_t)M * (size_t)ldc;
	float *A = random_floats((size_t)((form->ta ? K : M) * lda), 1, 1), *B = random_floats((size_t)((form->tb ? N : K) * ldb), 1, 2);
	float *C = random_floats(size, 1, 3);
	double *want = to_double(C, size);
	for (int i = 0; i < M; i++)
		for (int j = 0; j < N; j++) {
			double sum = 0;
			for (int k = 0; k < K; k++)
				sum += (double)A[form->ta ? k * lda + i : i * lda + k] * (double)B[form->tb ? j * ldb + k : k * ldb + j];
			want[i * ldc + j] = (double)alpha * sum + (beta == 0 ? 0 : (double)beta * want[i * ldc + j]);
			if (beta == 0)
				C[i * ldc + j] = NAN;
		}
	form->f(C, ldc, A, lda, B, ldb, M, N, K, alpha, beta);
	assert_all_near(C, want, size, 1e-5);
	for (int i = 0; i < M; i++)
		for (int j = N; j < ldc; j++)
			assert_true((double)C[i * ldc + j] == want[i * ldc + j]);
	release_all();
}

static void
test_products(void **state)
{
	(void)state;
	static const int dims[][3] = {{1, 1, 1}, {1, 7, 3}, {2, 1, 13}, {3, 2, 1}, {17, 31, 7}, {33, 13, 65}, {65, 127, 33},
		{127, 2, 127}, {7, 127, 1}};
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
		for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
			for (int gap = 0; gap < 6; gap += 5) {
				check(&forms[f], dims[d][0], dims[d][1], dims[d][2], gap, 1, 0);
				check(&forms[f], dims[d][0], dims[d][1], dims[d][2], gap, 1, 1);
				check(&forms[f], dims[d][0], dims[d][1], dims[d][2], gap, -0.5f, 2);
			}
}

static void
test_nothing(void **state)
{
	(void)state;
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		check(&forms[f], 3, 2, 0, 1, 1, 0);
		check(&forms[f], 3, 2, 0, 1, 1, 1);
		check(&forms[f], 3, 2, 0, 1, 1, 0.5f);
		float c = 5;
		forms[f].f(&c, 1, &c, 1, &c, 1, 0, 1, 1, 1, 0);
		forms[f].f(&c, 1, &c, 1, &c, 1, 1, 0, 1, 1, 0);
		assert_true(c == 5);
	}
}

static void
test_threads(void **state)
{
	(void)state;
	assert_int_equal(math_set_threads(3), 3);
	assert_int_equal(math_threads(), 3);
	assert_true(math_set_threads(0) >= 1);
	assert_int_equal(math_set_threads(0), math_threads());
	assert_non_null(strstr(math_backend(), "OpenBLAS"));
}

/* What watches over the start of OpenBLAS ends before main, also in a program that calls nothing of ours. */
static void
test_no_timer_is_left(void **state)
{
	(void)state;
	struct itimerval left;
	assert_int_equal(getitimer(ITIMER_PROF, &left), 0);
	assert_true(left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_products),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_no_timer_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

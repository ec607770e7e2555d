/* Cross entropy against softmax in double precision. */
#include "numeric.h"

#include "math/bf16_kernel.h"
#include "math/loss.h"

struct row {
	double *logits;
	int V, target;
};

static double
log_sum(const double *x, int V)
{
	double max = -INFINITY, sum = 0;
	for (int v = 0; v < V; v++)
		max = fmax(max, x[v]);
	for (int v = 0; v < V; v++)
		sum += exp(x[v] - max);
	return max + log(sum);
}

static double
nll_of(void *ctx)
{
	const struct row *r = ctx;
	return log_sum(r->logits, r->V) - r->logits[r->target];
}

static int
argmax(const double *x, int V)
{
	int best = 0;
	for (int v = 1; v < V; v++)
		if (x[v] > x[best])
			best = v;
	return best;
}

/* 5003: more than a block of the kernel's sums. */
static const int sizes[] = {1, 2, 3, 7, 13, 17, 31, 33, 65, 127, 515, 5003};
enum { N_SIZES = sizeof sizes / sizeof *sizes, ROWS = 3 };

static void
check_size(int V)
{
	size_t n = (size_t)V * ROWS;
	float *logits = random_floats(n, 3, (uint64_t)V), *grad = copy_floats(logits, n), *rest = copy_floats(logits, n);
	double *x = to_double(logits, n);
	float nll[ROWS], nll_only[ROWS], lse[ROWS];
	const float coef[ROWS] = {0.25f, 0, -2};
	int32_t best[ROWS], best_again[ROWS];
	const int32_t target[ROWS] = {0, V / 2, V - 1};
	cross_entropy(rows_f32(grad, V), nll, best, target, coef, ROWS, V);
	cross_entropy(rows_f32(rest, V), nll_only, best_again, target, NULL, ROWS, V);
	assert_same_floats(nll, nll_only, ROWS);
	assert_same_floats(rest, logits, n);
	assert_memory_equal(best, best_again, sizeof best);
	float *kept = copy_floats(logits, n);
	log_sum_exp(lse, best_again, logits, ROWS, V);
	assert_same_floats(logits, kept, n);
	assert_memory_equal(best, best_again, sizeof best);
	for (int i = 0; i < ROWS; i++) {
		struct row r = {x + (size_t)i * (size_t)V, V, target[i]};
		assert_near((double)nll[i], nll_of(&r), 2e-6 * (1 + nll_of(&r)));
		assert_near((double)lse[i], log_sum(r.logits, V), 2e-6 * (1 + fabs(log_sum(r.logits, V))));
		assert_int_equal(best[i], argmax(r.logits, V));
		for (int s = 0; s < (V < 50 ? V : 50); s++) {
			int v = V < 50 ? s : s * 37 % V;
			double want = (double)coef[i] * derivative(nll_of, &r, &r.logits[v]);
			assert_near((double)grad[(size_t)i * (size_t)V + (size_t)v], want, 1e-6);
		}
	}
	release_all();
}

static void
test_sizes(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SIZES; s++)
		check_size(sizes[s]);
}

static void
test_extremes(void **state)
{
	(void)state;
	float logits[4][3] = {{1e4f, -1e4f, 0}, {1e4f, -1e4f, 0}, {-3e38f, 3e38f, 0}, {5, 5, 5}}, nll[4];
	const int32_t target[4] = {0, 1, 1, 2};
	const float coef[4] = {1, 1, 1, 1};
	int32_t best[4];
	cross_entropy(rows_f32(logits[0], 3), nll, best, target, coef, 4, 3);
	assert_near((double)nll[0], 0, 1e-6);
	assert_near((double)nll[1], 2e4, 1e-2);
	assert_near((double)nll[2], 0, 1e-6);
	assert_near((double)nll[3], log(3), 1e-6);
	const float want[4][3] = {{0, 0, 0}, {1, -1, 0}, {0, 0, 0}, {1 / 3.0f, 1 / 3.0f, -2 / 3.0f}};
	for (int i = 0; i < 4; i++)
		for (int v = 0; v < 3; v++)
			assert_near((double)logits[i][v], (double)want[i][v], 1e-6);
}

static void
test_ties_go_to_the_lowest(void **state)
{
	(void)state;
	for (int V = 2; V < 70; V++) {
		float logits[70] = {0}, nll;
		int32_t best, target = 0;
		logits[V / 2] = logits[V - 1] = 9;
		cross_entropy(rows_f32(logits, 70), &nll, &best, &target, NULL, 1, V);
		assert_int_equal(best, V / 2);
	}
}

static void
test_nan_is_seen(void **state)
{
	(void)state;
	float logits[20] = {0}, nll;
	int32_t best, target = 3;
	logits[7] = NAN;
	cross_entropy(rows_f32(logits, 20), &nll, &best, &target, NULL, 1, 20);
	assert_true(isnan(nll));
	assert_true(best >= 0 && best <= 19);
}

/* Over bf16 the loss is that of the rounded logits, and the gradient is rounded: once, so that it is within 2^-8, but for what
 * fp32 itself rounds where a kernel computes otherwise. */
static void
check_bf16(int V)
{
	float *x = random_floats((size_t)V, 3, 1), *grad = copy_floats(x, (size_t)V), nll, nll_half;
	uint16_t *half = hold(xreallocarray(NULL, (size_t)V, sizeof *half));
	int32_t best, best_half;
	const int32_t target = V / 3;
	const float coef = 0.5f;
	for (int v = 0; v < V; v++)
		grad[v] = x[v] = bf16_to_f32(half[v] = bf16_from_f32(x[v]));
	cross_entropy(rows_f32(grad, V), &nll, &best, &target, &coef, 1, V);
	cross_entropy((struct rows){half, V, NUM_BF16}, &nll_half, &best_half, &target, &coef, 1, V);
	if (bf16_instructions())  /* with exponentials of its own */
		assert_near((double)nll_half, (double)nll, 1e-6 * fmax(1, (double)nll));
	else
		assert_true(nll == nll_half);
	assert_int_equal(best, best_half);
	for (int v = 0; v < V; v++)
		if (bf16_instructions())
			assert_near((double)bf16_to_f32(half[v]), (double)grad[v], fabs((double)grad[v]) / 256 + 1e-8);
		else
			assert_int_equal(half[v], bf16_from_f32(grad[v]));
	half[V / 2] = 0x7fc0;
	cross_entropy((struct rows){half, V, NUM_BF16}, &nll, &best, &target, NULL, 1, V);
	assert_true(isnan(nll));
	assert_true(best >= 0 && best < V);
	release_all();
}

static void
test_bf16(void **state)
{
	(void)state;
	const struct tile_kernel *kernel = bf16_kernel();
	for (int own = 0; own < 2; own++) {  /* what every processor has, and what this one may have of its own */
		bf16_set_kernel(own ? kernel : NULL);
		for (int V = 1; V < 70; V++)
			check_bf16(V);
		check_bf16(5003);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_ties_go_to_the_lowest),
		cmocka_unit_test(test_nan_is_seen),
		cmocka_unit_test(test_bf16),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Intervals and tests by resampling: against theory, against a slow loop, and the same on any number of threads. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/bootstrap.h"
#include "eval/metrics.h"

enum { N = 400, R = 2000 };

struct rows {
	double v[N];
	size_t n;
};

static void
mean(void *ctx, const uint32_t *weight, double *out, void *scratch)
{
	const struct rows *r = ctx;
	uint64_t drawn = 0;
	(void)scratch;
	*out = 0;
	for (size_t i = 0; i < r->n; i++) {
		*out += weight[i] * r->v[i] / (double)r->n;
		drawn += weight[i];
	}
	assert_int_equal(drawn, r->n);
}

static double *
resample(struct rows *r, int resamples, uint64_t seed)
{
	const struct bootstrap b = {resamples, seed};
	const struct bootstrap_job job = {.n = r->n, .count = 1, .f = mean, .ctx = r};
	return bootstrap_run(&b, &job);
}

/* Of a mean the interval is that of the normal distribution: ± 1.96 s / sqrt(n). */
static void
interval_of_a_mean(void **state)
{
	(void)state;
	struct rng g;
	struct rows r = {.n = N};
	double sum = 0, squares = 0;
	rng_init(&g, 1, 1);
	for (size_t i = 0; i < N; i++) {
		r.v[i] = rng_normal(&g);
		sum += r.v[i];
		squares += r.v[i] * r.v[i];
	}
	double m = sum / N, error = sqrt((squares / N - m * m) / N);
	double *v = resample(&r, R, 42);
	struct interval x = bootstrap_interval(v, R);
	assert_true(fabs(x.low - (m - 1.96 * error)) < 0.15 * error);
	assert_true(fabs(x.high - (m + 1.96 * error)) < 0.15 * error);
	free(v);
}

static void
threads_do_not_matter(void **state)
{
	(void)state;
	struct rows r = {.n = 7};
	for (size_t i = 0; i < r.n; i++)
		r.v[i] = (double)(i * i);
	omp_set_num_threads(1);
	double *one = resample(&r, 101, 9), *other = resample(&r, 101, 10);
	omp_set_num_threads(5);
	double *five = resample(&r, 101, 9);
	assert_memory_equal(one, five, 101 * sizeof *one);
	assert_memory_not_equal(one, other, 101 * sizeof *one);
	free(one);
	free(other);
	free(five);
}

static void
quantiles(void **state)
{
	(void)state;
	double v[81];
	for (int i = 0; i < 81; i++)
		v[i] = (i * 7) % 81;
	struct interval x = bootstrap_interval(v, 81);
	assert_true(fabs(x.low - 2) < 1e-12 && fabs(x.high - 78) < 1e-12);
	double some[] = {3, NAN, 1, NAN}, few[] = {3, NAN, NAN};
	x = bootstrap_interval(some, 4);
	assert_true(fabs(x.low - 1.05) < 1e-12 && fabs(x.high - 2.95) < 1e-12);
	x = bootstrap_interval(few, 3);
	assert_true(isnan(x.low) && isnan(x.high));
}

static void
p_values(void **state)
{
	(void)state;
	const double v[] = {-1, 1, 2, 3, 4, 5, 6, 7, 8, 9}, zero[] = {0, 0, 0};
	assert_true(fabs(bootstrap_p(v, 10, 0) - 2.0 * 2 / 11) < 1e-12);
	assert_true(fabs(bootstrap_p(v, 10, -5) - 2.0 * 1 / 11) < 1e-12);
	assert_true(bootstrap_p(zero, 3, 0) == 1);
	assert_true(isnan(bootstrap_p((double[]){NAN, NAN, 1}, 3, 0)));
}

static void
nothing_to_resample(void **state)
{
	(void)state;
	struct rows r = {.n = 0};
	assert_null(resample(&r, 10, 1));
	r.n = 1;
	assert_null(resample(&r, 0, 1));
}

/* Every figure of rows with weights is that of the rows written out so often. */
static void
weights_are_repetitions(void **state)
{
	(void)state;
	static const char *const names[] = {"a", "b", "c"};
	struct predictions p, q;
	struct rng g;
	uint32_t weight[60];
	const struct metrics_betas betas = {{1, 0.5}, 2};
	predictions_init(&p, names, 3);
	predictions_init(&q, names, 3);
	rng_init(&g, 3, 3);
	for (int i = 0; i < 60; i++) {
		double s[3] = {rng_uniform(&g), (double)rng_below(&g, 4) / 4, rng_uniform(&g)};
		int label = (int)rng_below(&g, 3), said = (int)rng_below(&g, 4) - 1;
		weight[i] = (uint32_t)rng_below(&g, 4);
		predictions_add(&p, i, label, said, s);
		predictions_outside(&p, s[0]);
		for (uint32_t k = 0; k < weight[i]; k++) {
			predictions_add(&q, i, label, said, s);
			predictions_outside(&q, s[0]);
		}
	}
	struct figure_rows a, b;
	struct figure_counts c;
	double x[FIGURES_MAX], y[FIGURES_MAX];
	figure_rows_init(&a, &p, 1, &betas);
	figure_rows_init(&b, &q, 1, &betas);
	figure_counts_init(&c, 3);
	figures_compute(x, &c, &a, weight);
	figures_compute(y, &c, &b, NULL);
	for (int i = 0; i < FIGURE_F + 2; i++)
		assert_true(isfinite(x[i]) && fabs(x[i] - y[i]) < 1e-12);
	figure_counts_release(&c);
	figure_rows_release(&a);
	figure_rows_release(&b);
	predictions_release(&p);
	predictions_release(&q);
}

/* An accuracy of 0.8 over 500 rows: ± 1.96 sqrt(0.8 · 0.2 / 500), whatever else the rows are. */
static void
interval_of_an_accuracy(void **state)
{
	(void)state;
	struct predictions p;
	struct metrics m;
	struct err e;
	predictions_init(&p, (const char *const[]){"a", "b"}, 2);
	for (int i = 0; i < 500; i++)
		predictions_add(&p, i + 1, i % 2, i % 5 ? i % 2 : 1 - i % 2, NULL);
	const struct metrics_options o = {.positive = 1, .bootstrap = {1000, 42}};
	assert_int_equal(metrics_compute(&m, &p, &o, &e), 0);
	double half = 1.96 * sqrt(0.8 * 0.2 / 500);
	const struct interval *x = &m.interval[FIGURE_ACCURACY];
	assert_true(fabs(x->low - (0.8 - half)) < 0.1 * half && fabs(x->high - (0.8 + half)) < 0.1 * half);
	assert_true(isnan(m.interval[FIGURE_AUROC].low));
	json_t *o2 = metrics_json(&m), *all = json_object_get(o2, "classification/intervals");
	assert_int_equal(json_integer_value(json_object_get(all, "resamples")), 1000);
	assert_int_equal(json_array_size(json_object_get(all, "accuracy")), 2);
	assert_true(json_is_null(json_object_get(all, "auroc")));
	json_decref(o2);
	metrics_release(&m);
	predictions_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interval_of_a_mean),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(quantiles),
		cmocka_unit_test(p_values),
		cmocka_unit_test(nothing_to_resample),
		cmocka_unit_test(weights_are_repetitions),
		cmocka_unit_test(interval_of_an_accuracy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

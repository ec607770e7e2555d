/* Figures against worked examples and against the definitions written out the slow way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "eval/metrics.h"

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-12)

static const char *const letters[] = {"a", "b", "c", "d"};

/* Figures of n rows without scores, or (scores: [n][K]) with them. */
static struct metrics
figures(int K, int positive, size_t n, const int *label, const int *prediction, const double *scores)
{
	struct predictions p;
	struct metrics m;
	struct err e;
	predictions_init(&p, letters, K);
	for (size_t i = 0; i < n; i++)
		predictions_add(&p, (int64_t)i + 1, label[i], prediction[i], scores ? scores + i * (size_t)K : NULL);
	struct metrics_options o = {.positive = positive, .betas = (double[]){0.5, 2}, .n_betas = 2};
	assert_int_equal(metrics_compute(&m, &p, &o, &e), 0);
	predictions_release(&p);
	return m;
}

/* Binary figures of positive-class scores alone; class 1 is positive, and predicted from 0.5 on. */
static struct metrics
ranking(size_t n, const int *label, const double *score)
{
	int *prediction = calloc(n, sizeof *prediction);
	double *both = calloc(2 * n, sizeof *both);
	for (size_t i = 0; i < n; i++) {
		prediction[i] = score[i] >= 0.5;
		both[2 * i] = 1 - score[i];
		both[2 * i + 1] = score[i];
	}
	struct metrics m = figures(2, 1, n, label, prediction, both);
	free(prediction);
	free(both);
	return m;
}

static void
binary_by_hand(void **state)
{
	(void)state;
	/* tp 3, fp 1, fn 2, tn 4 */
	int label[] = {1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, prediction[] = {1, 1, 1, 0, 0, 1, 0, 0, 0, 0};
	struct metrics m = figures(2, 1, 10, label, prediction, NULL);
	assert_near(m.accuracy, 0.7);
	assert_near(m.precision, 3.0 / 4);
	assert_near(m.recall, 3.0 / 5);
	assert_near(m.f[0], 2.0 / 3);
	assert_near(m.f[1], 1.25 * 3 / (1.25 * 3 + 0.25 * 2 + 1));
	assert_near(m.f[2], 5.0 * 3 / (5 * 3 + 4 * 2 + 1));
	assert_near(m.mcc, (3 * 4 - 1 * 2) / sqrt(4.0 * 5 * 5 * 6));
	assert_near(m.kappa, (0.7 - 0.5) / (1 - 0.5));
	assert_near(m.class[0].f1, 8.0 / 11);
	assert_near(m.macro_f1, (2.0 / 3 + 8.0 / 11) / 2);
	assert_int_equal(m.confusion[0], 4);
	assert_int_equal(m.confusion[1], 1);
	assert_int_equal(m.confusion[2], 2);
	assert_int_equal(m.confusion[3], 3);
	assert_true(isnan(m.log_loss) && isnan(m.auroc) && isnan(m.auprc) && isnan(m.ece));
	metrics_release(&m);
}

static void
kappa_of_three_classes(void **state)
{
	(void)state;
	int label[] = {0, 1, 0, 2, 1}, prediction[] = {0, 1, 0, 2, 0};
	struct metrics m = figures(3, -1, 5, label, prediction, NULL);
	assert_near(m.kappa, 0.6875);
	assert_near(m.weighted_f1, (2 * 0.8 + 2 * (2.0 / 3) + 1) / 5);
	metrics_release(&m);
}

static void
ranking_by_hand(void **state)
{
	(void)state;
	struct metrics m = ranking(4, (int[]){0, 0, 1, 1}, (double[]){0.1, 0.4, 0.35, 0.8});
	assert_near(m.auroc, 0.75);
	assert_near(m.auprc, (1 + 2.0 / 3) / 2);
	metrics_release(&m);
	m = ranking(4, (int[]){0, 1, 0, 1}, (double[]){0.5, 0.5, 0.5, 0.5});
	assert_near(m.auroc, 0.5);
	assert_near(m.auprc, 0.5);
	metrics_release(&m);
}

/* The share of (positive, negative) pairs in the right order, a tie counting one half. */
static double
pairs_in_order(size_t n, const int *label, const double *score)
{
	double good = 0, all = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			if (!label[i] || label[j])
				continue;
			all++;
			good += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
		}
	}
	return good / all;
}

/* The mean over positives of the precision among the examples that score at least as high. */
static double
mean_precision(size_t n, const int *label, const double *score)
{
	double sum = 0, positives = 0;
	for (size_t i = 0; i < n; i++) {
		double hits = 0, taken = 0;
		for (size_t j = 0; label[i] && j < n; j++) {
			taken += score[j] >= score[i];
			hits += score[j] >= score[i] && label[j];
		}
		positives += label[i];
		sum += label[i] ? hits / taken : 0;
	}
	return sum / positives;
}

static void
ranking_by_definition(void **state)
{
	(void)state;
	static const size_t sizes[] = {2, 3, 17, 101, 256};
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		for (int steps = 2; steps <= 1000; steps *= 5) {  /* few steps: many ties */
			struct rng r;
			rng_init(&r, 42, s * 1000 + (uint64_t)steps);
			int label[256] = {0, 1};
			double score[256];
			for (size_t i = 0; i < sizes[s]; i++) {
				label[i] = i < 2 ? label[i] : (int)rng_below(&r, 2);
				score[i] = (double)rng_below(&r, (uint64_t)steps) / steps;
			}
			struct metrics m = ranking(sizes[s], label, score);
			assert_near(m.auroc, pairs_in_order(sizes[s], label, score));
			assert_near(m.auprc, mean_precision(sizes[s], label, score));
			metrics_release(&m);
		}
	}
}

static void
loss_and_calibration(void **state)
{
	(void)state;
	/* Confidences 0.9 (right), 0.9 (wrong), 0.6 (right); 1.0 (wrong, so the truth has probability 0). */
	double score[] = {0.9, 0.1, 0.9, 0.1, 0.4, 0.6, 1, 0};
	struct metrics m = figures(2, -1, 4, (int[]){0, 1, 1, 1}, (int[]){0, 0, 1, 0}, score);
	assert_near(m.log_loss, -(log(0.9) + log(0.1) + log(0.6) + log(1e-15)) / 4);
	assert_near(m.ece, (fabs(1 - 1.8) + fabs(1 - 0.6) + fabs(0 - 1.0)) / 4);
	metrics_release(&m);
	/* Just on both sides of the edge 3/15 of a bin; together they would err by 0.6 − 0.5. */
	double edge[] = {0.2, 0.3, 0.5, 0.2001, 0.3, 0.4999};
	m = figures(3, -1, 2, (int[]){0, 1}, (int[]){0, 0}, edge);
	assert_near(m.ece, (0.8 + 0.2001) / 2);
	metrics_release(&m);
}

static void
abstentions_count_as_wrong(void **state)
{
	(void)state;
	int label[] = {0, 0, 1, 1, -1}, prediction[] = {0, -1, 1, 0, 1};
	struct metrics m = figures(2, 1, 5, label, prediction, NULL);
	assert_int_equal(m.examples, 4);
	assert_int_equal(m.unlabelled, 1);
	assert_int_equal(m.abstentions, 1);
	assert_near(m.accuracy, 0.5);
	assert_near(m.recall, 0.5);
	assert_near(m.precision, 1);
	assert_near(m.micro_f1, 2 * 2.0 / (4 + 3));
	/* Three classes as scikit-learn sees it: t = 2 2 0, p = 2 1 1. */
	assert_near(m.mcc, (2 * 4 - (4 + 2)) / sqrt((16.0 - 8) * (16 - 6)));
	assert_near(m.kappa, 1 - 2.0 / (4 - 6.0 / 4));
	metrics_release(&m);
}

static void
undefined_figures(void **state)
{
	(void)state;
	/* The positive class occurs nowhere. */
	struct metrics m = figures(2, 1, 2, (int[]){0, 0}, (int[]){0, 0}, (double[]){0.9, 0.1, 0.8, 0.2});
	assert_near(m.accuracy, 1);
	assert_true(isnan(m.precision) && isnan(m.recall) && isnan(m.f[0]));
	assert_true(isnan(m.auroc) && isnan(m.auprc) && isnan(m.kappa));
	assert_true(m.mcc == 0 && isnan(m.class[1].f1) && isnan(m.class[1].precision) && isnan(m.class[1].recall));
	assert_near(m.macro_f1, 0.5);
	json_t *o = metrics_json(&m);
	assert_true(json_is_null(json_object_get(o, "classification/f0.5")));
	assert_true(json_is_null(json_object_get(o, "classification/kappa")));
	assert_true(json_is_real(json_object_get(o, "classification/log_loss")));
	const json_t *absent = json_array_get(json_object_get(o, "classification/classes"), 1);
	assert_true(json_is_null(json_object_get(absent, "precision")) && json_is_null(json_object_get(absent, "f1")));
	json_decref(o);
	metrics_release(&m);
	/* The positive class is never predicted: no precision, but F is 0. */
	m = figures(2, 1, 2, (int[]){0, 1}, (int[]){0, 0}, NULL);
	assert_true(isnan(m.precision) && m.recall == 0 && m.f[0] == 0 && m.mcc == 0);
	metrics_release(&m);
	/* Nothing has a label. */
	m = figures(2, 1, 1, (int[]){-1}, (int[]){0}, NULL);
	assert_true(isnan(m.accuracy) && isnan(m.macro_f1) && isnan(m.mcc) && isnan(m.f[0]));
	metrics_release(&m);
}

static void
scores_of_some_rows_only(void **state)
{
	(void)state;
	double score[] = {0.9, 0.1, NAN, 0.2};
	struct metrics m = figures(2, 1, 2, (int[]){0, 1}, (int[]){0, 1}, score);
	assert_near(m.accuracy, 1);
	assert_true(isnan(m.log_loss) && isnan(m.auroc) && isnan(m.ece));
	metrics_release(&m);
	/* A row without a label needs no scores. */
	m = figures(2, 1, 2, (int[]){0, -1}, (int[]){0, 1}, score);
	assert_near(m.log_loss, -log(0.9));
	metrics_release(&m);
}

static void
keys(void **state)
{
	(void)state;
	struct metrics m = figures(2, 1, 2, (int[]){0, 1}, (int[]){0, 1}, (double[]){0.9, 0.1, 0.2, 0.8});
	json_t *o = metrics_json(&m);
	static const char *const key[] = {"accuracy", "weighted_f1_score", "macro_f1_score", "precision", "recall",
		"auroc", "auprc", "f1.0", "f0.5", "f2.0", "mcc"};
	for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
		char full[METRICS_KEY_MAX];
		snprintf(full, sizeof full, "classification/%s", key[i]);
		assert_true(json_is_real(json_object_get(o, full)));
		assert_near(json_real_value(json_object_get(o, full)), 1);
	}
	json_decref(o);
	m.positive = -1;
	o = metrics_json(&m);
	assert_null(json_object_get(o, "classification/precision"));
	assert_null(json_object_get(o, "classification/f1.0"));
	json_decref(o);
	metrics_release(&m);
}

static void
betas(void **state)
{
	(void)state;
	struct metrics_betas b;
	struct err e;
	char key[METRICS_KEY_MAX];
	assert_int_equal(metrics_betas_set(&b, (double[]){0.5, 1, 1.5, 0.5}, 4, &e), 0);
	assert_int_equal(b.n, 3);
	metrics_beta_key(key, b.v[0]);
	assert_string_equal(key, "classification/f1.0");
	metrics_beta_key(key, b.v[2]);
	assert_string_equal(key, "classification/f1.5");
	assert_int_equal(metrics_betas_set(&b, (double[]){0}, 1, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_int_equal(metrics_betas_set(&b, (double[]){NAN}, 1, &e), -1);
	double many[METRICS_BETAS_MAX];
	for (int i = 0; i < METRICS_BETAS_MAX; i++)
		many[i] = i + 2;
	assert_int_equal(metrics_betas_set(&b, many, METRICS_BETAS_MAX - 1, &e), 0);
	assert_int_equal(metrics_betas_set(&b, many, METRICS_BETAS_MAX, &e), -1);
}

static void
table(void **state)
{
	(void)state;
	static const char *const names[] = {"a\033[2J", "\xc2\x9b" "b", "\xe4\xb8\xad"};
	struct predictions p;
	struct metrics m;
	struct err e;
	char *text = NULL;
	size_t n;
	predictions_init(&p, names, 3);
	predictions_add(&p, 1, 0, 1, NULL);
	assert_int_equal(metrics_compute(&m, &p, &(struct metrics_options){.positive = 0}, &e), 0);
	FILE *f = open_memstream(&text, &n);
	metrics_print(f, &m);
	fclose(f);
	assert_non_null(strstr(text, "'a\\x1b[2J'"));
	assert_non_null(strstr(text, "'\\u009bb'"));
	assert_non_null(strstr(text, "'\xe4\xb8\xad'"));
	assert_non_null(strstr(text, "accuracy                     0.0000\n"));
	assert_non_null(strstr(text, "auroc                        -\n"));
	free(text);
	metrics_release(&m);
	predictions_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary_by_hand),
		cmocka_unit_test(kappa_of_three_classes),
		cmocka_unit_test(ranking_by_hand),
		cmocka_unit_test(ranking_by_definition),
		cmocka_unit_test(loss_and_calibration),
		cmocka_unit_test(abstentions_count_as_wrong),
		cmocka_unit_test(undefined_figures),
		cmocka_unit_test(scores_of_some_rows_only),
		cmocka_unit_test(keys),
		cmocka_unit_test(betas),
		cmocka_unit_test(table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

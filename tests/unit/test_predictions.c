/* Predictions files: what is written reads back, and what is wrong is told with its line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/num.h"
#include "base/rng.h"
#include "eval/predictions.h"

static char dir[] = "/tmp/hone-predictions-XXXXXX";
static char *file;

static int
make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	file = path_join(dir, "p.jsonl");
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	struct err e;
	free(file);
	return path_remove(dir, &e);
}

static int
read_text(struct predictions *p, const char *text, struct err *e)
{
	assert_int_equal(file_write(file, true, text, strlen(text), e), 0);
	return predictions_read(p, file, e);
}

static void
round_trip(void **state)
{
	(void)state;
	enum { N = 50, K = 3 };
	static const char *const names[K] = {" a", "b\"\\\n", "\xe5\xa5\xbd"};  /* in byte order */
	struct predictions p, q;
	struct rng r;
	struct out out;
	struct err e;
	rng_init(&r, 1, 2);
	predictions_init(&p, names, K);
	for (int i = 0; i < N; i++) {
		double score[K] = {rng_uniform(&r), rng_uniform(&r) * 1e-9, i % 3};
		int label = (int)rng_below(&r, K + 1) - 1, prediction = (int)rng_below(&r, K + 1) - 1;
		predictions_add(&p, i, label, prediction, i % 5 ? score : NULL);
		if (i % 2)
			predictions_outside(&p, score[0]);
	}
	assert_int_equal(out_open(&out, file, true, &e), 0);
	predictions_write(&p, NULL, &out);
	assert_int_equal(out_commit(&out, &e), 0);
	assert_int_equal(predictions_read(&q, file, &e), 0);
	assert_int_equal(q.n, N);
	assert_int_equal(q.n_classes, K);
	for (int k = 0; k < K; k++)
		assert_string_equal(q.name[k], names[k]);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(q.row[i].line, i);
		assert_int_equal(q.row[i].label, p.row[i].label);
		assert_int_equal(q.row[i].prediction, p.row[i].prediction);
		for (int k = 0; k < K; k++) {
			double a = predictions_score(&p, i, k), b = predictions_score(&q, i, k);
			assert_true(isnan(a) ? isnan(b) : a == b);
		}
		assert_true(i % 2 ? q.row[i].outside == p.row[i].outside : isnan(q.row[i].outside));
	}
	assert_int_equal(q.step, -1);
	predictions_release(&p);
	predictions_release(&q);
}

static void
classes_are_sorted(void **state)
{
	(void)state;
	struct predictions p;
	struct err e;
	const char *text = "{\"label\":\"z\",\"prediction\":\"m\",\"scores\":{\"z\":0.5,\"b\":0.25,\"m\":0.25}}\n"
			   "\n"
			   "{\"line\":7,\"label\":null,\"prediction\":null,\"scores\":{\"y\":1}}";
	assert_int_equal(read_text(&p, text, &e), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.n_classes, 4);
	assert_string_equal(p.name[0], "b");
	assert_string_equal(p.name[3], "z");
	assert_int_equal(p.row[0].label, 3);
	assert_int_equal(p.row[0].prediction, 1);
	assert_true(predictions_score(&p, 0, 3) == 0.5 && predictions_score(&p, 0, 0) == 0.25);
	assert_true(predictions_score(&p, 0, 2) == 0 && predictions_score(&p, 1, 2) == 1);
	assert_int_equal(p.row[1].line, 7);
	assert_int_equal(p.row[1].label, -1);
	assert_int_equal(predictions_class(&p, "m"), 1);
	assert_int_equal(predictions_class(&p, "n"), -1);
	predictions_release(&p);
}

static void
what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *row, *message;
	} bad[] = {
		{"{", "line 2, column"},
		{"[1]", "line 2: not an object"},
		{"3", "line 2"},
		{"{\"prediction\":\"a\"}", "line 2: 'label' is missing"},
		{"{\"label\":\"a\"}", "line 2: 'prediction' is missing"},
		{"{\"label\":1,\"prediction\":\"a\"}", "line 2: 'label' is not a string"},
		{"{\"label\":\"a\",\"label\":\"b\",\"prediction\":\"a\"}", "line 2, column"},
		{"{\"label\":\"a\\u0000\",\"prediction\":\"a\"}", "line 2, column"},
		{"{\"label\":\"\xff\",\"prediction\":\"a\"}", "line 2, column"},
		{"{\"line\":-1,\"label\":\"a\",\"prediction\":\"a\"}", "line 2: 'line' is not"},
		{"{\"line\":1.5,\"label\":\"a\",\"prediction\":\"a\"}", "line 2: 'line' is not"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"scores\":[1]}", "line 2: 'scores' is not an object"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"scores\":{\"a\":\"1\"}}", "line 2: the score of 'a'"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"scores\":{\"a\":1.01}}", "line 2: the score of 'a'"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"scores\":{\"a\":-0.1}}", "line 2: the score of 'a'"},
		{"{\"label\":\"a\",\"prediction\":\"a\"} x", "line 2, column"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"outside\":1.5}", "line 2: 'outside' is not"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"outside\":\"0\"}", "line 2: 'outside' is not"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"step\":3}", "line 2: 'step' is there"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"step\":0}", "line 2: 'step' is not"},
		{"{\"label\":\"a\",\"prediction\":\"a\",\"step\":\"1\"}", "line 2: 'step' is not"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct predictions p;
		struct err e;
		char text[256];
		snprintf(text, sizeof text, "{\"label\":\"a\",\"prediction\":\"b\"}\n%s\n", bad[i].row);
		assert_int_equal(read_text(&p, text, &e), -1);
		assert_int_equal(e.code, ERR_DATA);
		assert_non_null(strstr(e.msg, "p.jsonl"));
		if (!strstr(e.msg, bad[i].message))
			fail_msg("'%s' does not tell '%s'", e.msg, bad[i].message);
		predictions_release(&p);
	}
}

static void
limits(void **state)
{
	(void)state;
	struct predictions p;
	struct err e;
	struct out out;
	assert_int_equal(out_open(&out, file, true, &e), 0);
	for (int i = 0; i <= PREDICTIONS_CLASSES_MAX; i++) {
		char row[64];
		snprintf(row, sizeof row, "{\"label\":\"%d\",\"prediction\":null}\n", i);
		out_puts(&out, row);
	}
	assert_int_equal(out_commit(&out, &e), 0);
	assert_int_equal(predictions_read(&p, file, &e), -1);
	assert_non_null(strstr(e.msg, "line 65537: more than 65536 different classes"));
	predictions_release(&p);
	assert_int_equal(read_text(&p, "", &e), 0);
	assert_int_equal(p.n, 0);
	predictions_release(&p);
	assert_int_equal(predictions_read(&p, "/nonexistent/p.jsonl", &e), -1);
	assert_int_equal(e.code, ERR_NOINPUT);
	predictions_release(&p);
}

static void
scores_are_cut_to_probabilities(void **state)
{
	(void)state;
	struct predictions p;
	predictions_init(&p, (const char *const[]){"a", "b"}, 2);
	predictions_add(&p, 1, 0, 0, (double[]){1.0000001, -1e-9});
	assert_true(predictions_score(&p, 0, 0) == 1 && predictions_score(&p, 0, 1) == 0);
	predictions_release(&p);
}

/* ---- a run's file ---- */

static void
append(int64_t step, int n)
{
	struct predictions p;
	struct err e;
	predictions_init(&p, (const char *const[]){"a", "b"}, 2);
	for (int i = 0; i < n; i++)
		predictions_add(&p, i + 1, i % 2, (int)(step % 2), NULL);
	assert_int_equal(predictions_append(&p, file, step, &e), 0);
	predictions_release(&p);
}

static void
assert_file(const char *want)
{
	struct buf b = {0};
	struct err e;
	assert_int_equal(file_read(file, 1 << 20, &b, &e), 0);
	assert_string_equal(b.data, want);
	buf_release(&b);
}

#define ROW(step, line, label, prediction) \
	"{\"step\": " step ", \"line\": " line ", \"label\": \"" label "\", \"prediction\": \"" prediction "\"}\n"

static void
steps_of_a_run(void **state)
{
	(void)state;
	static const char two[] = ROW("4", "1", "a", "a") ROW("4", "2", "b", "a") ROW("9", "1", "a", "b");
	struct predictions p;
	struct err e;
	unlink(file);
	append(4, 2);
	append(9, 1);
	assert_file(two);
	/* The last step counts. */
	assert_int_equal(predictions_read(&p, file, &e), 0);
	assert_int_equal(p.step, 9);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.row[0].prediction, predictions_class(&p, "b"));
	predictions_release(&p);
	/* A run that goes on from step 4 makes step 9 again; one that went further is cut back; a line cut short goes. */
	append(9, 1);
	assert_file(two);
	append(12, 2);
	append(9, 1);
	assert_file(two);
	for (size_t cut = 1; cut < strlen(ROW("9", "1", "a", "b")); cut += 7) {
		assert_int_equal(file_write(file, true, two, strlen(two) - cut, &e), 0);
		append(9, 1);
		assert_file(two);
	}
	assert_int_equal(file_write(file, true, "junk\n", 5, &e), 0);
	append(9, 1);
	assert_file(ROW("9", "1", "a", "b"));
}

static void
numbers(void **state)
{
	(void)state;
	static const struct {
		double v;
		const char *text;
	} cases[] = {{0.485, "0.485"}, {0.1, "0.1"}, {1, "1"}, {0, "0"}, {1e-5, "1e-05"},
		{1.0 / 3, "0.3333333333333333"}, {123456789012.0, "123456789012"}, {INFINITY, "inf"}};
	char text[NUM_TEXT];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		num_text(text, cases[i].v);
		assert_string_equal(text, cases[i].text);
	}
	struct rng r;
	rng_init(&r, 3, 4);
	for (int i = 0; i < 10000; i++) {
		double v = ldexp(rng_normal(&r), (int)rng_below(&r, 2000) - 1000);
		num_text(text, v);
		assert_true(strtod(text, NULL) == v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(classes_are_sorted),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(limits),
		cmocka_unit_test(scores_are_cut_to_probabilities),
		cmocka_unit_test(steps_of_a_run),
		cmocka_unit_test(numbers),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

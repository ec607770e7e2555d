/* results.csv: the columns of each kind, and that a resumed run ends with the same bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/results_csv.h"

#define COMMON                                                                                                 \
	"step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,"                       \
	"training_token_accuracy,validation_loss,validation_sequence_accuracy,validation_token_accuracy"

static char dir[] = "/tmp/hone-results-XXXXXX";
static char *file;

static int
make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	file = path_join(dir, "results.csv");
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

static void
assert_file(const char *want)
{
	struct buf b = {0};
	struct err e;
	assert_int_equal(file_read(file, 1 << 20, &b, &e), 0);
	assert_string_equal(b.data, want);
	buf_release(&b);
}

static void
put_file(const char *text)
{
	struct err e;
	assert_int_equal(file_write(file, true, text, strlen(text), &e), 0);
}

static void
append(struct results_csv *r, int64_t step, const struct metrics *m)
{
	struct err e;
	struct results_row row = {step, 100 * step, 4 * step, 1.0 / (double)step, 0.5, 0.75, m ? 0.1 : NAN, NAN, NAN,
		m};
	assert_int_equal(results_append(r, &row, &e), 0);
}

static void
columns(void **state)
{
	(void)state;
	struct results_csv r;
	struct err e;
	struct metrics m = {.accuracy = 0.9, .weighted_f1 = 0.8, .precision = NAN, .recall = 0, .auroc = 0.625,
		.auprc = 1, .f = {0, 0.25}};
	struct metrics_betas betas;
	assert_int_equal(metrics_betas_set(&betas, (double[]){0.5}, 1, &e), 0);

	assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, 0, &e), 0);
	append(&r, 1, NULL);
	append(&r, 2, &m);
	results_close(&r);
	assert_file(COMMON "\n1,100,4,1,0.5,0.75,,,\n2,200,8,0.5,0.5,0.75,0.1,,\n");

	assert_int_equal(results_open(&r, dir, RESULTS_MULTICLASS, NULL, 0, &e), 0);
	append(&r, 1, NULL);
	append(&r, 2, &m);
	assert_int_equal(results_sync(&r, &e), 0);
	results_close(&r);
	assert_file(COMMON ",classification/accuracy,classification/weighted_f1_score\n"
			   "1,100,4,1,0.5,0.75,,,,,\n2,200,8,0.5,0.5,0.75,0.1,,,0.9,0.8\n");

	assert_int_equal(results_open(&r, dir, RESULTS_BINARY, &betas, 0, &e), 0);
	append(&r, 1, NULL);
	append(&r, 2, &m);
	results_close(&r);
	assert_file(COMMON ",classification/accuracy,classification/precision,classification/recall,"
			   "classification/auroc,classification/auprc,classification/f1.0,classification/f0.5\n"
			   "1,100,4,1,0.5,0.75,,,,,,,,,,\n2,200,8,0.5,0.5,0.75,0.1,,,0.9,,0,0.625,1,0,0.25\n");
}

static void
resuming(void **state)
{
	(void)state;
	struct results_csv r;
	struct err e;
	assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, 0, &e), 0);
	for (int step = 1; step <= 6; step++)
		append(&r, step, NULL);
	results_close(&r);
	struct buf whole = {0};
	assert_int_equal(file_read(file, 1 << 20, &whole, &e), 0);

	for (int from = 0; from <= 6; from++) {
		assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, from, &e), 0);
		assert_int_equal(r.last_step, from);
		for (int step = from + 1; step <= 6; step++)
			append(&r, step, NULL);
		results_close(&r);
		assert_file(whole.data);
	}
	/* A crash in the midst of the last row. */
	whole.data[whole.len - 3] = '\0';
	put_file(whole.data);
	assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, 6, &e), 0);
	assert_int_equal(r.last_step, 5);
	results_close(&r);
	buf_release(&whole);
	/* The file went missing: the run goes on without the old rows. */
	assert_int_equal(path_remove(file, &e), 0);
	assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, 3, &e), 0);
	append(&r, 4, NULL);
	results_close(&r);
	assert_file(COMMON "\n4,400,16,0.25,0.5,0.75,,,\n");
}

static void
what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"step,other\n1,2\n", "line 1: not the columns"},
		{COMMON "\n1,100,4,1,,,,,\nx,1\n", "line 3: does not begin with a step beyond 1"},
		{COMMON "\n3,1,4,1,,,,,\n2,1,4,1,,,,,\n", "line 3: does not begin with a step beyond 3"},
		{COMMON "\n99999999999999999999,1\n", "line 2: does not begin"},
		{COMMON "\n-1,1\n", "line 2: does not begin"},
		{COMMON "\n\n", "line 2: does not begin"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct results_csv r;
		struct err e;
		put_file(bad[i].text);
		assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, 5, &e), -1);
		assert_int_equal(e.code, ERR_DATA);
		if (!strstr(e.msg, bad[i].message))
			fail_msg("'%s' does not tell '%s'", e.msg, bad[i].message);
		assert_file(bad[i].text);  /* untouched */
	}
}

static void
steps_go_up(void **state)
{
	(void)state;
	struct results_csv r;
	struct err e;
	assert_int_equal(results_open(&r, dir, RESULTS_PLAIN, NULL, 0, &e), 0);
	append(&r, 2, NULL);
	assert_int_equal(results_append(&r, &(struct results_row){.step = 2}, &e), -1);
	assert_int_equal(e.code, ERR_BUG);
	results_close(&r);
	assert_int_equal(results_open(&r, "/nonexistent", RESULTS_PLAIN, NULL, 0, &e), -1);
	assert_int_equal(e.code, ERR_CANTCREAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns),
		cmocka_unit_test(resuming),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(steps_go_up),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

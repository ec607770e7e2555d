/* Figures of generated texts, against worked examples; those of English are what SQuAD's script and rouge_score give. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "eval/generations.h"

static void
normalized(const char *text, const char *want)
{
	struct buf b = {0};
	text_normalize(&b, text, strlen(text));
	assert_string_equal(b.data ? b.data : "", want);
	buf_release(&b);
}

static void
normalization(void **state)
{
	(void)state;
	normalized("The  Quick, brown\tfox!", "quick brown fox");
	normalized("an apple a day", "apple day");
	normalized("Anna ate another theory", "anna ate another theory");
	normalized("don't stop-believing", "dont stopbelieving");
	normalized("  the ", "");
	normalized("", "");
	normalized("Ｈｅｌｌｏ，世界！", "hello世界");
	normalized("STRASSE straße", "strasse strasse");
	normalized("$5.00 + 3%", "500 3");
}

static void
check(const char *generated, const char *reference, double exact, double same, double f1, double rouge)
{
	struct text_match m;
	text_match(&m, generated, strlen(generated), reference, strlen(reference));
	if (m.exact != exact || m.normalized != same || fabs(m.token_f1 - f1) > 1e-12 || fabs(m.rouge_l - rouge) > 1e-12)
		fail_msg("'%s', '%s': %g %g %g %g", generated, reference, m.exact, m.normalized, m.token_f1, m.rouge_l);
}

static void
matches(void **state)
{
	(void)state;
	check(" Paris\n", "Paris", 1, 1, 1, 1);
	check("paris.", "Paris", 0, 1, 1, 1);
	/* SQuAD: it is paris / paris; rouge: it is paris / paris */
	check("It is Paris.", "Paris", 0, 0, 2 * (1.0 / 3) / (1.0 / 3 + 1), 0.5);
	/* tokens: cat sat on mat / cat was on mat; rouge keeps the articles: the cat sat on the mat / the cat was on the mat */
	check("The cat sat on the mat", "The cat was on the mat", 0, 0, 0.75, 10.0 / 12);
	/* the order counts for rouge only */
	check("b c d", "d c b", 0, 0, 1, 1.0 / 3);
	/* each token as often as in the text that has fewer of it */
	check("x x x", "x y", 0, 0, 2.0 / 5, 2.0 / 5);
	check("", "", 1, 1, 1, 1);
	check("", "x", 0, 0, 0, 0);
	check("the", "a", 0, 1, 1, 0);
	/* rouge_score splits at an apostrophe, SQuAD takes it out */
	check("don't", "dont", 0, 1, 1, 0);
}

static void
chinese_by_characters(void **state)
{
	(void)state;
	check("北京市", "北京", 0, 0, 0.8, 0.8);
	check("北京。", "北京", 0, 1, 1, 1);
	check("我爱GPT4模型", "我爱 GPT4 模型", 0, 0, 1, 1);
	check("京北", "北京", 0, 0, 1, 0.5);
	check("東京タワー", "東京", 0, 0, 4.0 / 7, 4.0 / 7);
}

/* ---- files ---- */

static char *
make_file(const char *text)
{
	struct err e;
	char name[] = "/tmp/hone-generations-XXXXXX";
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_write(name, true, text, strlen(text), &e), 0);
	return xstrdup(name);
}

static int
read_text(struct generations *g, const char *text, struct err *e)
{
	struct in in;
	char *name = make_file(text);
	assert_int_equal(in_open(&in, name, e), 0);
	int rc = generations_read(g, &in, e);
	in_close(&in);
	unlink(name);
	free(name);
	return rc;
}

static void
files(void **state)
{
	(void)state;
	struct generations g;
	struct generation_metrics m;
	struct err e;
	assert_int_equal(read_text(&g,
		"{\"line\": 4, \"reference\": [\"New York\", \"NYC\"], \"generated\": \"nyc\"}\n\n"
		"{\"reference\": \"a\\u0000b\", \"generated\": \"a\\u0000b\"}\n", &e), 0);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.row[0].line, 4);
	assert_true(g.row[0].figure[GENERATION_NORMALIZED] == 1 && g.row[0].figure[GENERATION_EXACT] == 0);
	assert_int_equal(g.row[1].n_generated, 3);
	generation_metrics_compute(&m, &g, &(struct bootstrap){100, 1});
	assert_true(m.figure[GENERATION_EXACT] == 0.5 && m.figure[GENERATION_TOKEN_F1] == 1);
	assert_true(m.interval[GENERATION_EXACT].low == 0 && m.interval[GENERATION_EXACT].high == 1);
	generations_release(&g);
}

static void
what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *row, *message;
	} bad[] = {
		{"{", "line 2: column"},
		{"[]", "line 2: not an object"},
		{"{\"reference\": \"a\"}", "line 2: 'generated' is missing"},
		{"{\"generated\": \"a\"}", "line 2: 'reference' is missing"},
		{"{\"generated\": 1, \"reference\": \"a\"}", "'generated' is not a text"},
		{"{\"generated\": \"a\", \"reference\": []}", "'reference' is something else"},
		{"{\"generated\": \"a\", \"reference\": [\"a\", 1]}", "'reference' has something"},
		{"{\"generated\": \"a\", \"reference\": \"a\", \"line\": -1}", "'line' is not"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct generations g;
		struct err e;
		char text[256];
		snprintf(text, sizeof text, "{\"generated\": \"a\", \"reference\": \"a\"}\n%s\n", bad[i].row);
		assert_int_equal(read_text(&g, text, &e), -1);
		assert_int_equal(e.code, ERR_DATA);
		if (!strstr(e.msg, bad[i].message))
			fail_msg("'%s' does not tell '%s'", e.msg, bad[i].message);
		generations_release(&g);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalization),
		cmocka_unit_test(matches),
		cmocka_unit_test(chinese_by_characters),
		cmocka_unit_test(files),
		cmocka_unit_test(what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Token streams: both forms come back as they were written, and no damage goes unseen. */
#include "examples.h"

#include "fmt/tokens.h"

static char *dir, *path;

static int
setup(void **state)
{
	(void)state;
	dir = temporary_directory();
	path = path_join(dir, "x.tok");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(path);
	remove_directory(dir);
	return 0;
}

static json_t *
new_header(const char *tokenizer, int vocab_size, const char *source)
{
	return json_pack("{s:s, s:i, s:i, s:[s], s:{s:b}}", "tokenizer", tokenizer, "vocab_size", vocab_size,
		"eos_token_id", 2, "source", source, "options", "eos", 1);
}

/* Writes x[0..n) to `to`. */
static void
write_stream(const char *to, const json_t *header, bool jsonl, const struct example *x, size_t n)
{
	struct err e;
	struct out out;
	struct tokens_counts counts;
	assert_ok(out_open(&out, to, true, &e), &e);
	struct tokens_writer *w = tokens_create(&out, header, jsonl);
	for (size_t i = 0; i < n; i++)
		tokens_write(w, &x[i]);
	tokens_finish(w, &counts);
	assert_int_equal(counts.records, n);
	assert_ok(out_commit(&out, &e), &e);
}

static void
write_samples(const char *to, bool jsonl)
{
	json_t *header = new_header("abc", 512, "train.jsonl");
	write_stream(to, header, jsonl, samples, N_SAMPLES);
	json_decref(header);
}

/* Reads all of a stream; the number of its records, or -1. */
static long
read_all(const char *from, struct err *e)
{
	struct tokens_reader *r = tokens_open(from, e);
	struct example x;
	int rc;
	if (!r)
		return -1;
	while ((rc = tokens_read(r, &x, e)) == 1)
		;
	long n = rc < 0 ? -1 : (long)tokens_count(r);
	tokens_close(r);
	return n;
}

static void
expect_error(const char *text, size_t n, const char *message)
{
	struct err e = {0};
	write_file(path, text, n);
	assert_int_equal(read_all(path, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	if (!strstr(e.msg, message))
		fail_msg("'%s' was expected within '%s'", message, e.msg);
}

static void
round_trip(bool jsonl)
{
	struct err e;
	struct example x;
	write_samples(path, jsonl);
	struct tokens_reader *r = tokens_open(path, &e);
	assert_non_null(r);
	for (size_t i = 0; i < N_SAMPLES; i++) {
		int rc = tokens_read(r, &x, &e);
		assert_ok(rc, &e);
		assert_int_equal(rc, 1);
		assert_example_equal(&x, &samples[i]);
	}
	assert_int_equal(tokens_read(r, &x, &e), 0);
	assert_int_equal(tokens_read(r, &x, &e), 0);
	json_t *header = new_header("abc", 512, "train.jsonl");
	assert_true(json_equal(tokens_header(r), header));
	json_decref(header);
	tokens_close(r);
}

static void
test_round_trip_binary(void **state)
{
	(void)state;
	round_trip(false);
}

static void
test_round_trip_jsonl(void **state)
{
	(void)state;
	round_trip(true);
}

static void
test_jsonl_text(void **state)
{
	(void)state;
	struct buf b = {0};
	write_stream(path, NULL, true, samples, N_SAMPLES);
	read_file(path, &b);
	assert_string_equal(b.data,
		"{\"input_ids\":[1,7,2],\"labels\":[1,7,2]}\n"
		"{\"input_ids\":[1,511,0,44,2],\"labels\":[-100,-100,0,44,2],\"label\":\"pos\",\"line\":4000000000000,"
		"\"completion\":2}\n"
		"{\"input_ids\":[1,511,0,44,2],\"labels\":[-100,511,0,44,2],\"weight\":[0,0.100000001,0.100000001,3,3],"
		"\"label\":\"\",\"line\":3,\"completion\":3}\n"
		"{\"input_ids\":[9],\"labels\":[-100],\"label\":\"n\xc3\xa9g \\\"q\\\"\",\"completion\":1}\n"
		"{\"input_ids\":[1,511,0,44,2],\"labels\":[-100,-100,0,44,2],\"weight\":0.00999999978,\"label\":\"pos\","
		"\"completion\":2}\n");
	buf_release(&b);
}

static void
test_jsonl_forms(void **state)
{
	(void)state;
	static const char text[] = "\xef\xbb\xbf\n \r\n"
		"{\"input_ids\":[5,6],\"unknown\":{\"a\":1},\"label\":null,\"labels\":null}\r\n"
		"\n"
		"{\"input_ids\":[5,6,7],\"labels\":[5,-100,7],\"weight\":[1,1,0]}";
	static const struct span first[] = {{2, 1}}, second[] = {{1, 1}, {2, 0}};
	const struct example want[] = {
		{.ids = (const int32_t[]){5, 6}, .n = 2, .spans = first, .n_spans = 1},
		{.ids = (const int32_t[]){5, 6, 7}, .n = 3, .spans = second, .n_spans = 2},
	};
	struct err e;
	struct example x;
	write_file(path, text, sizeof text - 1);
	struct tokens_reader *r = tokens_open(path, &e);
	assert_non_null(r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tokens_read(r, &x, &e), 1);
		assert_example_equal(&x, &want[i]);
	}
	assert_int_equal(example_targets(&x), 0);
	assert_int_equal(tokens_read(r, &x, &e), 0);
	assert_null(tokens_header(r));
	tokens_close(r);
}

static void
test_jsonl_errors(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{" \n \n", "holds no records"},
		{"[1,2]\n", "neither a token stream nor JSON lines"},
		{"{\"input_ids\":[1]}\n[2]\n", "line 2: it is not a JSON object"},
		{"{\"input_ids\":[1]}\n\n{\"input_ids\":[1,\n", "line 3: column"},
		{"{\"input_ids\":[1],\"input_ids\":[1]}", "duplicate object key"},
		{"{\"labels\":[1]}", "'input_ids' is missing"},
		{"{\"input_ids\":7}", "'input_ids' is not a list"},
		{"{\"input_ids\":[]}", "no tokens"},
		{"{\"input_ids\":[1,-2]}", "'input_ids'[1] is not a token id"},
		{"{\"input_ids\":[1,2.0]}", "'input_ids'[1] is not a token id"},
		{"{\"input_ids\":[2147483648]}", "'input_ids'[0] is not a token id"},
		{"{\"input_ids\":[1,2],\"labels\":[1]}", "'labels' has 1 elements, 'input_ids' has 2"},
		{"{\"input_ids\":[1,2],\"labels\":[1,3]}", "'labels'[1] is neither -100 nor the token 2"},
		{"{\"input_ids\":[1,2],\"labels\":true}", "'labels' is not a list"},
		{"{\"input_ids\":[1,2],\"weight\":-1}", "'weight' is not a number of at least 0"},
		{"{\"input_ids\":[1,2],\"weight\":1e39}", "'weight' is not a number of at least 0"},
		{"{\"input_ids\":[1,2],\"weight\":[1]}", "'weight' has 1 elements"},
		{"{\"input_ids\":[1,2],\"weight\":\"1\"}", "'weight' is not a number"},
		{"{\"input_ids\":[1],\"label\":3}", "'label' is not a string"},
		{"{\"input_ids\":[1],\"label\":\"a\\u0000b\"}", "the label holds a NUL at its byte 1"},
		{"{\"input_ids\":[1],\"line\":-1}", "'line' is -1"},
		{"{\"input_ids\":[1],\"completion\":2}", "'completion' is 2"},
		{"{\"input_ids\":[5],\"header\":{\"vocab_size\":5}}", "token 0 has the id 5, and the vocabulary ends at 4"},
		{"{\"input_ids\":[5],\"header\":{\"tokenizer\":5}}", "header: 'tokenizer' is not a string"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_error(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void
test_truncation(void **state)
{
	(void)state;
	struct buf b = {0};
	write_samples(path, false);
	read_file(path, &b);
	for (size_t n = 0; n < b.len; n++)
		expect_error(b.data, n, "truncated after record ");
	buf_release(&b);
}

static void
test_every_bit(void **state)
{
	(void)state;
	struct buf b = {0};
	write_samples(path, false);
	read_file(path, &b);
	for (size_t i = 0; i < 8 * b.len; i++) {
		b.data[i / 8] ^= (char)(1 << i % 8);
		expect_error(b.data, b.len, path);
		b.data[i / 8] ^= (char)(1 << i % 8);
	}
	buf_release(&b);
}

static void
test_vocabulary(void **state)
{
	(void)state;
	struct err e = {0};
	json_t *header = new_header("abc", 511, "train.jsonl");
	write_stream(path, header, false, samples, N_SAMPLES);
	json_decref(header);
	assert_int_equal(read_all(path, &e), -1);
	assert_non_null(strstr(e.msg, "record 2: token 1 has the id 511, and the vocabulary ends at 510"));
}

static void
test_huge_lengths_allocate_nothing(void **state)
{
	(void)state;
	expect_error("HONETOK1\xff\xff\xff\x7f{}", 14, "its header has");
	expect_error("HONETOK1\xff\xff\xff\x03{}", 14, "truncated after record 0");
	expect_error("HONETOK1\x02\0\0\0{}\0\0\0\x0c", 18, "truncated after record 0");
	expect_error("HONETOK1\x02\0\0\0{}\0\0\0\x7f", 18, "more than a record may have");
	expect_error("HONETOK2\x02\0\0\0{}", 14, "another version");
	expect_error("HONESTLY", 8, "neither a token stream nor JSON lines");
}

/* Joins the streams a and b in `path`, as cat does. */
static void
join(const struct buf *a, const void *b, size_t n)
{
	struct buf both = {0};
	buf_append(&both, a->data, a->len);
	buf_append(&both, b, n);
	write_file(path, both.data, both.len);
	buf_release(&both);
}

static void
test_joined(void **state)
{
	(void)state;
	struct err e = {0};
	struct buf a = {0}, b = {0};
	write_samples(path, false);
	read_file(path, &a);
	json_t *header = new_header("abc", 512, "more.jsonl");
	json_object_set_new(header, "template", json_string("chatml"));
	write_stream(path, header, false, samples, 2);
	read_file(path, &b);

	join(&a, b.data, b.len);
	assert_int_equal(read_all(path, &e), N_SAMPLES + 2);
	for (size_t n = 1; n < b.len; n++) {
		join(&a, b.data, n);
		assert_int_equal(read_all(path, &e), -1);
		assert_non_null(strstr(e.msg, "truncated after record"));
	}
	join(&a, "\n", 1);
	assert_int_equal(read_all(path, &e), -1);

	json_object_set_new(header, "tokenizer", json_string("another"));
	write_stream(path, header, false, samples, 2);
	read_file(path, &b);
	join(&a, b.data, b.len);
	assert_int_equal(read_all(path, &e), -1);
	assert_non_null(strstr(e.msg, "'tokenizer' is \"another\", that of what came before is \"abc\""));
	json_decref(header);
	buf_release(&a);
	buf_release(&b);
}

static void
test_merge_header(void **state)
{
	(void)state;
	struct err e;
	json_t *a = new_header("abc", 512, "a"), *b = new_header("abc", 512, "b");
	json_object_set_new(b, "options", json_object());
	assert_ok(tokens_merge_header(a, b, &e), &e);
	json_t *want = json_pack("{s:s, s:i, s:i, s:[s,s]}", "tokenizer", "abc", "vocab_size", 512, "eos_token_id", 2,
		"source", "a", "b");
	assert_true(json_equal(a, want));
	json_object_del(b, "tokenizer");
	assert_int_equal(tokens_merge_header(a, b, &e), -1);
	assert_non_null(strstr(e.msg, "'tokenizer' is unknown"));
	json_decref(a);
	json_decref(b);
	json_decref(want);
}

static void
test_slice(void **state)
{
	(void)state;
	struct span spans[3];
	struct example x = example_slice(&samples[2], 2, 5, spans);
	assert_int_equal(x.n, 3);
	assert_int_equal(x.ids[0], 0);
	assert_int_equal(x.completion, 1);
	assert_int_equal(x.n_spans, 2);
	assert_int_equal(spans[0].n, 1);
	assert_int_equal(spans[1].n, 2);
	assert_int_equal(example_targets(&x), 2);
	x = example_slice(&samples[2], 0, 2, spans);
	assert_int_equal(x.completion, 2);
	assert_int_equal(x.n_spans, 2);
	assert_int_equal(example_targets(&x), 1);
	x = example_slice(&samples[2], 4, 5, spans);
	assert_int_equal(x.completion, 0);
	assert_int_equal(x.n_spans, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_binary),
		cmocka_unit_test(test_round_trip_jsonl),
		cmocka_unit_test(test_jsonl_text),
		cmocka_unit_test(test_jsonl_forms),
		cmocka_unit_test(test_jsonl_errors),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_vocabulary),
		cmocka_unit_test(test_huge_lengths_allocate_nothing),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_merge_header),
		cmocka_unit_test(test_slice),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

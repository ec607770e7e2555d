/* What json_cursor takes is what jansson takes, with the same result; it may take less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"
#include "text/json_cursor.h"
#include "text/unicode.h"

/* {"text": "..."}, whole. */
static bool
read_member(const char *text, size_t n, struct buf *tmp, const char **s, size_t *len)
{
	struct json_cursor c = {text, text + n};
	const char *key;
	size_t key_n;
	if (!json_cursor_take(&c, '{') || !json_cursor_string(&c, tmp, &key, &key_n) || key_n != 4 ||
		memcmp(key, "text", 4) || !json_cursor_take(&c, ':') || !json_cursor_string(&c, tmp, s, len) ||
		!json_cursor_take(&c, '}'))
		return false;
	json_cursor_space(&c);
	return c.p == c.end && uni_check(text, n) == n;
}

static bool
member(const char *text, size_t n, struct buf *tmp, const char **s, size_t *len)
{
	bool taken = read_member(text, n, tmp, s, len);
	json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *v = json_object_get(o, "text");
	if (taken && (!json_is_string(v) || json_object_size(o) != 1 || json_string_length(v) != *len ||
			     memcmp(json_string_value(v), *s, *len)))
		fail_msg("taken: '%.*s'", (int)n, text);
	json_decref(o);
	return taken;
}

static void
test_taken(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"{\"text\":\"\"}", ""},
		{" { \"text\" : \"a b\" } \t\r\n", "a b"},
		{"{\"text\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t"},
		{"{\"t\\u0065xt\": \"a\\u00e9\\u4e2d\\ud83d\\ude00z\"}", "a\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80z"},
		{"{\"text\": \"\xe4\xb8\xad\\n\xe6\x96\x87\"}", "\xe4\xb8\xad\n\xe6\x96\x87"},
	};
	struct buf tmp = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *s;
		size_t n;
		if (!member(cases[i].text, strlen(cases[i].text), &tmp, &s, &n))
			fail_msg("not taken: %s", cases[i].text);
		assert_int_equal(n, strlen(cases[i].want));
		assert_memory_equal(s, cases[i].want, n);
	}
	buf_release(&tmp);
}

static void
test_left(void **state)
{
	(void)state;
	static const char *const cases[] = {"", "{}", "[]", "{\"text\":1}", "{\"text\":\"a\"", "{\"text\":\"a",
		"{\"text\":\"a\"}}", "{\"text\":\"a\",\"b\":\"c\"}", "{\"Text\":\"a\"}", "{\"text\":\"\\x\"}",
		"{\"text\":\"\\u12\"}", "{\"text\":\"\\ud800\"}", "{\"text\":\"\\ud800\\u0041\"}", "{\"text\":\"\\udc00\"}",
		"{\"text\":\"a\nb\"}", "{\"text\":\"\xff\"}", "{\"text\":\"\\", "{text:\"a\"}"};
	struct buf tmp = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *s;
		size_t n;
		if (member(cases[i], strlen(cases[i]), &tmp, &s, &n))
			fail_msg("taken: %s", cases[i]);
	}
	buf_release(&tmp);
}

/* Lines made of what strings are made of, some whole and some broken. */
static void
test_random(void **state)
{
	(void)state;
	static const char *const parts[] = {"a", " ", "\\n", "\\\"", "\\\\", "\"", "\\u00e9", "\\ud83d\\ude00", "\\ud83d",
		"\xc3\xa9", "\xc3", "\xe4\xb8\xad", "\t", "\\", "}", ":", ",", "/", "\\/", "\x7f"};
	struct rng rng;
	struct buf line = {0}, tmp = {0};
	size_t taken = 0;
	rng_init(&rng, 1, 1);
	for (int i = 0; i < 20000; i++) {
		const char *s;
		size_t n;
		buf_clear(&line);
		buf_puts(&line, "{\"text\": \"");
		for (uint64_t k = rng_below(&rng, 6); k; k--)
			buf_puts(&line, parts[rng_below(&rng, sizeof parts / sizeof *parts)]);
		buf_puts(&line, "\"}");
		taken += member(line.data, line.len, &tmp, &s, &n);
	}
	assert_true(taken > 4000 && taken < 16000);
	buf_release(&line);
	buf_release(&tmp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

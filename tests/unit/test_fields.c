/* Records read without jansson: the same acceptance and the same values, on every form and on thousands of mutations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/rng.h"
#include "text/fields.h"

/* Holds what fields_read makes of a line against jansson; whether fields_read took it. */
static bool
compare(const char *line, size_t n)
{
	static struct fields f;
	char *copy = malloc(n ? n : 1); /* exactly as long, so that ASan sees what is read behind it */
	memcpy(copy, line, n);
	bool ok = fields_read(&f, copy, n);
	json_t *o = json_loadb(copy, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (ok && (!json_is_object(o) || json_object_size(o) != f.n))
		fail_msg("jansson does not read '%.*s'", (int)n, line);
	const char *key;
	json_t *v;
	if (ok)
		json_object_foreach(o, key, v) {
			const struct field *x = fields_get(&f, key);
			assert_non_null(x);
			assert_true(json_is_string(v));
			assert_int_equal(x->n, json_string_length(v));
			assert_memory_equal(x->value, json_string_value(v), x->n);
		}
	json_decref(o);
	free(copy);
	fields_release(&f);
	return ok;
}

static void
test_forms(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		bool taken;
	} cases[] = {
		{"{\"text\":\"abc\"}", true},
		{" \t{ \"text\" : \"abc\" , \"b\":\"\" }\r\n", true},
		{"{\"text\":\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"}", true},
		{"{\"te\\u0078t\":\"\\u4e2d\\ud83d\\ude00\\u0000x\"}", true},
		{"{\"\":\"\"}", true},
		{"{\"a\":\"\xe4\xb8\xad\xf0\x9f\x98\x80\"}", true},
		{"{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789\\n0123\"}", true},
		{"{}", false},
		{"{\"a\":1}", false},
		{"{\"a\":null}", false},
		{"{\"a\":[\"b\"]}", false},
		{"[]", false},
		{"", false},
		{"{\"a\":\"b\"", false},
		{"{\"a\":\"b\",}", false},
		{"{\"a\":\"b\"}}", false},
		{"{\"a\":\"b\" \"c\":\"d\"}", false},
		{"{\"a\":\"b\",\"a\":\"c\"}", false},
		{"{\"a\":\"b\",\"\\u0061\":\"c\"}", false},
		{"{\"a\\u0000\":\"b\"}", false},
		{"{\"a\":\"\\ud800\"}", false},
		{"{\"a\":\"\\ud800\\u0041\"}", false},
		{"{\"a\":\"\\udc00\"}", false},
		{"{\"a\":\"\\x\"}", false},
		{"{\"a\":\"\\u12\"}", false},
		{"{\"a\":\"\\u12g4\"}", false},
		{"{\"a\":\"\n\"}", false},
		{"{\"a\":\"\\\"}", false},
		{"{\"a\":\"\x80\"}", false},
		{"{\"a\":\"\xc0\xaf\"}", false},
		{"{\"a\":\"\xed\xa0\x80\"}", false},
		{"{\"a\":\"\xf4\x90\x80\x80\"}", false},
		{"{\"a\":\"\xe4\xb8\"}", false},
		{"{'a':'b'}", false},
		{"{\"a\":\"b\"}\x01", false},
		{"{\"a\":\"b\"}\xc2\xa0", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (compare(cases[i].line, strlen(cases[i].line)) != cases[i].taken)
			fail_msg("'%s' was%s taken", cases[i].line, cases[i].taken ? " not" : "");
	assert_false(compare("{\"a\":\"\0\"}", 9));
	assert_false(compare("{\"a\":\"b\"}\0", 10));
}

/* Every cut of a line, and changed, doubled and removed bytes, the likely ones more often. */
static void
test_mutations(void **state)
{
	(void)state;
	static const char line[] =
		"{\"text\": \"caf\xc3\xa9 \\u4e2d\\ud83d\\ude00 \\\"q\\\" 0123456789012345678901234567890123456789\", "
		"\"label\":\"\\n\", \"k\\u0065y\" : \"\xe4\xb8\xad\xe6\x96\x87\xf0\x9f\x98\x80\" }";
	static const char likely[] = "\"\\{}:,u d8Dc0\x80\xbf\xc3\xed\xf4\x1f\x7f\n";
	size_t n = sizeof line - 1, taken = 0;
	for (size_t i = 0; i <= n; i++)
		assert_true(compare(line, i) == (i == n));
	struct rng r;
	rng_init(&r, 5, 0);
	for (int i = 0; i < 60000; i++) {
		char m[2 * sizeof line];
		size_t len = n;
		memcpy(m, line, n);
		for (uint64_t k = rng_below(&r, 3) + 1; k; k--) {
			size_t at = rng_below(&r, len);
			uint64_t how = rng_below(&r, 4);
			if (how == 0) {
				m[at] = (char)rng_u64(&r);
			} else if (how == 1) {
				m[at] = likely[rng_below(&r, sizeof likely - 1)];
			} else if (how == 2) {
				memmove(m + at + 1, m + at, len++ - at);
			} else {
				memmove(m + at, m + at + 1, --len - at);
			}
		}
		taken += compare(m, len);
	}
	assert_true(taken >= 6000 && taken <= 54000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

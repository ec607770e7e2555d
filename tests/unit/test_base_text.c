/* Sizes as text, the nearest of several names, and text that is shown. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/near.h"
#include "base/plain.h"

static void
sizes_have_three_digits(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"}, {999, "999 B"}, {1000, "1.00 kB"}, {10406, "10.4 kB"}, {99949, "99.9 kB"}, {99950, "100 kB"},
		{999499, "999 kB"}, {999500, "1.00 MB"}, {268435456, "268 MB"}, {UINT64_C(1234567890123), "1.23 TB"},
		{UINT64_MAX, "18.4 EB"},
	};
	char out[SIZE_TEXT];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(size_text(out, cases[i].bytes), cases[i].text);
}

static const char *
nearest(const char *name)
{
	static const char *const known[] = {"learning-rate", "lora-r", "seed", "SmolLM2-135M"};
	static struct near n;
	near_init(&n, name);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		near_try(&n, known[i], NULL);
	return n.best;
}

static void
nearest_of_several(void **state)
{
	(void)state;
	assert_string_equal(nearest("learning-rat"), "learning-rate");
	assert_string_equal(nearest("leraning-rate"), "learning-rate");
	assert_string_equal(nearest("learn"), "learning-rate");
	assert_string_equal(nearest("smollm2-135m"), "SmolLM2-135M");
	assert_string_equal(nearest("smol"), "SmolLM2-135M");
	assert_string_equal(nearest("seeed"), "seed");
	assert_string_equal(nearest("sm"), "");       /* too short to be the beginning of a name */
	assert_string_equal(nearest("abcd"), "");
	assert_string_equal(nearest(""), "");
}

static void
what_is_shown_is_another_name(void **state)
{
	(void)state;
	struct near n;
	near_init(&n, "base");
	near_try(&n, "bass", "dir/bass");
	assert_string_equal(n.best, "dir/bass");
	near_try(&n, "bast", "dir/bast");  /* no nearer than the first */
	assert_string_equal(n.best, "dir/bass");
	near_try(&n, "base", "dir/base");
	assert_string_equal(n.best, "dir/base");
}

static void
long_names_are_far(void **state)
{
	(void)state;
	char longer[NEAR_MAX + 2], longest[NEAR_MAX + 1];
	memset(longer, 'a', sizeof longer);
	longer[NEAR_MAX + 1] = '\0';
	memset(longest, 'a', sizeof longest);
	longest[NEAR_MAX] = '\0';
	assert_int_equal(near_distance("a", longer), INT_MAX);
	assert_int_equal(near_distance(longest, longest), 0);
	assert_int_equal(near_distance("", "abc"), 3);
	struct near n;
	near_init(&n, "aaa");
	near_try(&n, longer, NULL);
	near_try(&n, "aaaa", longer);
	assert_string_equal(n.best, "");
}

static void
nothing_shown_acts_on_a_terminal(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{"", ""}, {"a 'b' \\n", "a 'b' \\n"}, {"a\tb\r\n", "a\\tb\\r\\n"}, {"\033[2J\177\a", "\\x1b[2J\\x7f\\x07"},
		{"\xc2\x9b" "b\xc2\xa0", "\\u009bb\xc2\xa0"}, {"\xe4\xb8\xad\xf0\x9f\x98\x80", "\xe4\xb8\xad\xf0\x9f\x98\x80"},
		{"\x9b" "b\xff", "\\x9bb\\xff"}, {"\xe4\xb8", "\\xe4\\xb8"}, {"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
		{"\xc0\x9b", "\\xc0\\x9b"}, {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, {"\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	};
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&b);
		buf_plain(&b, cases[i].text);
		assert_string_equal(b.data, cases[i].shown);
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_three_digits),
		cmocka_unit_test(nearest_of_several),
		cmocka_unit_test(what_is_shown_is_another_name),
		cmocka_unit_test(long_names_are_far),
		cmocka_unit_test(nothing_shown_acts_on_a_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

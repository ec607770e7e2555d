/* Rows of separated values: RFC 4180, what files have beside it, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/csv.h"

/* The rows of a text as "a|b\n" each, or "error: ...". */
static const char *
parse_n(const char *text, size_t n, char separator, bool quotes)
{
	static struct buf out;
	struct csv c;
	struct csv_row row;
	struct err e;
	int rc;
	buf_clear(&out);
	csv_init(&c, text, n, separator, quotes);
	while ((rc = csv_next(&c, &row, &e)) > 0) {
		buf_printf(&out, "%llu:", (unsigned long long)row.line);
		for (size_t i = 0; i < row.n; i++) {
			buf_puts(&out, i ? "|" : "");
			buf_append(&out, row.field[i].p, row.field[i].n);
		}
		buf_putc(&out, '\n');
	}
	if (rc < 0)
		buf_printf(&out, "error: %s", e.msg);
	csv_release(&c);
	return out.data;
}

static const char *
parse(const char *text)
{
	return parse_n(text, strlen(text), ',', true);
}

static void
plain(void **state)
{
	(void)state;
	assert_string_equal(parse("a,b\nc,d\n"), "1:a|b\n2:c|d\n");
	assert_string_equal(parse("a,b\r\nc,d"), "1:a|b\n2:c|d\n");
	assert_string_equal(parse("a,\n,b\n,"), "1:a|\n2:|b\n3:|\n");
	assert_string_equal(parse(""), "");
	assert_string_equal(parse("a"), "1:a\n");
	assert_string_equal(parse("a\rb,c\n"), "1:a\rb|c\n");
}

static void
quoted(void **state)
{
	(void)state;
	assert_string_equal(parse("\"a,b\",\"c\nd\"\ne,f\n"), "1:a,b|c\nd\n3:e|f\n");
	assert_string_equal(parse("\"a\"\"b\",\"\"\"\",\"\"\n"), "1:a\"b|\"|\n");
	assert_string_equal(parse("\"a\r\nb\"\r\nc\r\n"), "1:a\nb\n3:c\n");
	assert_string_equal(parse("\"a\rb\",\"c\r\""), "1:a\rb|c\r\n");
	assert_string_equal(parse("\"\"\n\"\"\n"), "1:\n2:\n");
	assert_string_equal(parse("a\"b,c\"\"d,\" \"\n"), "1:a\"b|c\"\"d| \n");
}

static void
empty_lines_are_no_rows(void **state)
{
	(void)state;
	assert_string_equal(parse("\n\r\na\n\n\nb\n\n"), "3:a\n6:b\n");
	assert_string_equal(parse("\"\n\n\"\n\nb"), "1:\n\n\n5:b\n");
}

static void
other_separators(void **state)
{
	static const char tabs[] = "a,b\tc\n\"x\ty\"\tz\n", nul[] = "a\0b,c\n";
	(void)state;
	assert_string_equal(parse_n(tabs, strlen(tabs), '\t', true), "1:a,b|c\n2:x\ty|z\n");
	assert_string_equal(parse_n(tabs, strlen(tabs), '\t', false), "1:a,b|c\n2:\"x|y\"|z\n");
	assert_memory_equal(parse_n(nul, sizeof nul - 1, ',', true), "1:a\0b|c\n", 9);
}

static void
refused(void **state)
{
	(void)state;
	assert_string_equal(
		parse("a,b\nc,\"d"), "1:a|b\nerror: line 2: field 2 begins with a quote that is never closed");
	assert_string_equal(parse("\"a\"b,c\n"), "error: line 1: field 1 goes on behind its closing quote");
	assert_string_equal(parse("\"a\" ,c\n"), "error: line 1: field 1 goes on behind its closing quote");
	assert_string_equal(parse("\"a\"\rb"), "error: line 1: field 1 goes on behind its closing quote");
}

static void
bounds(void **state)
{
	struct csv c;
	struct csv_row row;
	struct err e;
	size_t n = (size_t)CSV_ROW_MAX + 2;
	char *text = xmalloc(n);
	(void)state;
	memset(text, ',', CSV_FIELDS_MAX);
	csv_init(&c, text, CSV_FIELDS_MAX - 1, ',', true);
	assert_int_equal(csv_next(&c, &row, &e), 1);
	assert_int_equal(row.n, CSV_FIELDS_MAX);
	csv_release(&c);
	csv_init(&c, text, CSV_FIELDS_MAX, ',', true);
	assert_int_equal(csv_next(&c, &row, &e), -1);
	assert_string_equal(e.msg, "line 1: a row has more than 4096 fields");
	csv_release(&c);
	memset(text, 'x', n);
	csv_init(&c, text, n, ',', true);
	assert_int_equal(csv_next(&c, &row, &e), -1);
	assert_string_equal(e.msg, "line 1: field 1 is longer than 64 MiB");
	csv_release(&c);
	csv_init(&c, text, CSV_ROW_MAX, ',', true);
	assert_int_equal(csv_next(&c, &row, &e), 1);
	assert_int_equal(row.field[0].n, CSV_ROW_MAX);
	csv_release(&c);
	free(text);
}

/* Every cut of a text, in memory of its own so that a byte read too many is found, gives rows or an error. */
static void
every_cut(void **state)
{
	static const char text[] = "a,\"b\"\"c\r\nd\",e\r\n\"\",\n\r\n\"f\"\n";
	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		char *copy = xmalloc(n);
		memcpy(copy, text, n);
		const char *rows = parse_n(copy, n, ',', true);
		bool open = (n >= 3 && n <= 10 && n != 5) || n == 16 || n == 22 || n == 23;
		assert_int_equal(strstr(rows, "never closed") != NULL, open);
		free(copy);
	}
}

/* What is written by the rules reads back. */
static void
round_trip(void **state)
{
	static const char alphabet[] = "ab,\"\n ";
	(void)state;
	for (unsigned seed = 0; seed < 20000; seed++) {
		char field[6] = "", text[64] = "\"", want[32] = "1:";
		unsigned x = seed;
		size_t n = strlen(text);
		for (size_t i = 0; i < 5; i++, x /= 6)
			field[i] = alphabet[x % 6];
		for (size_t i = 0; i < 5; i++) {
			if (field[i] == '"')
				text[n++] = '"';
			text[n++] = field[i];
		}
		memcpy(text + n, "\",z\n", 5);
		strcat(strcat(want, field), "|z\n");
		assert_string_equal(parse(text), want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(quoted),
		cmocka_unit_test(empty_lines_are_no_rows),
		cmocka_unit_test(other_separators),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounds),
		cmocka_unit_test(every_cut),
		cmocka_unit_test(round_trip),
	};
	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}

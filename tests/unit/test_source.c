/* Records of JSON lines and of JSON lists, plain and compressed, whole and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "text/source.h"

static char dir[] = "/tmp/hone-test-source-XXXXXX";

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
teardown(void **state)
{
	struct err e;
	(void)state;
	return path_remove(dir, &e);
}

/* Reads n bytes as a file: the records as "LINE:TEXT;", what goes wrong as its message. */
static int
read_all(const void *p, size_t n, struct buf *out)
{
	char *path = path_join(dir, "x");
	struct err e = {0};
	struct source s;
	const char *text;
	size_t len;
	uint64_t line;
	int rc;
	buf_clear(out);
	assert_int_equal(file_write(path, true, p, n, &e), 0);
	assert_int_equal(source_open(&s, path, &e), 0);
	while ((rc = source_next(&s, &text, &len, &line, &e)) > 0) {
		buf_printf(out, "%d:", (int)line);
		buf_append(out, text, len);
		buf_puts(out, ";");
	}
	if (rc < 0) {
		assert_int_equal(e.code, ERR_DATA);
		buf_puts(out, e.msg);
	}
	source_close(&s);
	free(path);
	return rc;
}

static void
check(const char *text, const char *want)
{
	struct buf got = {0};
	assert_int_equal(read_all(text, strlen(text), &got), 0);
	assert_string_equal(got.data, want);
	buf_release(&got);
}

static void
check_error(const char *text, const char *want)
{
	struct buf got = {0};
	assert_int_equal(read_all(text, strlen(text), &got), -1);
	if (!strstr(got.data, want))
		fail_msg("'%s' gives '%s', not '%s'", text, got.data, want);
	buf_release(&got);
}

static void
test_lines(void **state)
{
	(void)state;
	check("", "");
	check("\xef\xbb\xbf", "");
	check("a\nb", "1:a;2:b;");
	check("\xef\xbb\xbf\n \t\r\n{\"a\":1}\r\n\n{}\r\n", "3:{\"a\":1};5:{};");
	check("a[\n]", "1:a[;2:];");
}

static void
test_lists(void **state)
{
	(void)state;
	check("[]", "");
	check(" \n[ ] \n", "");
	check("[1,\"a,]\\\"\\\\\",[2,[3]],{\"b\":\"}\"}]", "1:1;1:\"a,]\\\"\\\\\";1:[2,[3]];1:{\"b\":\"}\"};");
	check("\xef\xbb\xbf\n[\n {\n\"a\"\n: 1},\n\n {} ]\n", "3:{\n\"a\"\n: 1};7:{};");
	check_error("[1", "does not end");
	check_error("[\n[", "line 2: the list of records does not end");
	check_error("[1,]", "missing");
	check_error("[,1]", "missing");
	check_error("[1 2]", "no ','");
	check_error("[1]\n\n2", "line 3: there is more behind");
	check_error("[}", "missing");
}

/* Whatever is cut off, there is no record in a list that was not there whole. */
static void
test_cuts(void **state)
{
	(void)state;
	static const char list[] = "[ {\"a\":\"\\\"]\"} , [\"}\",{}], \"x\" ,12 ]";
	struct buf got = {0}, whole = {0};
	assert_int_equal(read_all(list, sizeof list - 1, &whole), 0);
	for (size_t n = 1; n < sizeof list - 1; n++) {
		assert_int_equal(read_all(list, n, &got), -1);
		const char *why = strstr(got.data, "'/tmp");
		assert_non_null(why);
		assert_memory_equal(got.data, whole.data, (size_t)(why - got.data));
	}
	buf_release(&got);
	buf_release(&whole);
}

/* Records that are longer than the buffer of what is read. */
static void
test_long(void **state)
{
	(void)state;
	struct buf text = {0}, want = {0}, got = {0};
	buf_puts(&text, "[");
	for (int i = 0; i < 3; i++) {
		buf_printf(&text, "%s\"", i ? "," : "");
		for (int k = 0; k < 300001; k++)
			buf_putc(&text, (char)('a' + k % 26));
		buf_puts(&text, "\"");
		buf_printf(&want, "1:%.*s;", 300003, text.data + text.len - 300003);
	}
	buf_puts(&text, "]");
	assert_int_equal(read_all(text.data, text.len, &got), 0);
	assert_string_equal(got.data, want.data);
	buf_release(&text);
	buf_release(&want);
	buf_release(&got);
}

static size_t
deflate_gzip(const void *p, size_t n, uint8_t *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)p, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)cap};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t len = z.total_out;
	deflateEnd(&z);
	return len;
}

/* Every cut of a compressed file is an error, but for the empty one and those that are too short to tell; every changed
 * byte, too, or changes nothing: headers have fields that mean nothing to us. */
static void
damage(const uint8_t *p, size_t n, size_t magic, const char *want)
{
	struct buf got = {0};
	uint8_t bad[512];
	assert_int_equal(read_all(p, n, &got), 0);
	assert_string_equal(got.data, want);
	for (size_t i = magic; i < n; i++)
		assert_int_equal(read_all(p, i, &got), -1);
	for (size_t i = magic; i < n; i++) {
		memcpy(bad, p, n);
		bad[i] ^= 0x11;
		if (read_all(bad, n, &got) == 0)
			assert_string_equal(got.data, want);
	}
	buf_release(&got);
}

static void
test_compressed(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":\"bcbcbcbcbcbcbcbcbcbcbc\"}\n[]\n";
	static const char want[] = "1:{\"a\":\"bcbcbcbcbcbcbcbcbcbcbc\"};2:[];";
	uint8_t z[512];
	damage(z, deflate_gzip(text, sizeof text - 1, z, sizeof z), 2, want);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	size_t n = ZSTD_compress2(c, z, sizeof z, text, sizeof text - 1);
	assert_false(ZSTD_isError(n));
	ZSTD_freeCCtx(c);
	damage(z, n, 4, want);
	static const uint8_t skippable[] = {0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};
	uint8_t both[sizeof skippable + sizeof z];
	struct buf got = {0};
	memcpy(both, skippable, sizeof skippable);
	memcpy(both + sizeof skippable, z, n);
	assert_int_equal(read_all(both, sizeof skippable + n, &got), 0);
	assert_string_equal(got.data, want);
	buf_release(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_compressed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

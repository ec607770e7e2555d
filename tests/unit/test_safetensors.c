/* fmt/safetensors, fmt/weights: every rule of the format is broken once, and must be refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "fmt/safetensors.h"
#include "fmt/weights.h"

static char dir[] = "/tmp/test-safetensors-XXXXXX";
static char path[256];

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/model.safetensors", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	struct err e;
	return path_remove(dir, &e);
}

static char *
in_dir(const char *name)
{
	return path_join(dir, name);
}

/* A file with this header text and `size` bytes of data 0, 1, 2, ... */
static void
put(const char *file, uint64_t length, const char *header, size_t size)
{
	FILE *f = fopen(file, "wb");
	assert_non_null(f);
	fwrite(&length, 1, sizeof length, f);
	fwrite(header, 1, strlen(header), f);
	for (size_t i = 0; i < size; i++)
		fputc((int)(i & 255), f);
	assert_int_equal(fclose(f), 0);
}

static void
refused(const char *header, size_t size, int code, const char *why)
{
	struct err e = {0};
	put(path, strlen(header), header, size);
	struct st_file *f = st_open(path, &e);
	assert_null(f);
	assert_int_equal(e.code, code);
	if (!strstr(e.msg, why))
		fail_msg("'%s' does not say '%s'", e.msg, why);
	assert_non_null(strstr(e.msg, path));
}

#define T(name, dtype, shape, begin, end) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void
test_refuses(void **state)
{
	(void)state;
	refused("{" T("a", "F32", "[2]", 0, 8) "}", 7, ERR_DATA, "truncated");
	refused("{" T("a", "F32", "[2]", 0, 8) "}", 9, ERR_DATA, "behind the last tensor");
	refused("{" T("a", "F32", "[3]", 0, 8) "}", 8, ERR_DATA, "make 12 bytes");
	refused("{" T("a", "F32", "[2]", 4, 12) "}", 12, ERR_DATA, "begins at byte 4, where 0");
	refused("{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, ERR_DATA, "'b' begins");
	refused("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, ERR_DATA, "'b' begins");
	refused("{" T("a", "F32", "[1]", 4, 0) "}", 4, ERR_DATA, "'data_offsets' are 4 and 0");
	refused("{" T("a", "F32", "[1]", -4, 0) "}", 4, ERR_DATA, "'data_offsets' are -4");
	refused("{" T("a", "F32", "[-1]", 0, 4) "}", 4, ERR_DATA, "whole numbers >= 0");
	refused("{" T("a", "F32", "[1.5]", 0, 6) "}", 6, ERR_DATA, "whole numbers >= 0");
	refused("{" T("a", "F32", "[4611686018427387904,4]", 0, 0) "}", 0, ERR_DATA, "larger than any file");
	refused("{" T("a", "F32", "[4611686018427387904,4,0]", 0, 0) "}", 0, ERR_DATA, "larger than any file");
	refused("{" T("a", "F32", "[99999999999999999999]", 0, 4) "}", 4, ERR_DATA, "whole numbers >= 0");
	refused("{" T("a", "F32", "3", 0, 4) "}", 4, ERR_DATA, "'shape'");
	refused("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, ERR_CONFIG, "9 dimensions");
	refused("{" T("a", "F8_E4M3", "[1]", 0, 1) "}", 1, ERR_CONFIG, "tensor 'a': dtype 'F8_E4M3'");
	refused("{\"a\":{\"dtype\":7,\"shape\":[],\"data_offsets\":[0,4]}}", 4, ERR_DATA, "'dtype'");
	refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, ERR_DATA, "'data_offsets'");
	refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]}}", 4, ERR_DATA, "'data_offsets'");
	refused("{\"a\":[]}", 0, ERR_DATA, "not described");
	refused("{" T("a", "F32", "[0]", 0, 0) "," T("a", "F32", "[0]", 0, 0) "}", 0, ERR_DATA, "duplicate");
	refused("{\"__metadata__\":{\"k\":1}}", 0, ERR_DATA, "'k' is not a string");
	refused("{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"}}", 0, ERR_DATA, "duplicate");
	refused("{\"__metadata__\":[]}", 0, ERR_DATA, "'__metadata__'");
	refused("{\"a\\u0000b\":{}}", 0, ERR_DATA, "NUL");
	refused("{\"\xff\":{}}", 0, ERR_DATA, "byte 0xff");
	refused("{} x", 0, ERR_DATA, "end of file expected");
	refused(" {}", 0, ERR_DATA, "does not begin with '{'");
	refused("", 0, ERR_DATA, "does not begin with '{'");
	refused("{", 0, ERR_DATA, "header");
}

static void
refused_length(uint64_t length, const char *header, const char *why)
{
	struct err e = {0};
	put(path, length, header, 0);
	assert_null(st_open(path, &e));
	assert_int_equal(e.code, ERR_DATA);
	assert_non_null(strstr(e.msg, why));
}

static void
test_refuses_header_length(void **state)
{
	(void)state;
	struct err e = {0};
	refused_length(3, "{}", "truncated");
	refused_length(100000001, "{}", "at most 100000000");
	refused_length(UINT64_MAX, "{}", "at most");
	assert_int_equal(truncate(path, 7), 0);
	assert_null(st_open(path, &e));
	assert_non_null(strstr(e.msg, "7 bytes are too few"));
	assert_int_equal(truncate(path, 0), 0);
	assert_null(st_open(path, &e));
	assert_null(st_open(dir, &e));
	assert_int_equal(e.code, ERR_NOINPUT);
}

/* Deep nesting must end in an error, not in a stack that runs over. */
static void
test_refuses_nesting(void **state)
{
	(void)state;
	enum { DEPTH = 1000000 };
	struct buf b = {0};
	buf_puts(&b, "{\"a\":");
	for (int i = 0; i < DEPTH; i++)
		buf_putc(&b, '[');
	refused(b.data, 0, ERR_DATA, "depth");
	buf_release(&b);
}

/* Out of order in the header, rank 0, no elements, unaligned, trailing spaces. */
static void
test_reads(void **state)
{
	(void)state;
	struct err e;
	const char *header = "{" T("w", "I16", "[2,1]", 5, 9) ","
		T("u", "U8", "[]", 0, 1) ","
		"\"__metadata__\":{\"format\":\"pt\"},"
		T("f", "F32", "[1]", 1, 5) ","
		T("z", "F32", "[0,7]", 5, 5) "}   ";
	put(path, strlen(header), header, 9);
	struct st_file *f = st_open(path, &e);
	assert_non_null(f);
	assert_int_equal(st_count(f), 4);
	assert_string_equal(st_at(f, 0)->name, "u");
	assert_string_equal(st_at(f, 1)->name, "f");
	assert_string_equal(st_at(f, 2)->name, "z");
	assert_string_equal(st_at(f, 3)->name, "w");
	assert_int_equal(st_find(f, "u")->rank, 0);
	assert_int_equal(st_elements(st_find(f, "u")), 1);
	assert_int_equal(st_elements(st_find(f, "z")), 0);
	assert_int_equal(st_find(f, "w")->shape[0], 2);
	assert_int_equal(st_find(f, "w")->data[0], 5);
	float x, want;
	memcpy(&want, "\1\2\3\4", 4);
	st_to_f32(st_find(f, "f"), 0, 1, &x);
	assert_memory_equal(&x, &want, sizeof x);
	assert_null(st_find(f, "nothing"));
	assert_string_equal(st_metadata(f, "format"), "pt");
	assert_null(st_metadata(f, "other"));
	st_close(f);
	put(path, 2, "{}", 0);
	f = st_open(path, &e);
	assert_non_null(f);
	assert_int_equal(st_count(f), 0);
	assert_null(st_find(f, ""));
	assert_null(st_metadata(f, "format"));
	st_close(f);
}

static float
decode(enum st_dtype d, uint16_t bits)
{
	float x;
	struct st_tensor t = {.dtype = d, .rank = 1, .shape = {1}, .data = (uint8_t *)&bits, .bytes = 2};
	st_to_f32(&t, 0, 1, &x);
	return x;
}

static uint16_t
encode(enum st_dtype d, float x)
{
	uint16_t bits;
	st_from_f32(d, &x, 1, &bits);
	return bits;
}

/* What IEEE 754 says that a half is, in other words than the code under test. */
static double
half_by_definition(uint16_t h)
{
	int exp = h >> 10 & 31, man = h & 1023;
	double x = exp == 0 ? ldexp(man, -24) : ldexp(1024 + man, exp - 25);
	return h & 0x8000 ? -x : x;
}

static void
test_half_all(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 65536; h++) {
		float x = decode(ST_F16, (uint16_t)h);
		if ((h & 0x7c00) == 0x7c00) {
			assert_true(h & 0x3ff ? isnan(x) : isinf(x) && !signbit(x) == !(h & 0x8000));
		} else {
			assert_true((double)x == half_by_definition((uint16_t)h));
			assert_int_equal(encode(ST_F16, x), h);
		}
	}
}

/* Between two neighbours: the nearest, and the even one when both are as near. */
static void
test_rounding(void **state)
{
	(void)state;
	static const enum st_dtype types[] = {ST_F16, ST_BF16};
	for (int k = 0; k < 2; k++)
		for (uint32_t h = 0; h < (k ? 0x7f7fu : 0x7bffu); h++) {
			float low = decode(types[k], (uint16_t)h), high = decode(types[k], (uint16_t)(h + 1));
			float middle = low / 2 + high / 2;
			assert_int_equal(encode(types[k], middle), h + (h & 1));
			assert_int_equal(encode(types[k], nextafterf(middle, low)), h);
			assert_int_equal(encode(types[k], nextafterf(middle, high)), h + 1);
			assert_int_equal(encode(types[k], -middle), 0x8000 | (h + (h & 1)));
		}
	assert_int_equal(encode(ST_F16, 65519.996f), 0x7bff);
	assert_int_equal(encode(ST_F16, 65520.0f), 0x7c00);
	assert_int_equal(encode(ST_F16, -INFINITY), 0xfc00);
	assert_int_equal(encode(ST_BF16, INFINITY), 0x7f80);
	assert_int_equal(encode(ST_BF16, 3.4e38f), 0x7f80);
	uint32_t bits = 0x7f800001;  /* a NaN that plain rounding would turn into an infinity */
	float nan_low;
	memcpy(&nan_low, &bits, sizeof nan_low);
	assert_true(isnan(decode(ST_BF16, encode(ST_BF16, nan_low))));
	assert_true(isnan(decode(ST_F16, encode(ST_F16, nan_low))));
}

static void
test_f64(void **state)
{
	(void)state;
	double in[2] = {0.1, -1e300};
	float out[2];
	struct st_tensor t = {
		.dtype = ST_F64, .rank = 1, .shape = {2}, .data = (uint8_t *)in, .bytes = sizeof in};
	st_to_f32(&t, 0, 2, out);
	assert_true(out[0] == 0.1f && isinf(out[1]) && out[1] < 0);
	double back;
	st_from_f32(ST_F64, out, 1, &back);
	assert_true(back == (double)0.1f);
}

static void
test_writes(void **state)
{
	(void)state;
	struct err e;
	static const struct st_tensor decl[] = {
		{.name = "b\"\xc3\xa9", .dtype = ST_BF16, .rank = 2, .shape = {1, 3}},
		{.name = "a", .dtype = ST_F32, .rank = 0},
		{.name = "none", .dtype = ST_I64, .rank = 1, .shape = {0}},
	};
	unlink(path);
	struct st_writer *w = st_create(path, false, decl, 3, &e);
	assert_non_null(w);
	st_write(w, "abcde", 5);
	st_write(w, "fghij", 5);
	assert_false(path_exists(path));
	assert_int_equal(st_finish(w, &e), 0);
	struct st_file *f = st_open(path, &e);
	assert_non_null(f);
	assert_int_equal(st_count(f), 3);
	assert_string_equal(st_at(f, 0)->name, decl[0].name);
	assert_memory_equal(st_at(f, 0)->data, "abcdef", 6);
	assert_int_equal((uintptr_t)st_at(f, 0)->data % 8, 0);
	assert_memory_equal(st_find(f, "a")->data, "ghij", 4);
	assert_string_equal(st_metadata(f, "format"), "pt");
	st_close(f);
	assert_null(st_create(path, false, decl, 3, &e));
	assert_int_equal(e.code, ERR_CANTCREAT);
}

static void
test_writer_counts(void **state)
{
	(void)state;
	struct err e;
	static const struct st_tensor decl[] = {{.name = "a", .dtype = ST_F32, .rank = 1, .shape = {2}},
		{.name = "a", .dtype = ST_F32}};
	char *other = in_dir("short.safetensors");
	struct st_writer *w = st_create(other, false, decl, 1, &e);
	st_write(w, "1234567", 7);
	assert_int_equal(st_finish(w, &e), -1);
	assert_int_equal(e.code, ERR_BUG);
	assert_false(path_exists(other));
	assert_null(st_create(other, false, decl, 2, &e));
	assert_int_equal(e.code, ERR_BUG);
	assert_false(path_exists(other));
	free(other);
}

static void
test_alias_dropped(void **state)
{
	(void)state;
	struct err e;
	static const struct st_tensor decl[] = {
		{.name = "head", .dtype = ST_U8}, {.name = "embed", .dtype = ST_U8}};
	json_t *m = json_pack("{s:s, s:s}", "embed", "head", "note", "kept");
	struct st_writer *w = st_create_with(path, true, decl, 2, m, &e);
	st_write(w, "12", 2);
	assert_int_equal(st_finish(w, &e), 0);
	struct st_file *f = st_open(path, &e);
	assert_null(st_metadata(f, "embed"));
	assert_string_equal(st_metadata(f, "note"), "kept");
	st_close(f);
	json_decref(m);
}

/* ---- model directories ---- */

static void
put_text(const char *name, const char *text)
{
	struct err e;
	char *p = in_dir(name);
	assert_int_equal(file_write(p, true, text, strlen(text), &e), 0);
	free(p);
}

static void
put_shard(const char *name, const char *header, size_t size)
{
	char *p = in_dir(name);
	put(p, strlen(header), header, size);
	free(p);
}

static void
weights_refused(int code, const char *why)
{
	struct err e;
	assert_null(weights_open(dir, &e));
	assert_int_equal(e.code, code);
	if (!strstr(e.msg, why))
		fail_msg("'%s' does not say '%s'", e.msg, why);
}

static void
index_refused(const char *index, const char *why)
{
	put_text("model.safetensors.index.json", index);
	weights_refused(ERR_DATA, why);
}

static void
test_sharded(void **state)
{
	(void)state;
	struct err e;
	unlink(path);
	weights_refused(ERR_NOINPUT, "has no config.json");
	put_text("pytorch_model.bin", "");
	weights_refused(ERR_NOINPUT, "convert it to safetensors");
	put_shard("two.st", "{" T("b", "U8", "[1]", 0, 1) "," T("stray", "U8", "[1]", 1, 2) "}", 2);
	put_shard("blob", "{" T("a", "U8", "[1]", 0, 1) "," T("b", "U8", "[1]", 1, 2) "}", 2);
	char *link = in_dir("one.st");
	assert_int_equal(symlink("blob", link), 0);
	free(link);
	put_text("model.safetensors.index.json", "{\"weight_map\":{\"b\":\"two.st\",\"a\":\"one.st\"}}");
	struct weights *w = weights_open(dir, &e);
	assert_non_null(w);
	assert_int_equal(weights_count(w), 2);
	assert_string_equal(weights_at(w, 0)->name, "a");
	assert_int_equal(weights_find(w, "b")->data[0], 0);  /* of two.st; in one.st it is 1 */
	assert_null(weights_find(w, "stray"));
	assert_int_equal(weights_files(w), 2);
	const char *name;
	assert_int_equal(st_count(weights_file(w, 1, &name)), 2);
	assert_string_equal(name, "two.st");
	weights_close(w);
	index_refused("{\"weight_map\":{\"c\":\"one.st\"}}", "tensor 'c' is not in 'one.st'");
	index_refused("{\"weight_map\":{\"c\":\"../one.st\"}}", "plain file name");
	index_refused("{\"weight_map\":{\"c\":\"..\"}}", "plain file name");
	index_refused("{\"weight_map\":{\"c\":\"\"}}", "plain file name");
	index_refused("{\"weight_map\":{\"c\":7}}", "plain file name");
	index_refused("{\"weight_map\":{}}", "missing or empty");
	index_refused("{\"weight_map\":[]}", "missing or empty");
	index_refused("[]", "missing or empty");
	index_refused("{", "model.safetensors.index.json");
	put_text("model.safetensors.index.json", "{\"weight_map\":{\"c\":\"gone.st\"}}");
	weights_refused(ERR_NOINPUT, "gone.st");
}

static void
test_alias_and_fingerprint(void **state)
{
	(void)state;
	struct err e;
	char one[HASH_HEX], two[HASH_HEX];
	const char *header = "{\"__metadata__\":{\"embed\":\"head\",\"void\":\"nothing\"},"
		T("head", "U8", "[3]", 0, 3) "}";
	put(path, strlen(header), header, 3);
	struct weights *w = weights_open(dir, &e);
	assert_non_null(w);
	assert_ptr_equal(weights_find(w, "embed"), weights_find(w, "head"));
	assert_null(weights_find(w, "void"));
	strcpy(one, weights_fingerprint(w));
	weights_close(w);
	FILE *f = fopen(path, "r+b");
	fseek(f, -1, SEEK_END);
	fputc(9, f);
	fclose(f);
	w = weights_open(dir, &e);
	strcpy(two, weights_fingerprint(w));
	weights_close(w);
	assert_string_not_equal(one, two);
}

/* The fingerprint of a model.safetensors of one tensor [2]. */
static void
fingerprint_of(const char *name, const char *dtype, const void *data, size_t bytes, char hex[HASH_HEX])
{
	struct err e;
	char header[256];
	snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}", name, dtype, bytes);
	put(path, strlen(header), header, 0);
	FILE *f = fopen(path, "ab");
	fwrite(data, 1, bytes, f);
	assert_int_equal(fclose(f), 0);
	struct weights *w = weights_open(dir, &e);
	assert_non_null(w);
	snprintf(hex, HASH_HEX, "%s", weights_fingerprint(w));
	weights_close(w);
}

/* Of values and names: not of dtypes that hold the same, of the prefix, of buffers, of sharding. */
static void
test_fingerprint_of_values(void **state)
{
	(void)state;
	char one[HASH_HEX], two[HASH_HEX];
	const float f32[] = {1.5f, -3}, near[] = {1.5f, -3.0000002f};
	const uint16_t bf16[] = {0x3fc0, 0xc040}, f16[] = {0x3e00, 0xc200};
	fingerprint_of("model.norm.weight", "F32", f32, sizeof f32, one);
	fingerprint_of("model.norm.weight", "BF16", bf16, sizeof bf16, two);
	assert_string_equal(one, two);
	fingerprint_of("norm.weight", "F16", f16, sizeof f16, two);
	assert_string_equal(one, two);
	fingerprint_of("model.norm.weight", "F32", near, sizeof near, two);
	assert_string_not_equal(one, two);
	fingerprint_of("model.other.weight", "F32", f32, sizeof f32, two);
	assert_string_not_equal(one, two);
	fingerprint_of("h.0.attn.bias", "F32", f32, sizeof f32, one);
	fingerprint_of("h.1.attn.masked_bias", "F32", near, sizeof near, two);
	assert_string_equal(one, two);
}

/* Two tensors in one file, and in two. */
static void
test_fingerprint_of_shards(void **state)
{
	(void)state;
	struct err e;
	char one[HASH_HEX];
	const char *both = "{" T("b", "U8", "[3]", 0, 3) "," T("a", "U8", "[2]", 3, 5) "}";
	put(path, strlen(both), both, 5);
	struct weights *w = weights_open(dir, &e);
	snprintf(one, sizeof one, "%s", weights_fingerprint(w));
	weights_close(w);
	assert_int_equal(unlink(path), 0);
	const char *a = "{" T("a", "U8", "[2]", 0, 2) "}", *b = "{" T("b", "U8", "[3]", 0, 3) "}";
	char *first = in_dir("1.st"), *second = in_dir("2.st");
	put(second, strlen(b), b, 3);
	put(first, strlen(a), a, 0);
	FILE *f = fopen(first, "ab");
	fputc(3, f);
	fputc(4, f);
	fclose(f);
	put_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"1.st\",\"b\":\"2.st\"}}");
	w = weights_open(dir, &e);
	assert_non_null(w);
	assert_string_equal(weights_fingerprint(w), one);
	weights_close(w);
	free(first);
	free(second);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_refuses_header_length),
		cmocka_unit_test(test_refuses_nesting),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_half_all),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_f64),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_writer_counts),
		cmocka_unit_test(test_alias_dropped),
		cmocka_unit_test(test_sharded),
		cmocka_unit_test(test_alias_and_fingerprint),
		cmocka_unit_test(test_fingerprint_of_values),
		cmocka_unit_test(test_fingerprint_of_shards),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

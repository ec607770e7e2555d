/* SentencePiece models of a few pieces, written here byte by byte, with results reckoned by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "text/tokenizer.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };
enum { UNIGRAM = 1, BPE };
enum { IDENTITY = 0, PREFIX = 1, REMOVE = 2, ESCAPE = 4 };

#define SPACE "\xe2\x96\x81"

static char dir[] = "/tmp/hone-spm-XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	struct err e;
	(void)state;
	return path_remove(dir, &e);
}

/* ---- writing protocol buffers ---- */

static void
varint(struct buf *b, uint64_t v)
{
	for (; v > 127; v >>= 7)
		buf_putc(b, (char)(v | 128));
	buf_putc(b, (char)v);
}

static void
number(struct buf *b, unsigned field, uint64_t v)
{
	varint(b, field << 3);
	varint(b, v);
}

static void
bytes(struct buf *b, unsigned field, const void *p, size_t n)
{
	varint(b, field << 3 | 2);
	varint(b, n);
	buf_append(b, p, n);
}

static void
piece(struct buf *b, const char *text, float score, int type)
{
	struct buf m = {0};
	bytes(&m, 1, text, strlen(text));
	varint(&m, 2 << 3 | 5);
	buf_append(&m, &score, sizeof score);
	if (type != NORMAL)
		number(&m, 3, (uint64_t)type);
	bytes(b, 1, m.data, m.len);
	buf_release(&m);
}

static void
trainer(struct buf *b, int model_type, bool byte_fallback)
{
	struct buf m = {0};
	number(&m, 3, (uint64_t)model_type);
	number(&m, 35, byte_fallback);
	number(&m, 41, 1);
	bytes(b, 2, m.data, m.len);
	buf_release(&m);
}

static void
normalizer(struct buf *b, int flags, const struct buf *charsmap)
{
	struct buf m = {0};
	if (charsmap)
		bytes(&m, 2, charsmap->data, charsmap->len);
	number(&m, 3, (flags & PREFIX) != 0);
	number(&m, 4, (flags & REMOVE) != 0);
	number(&m, 5, (flags & ESCAPE) != 0);
	bytes(b, 3, m.data, m.len);
	buf_release(&m);
}

static void
three(struct buf *b)
{
	piece(b, "<unk>", 0, UNKNOWN);
	piece(b, "<s>", 0, CONTROL);
	piece(b, "</s>", 0, CONTROL);
}

static void
all_bytes(struct buf *b)
{
	for (int i = 0; i < 256; i++) {
		char name[8];
		snprintf(name, sizeof name, "<0x%02X>", i);
		piece(b, name, 0, BYTE);
	}
}

/* ---- using them ---- */

static void
put(const char *name, const void *p, size_t n)
{
	struct err e;
	char *path = path_join(dir, name);
	if (file_write(path, true, p, n, &e) < 0)
		fail_msg("%s", e.msg);
	free(path);
}

static void
drop(const char *name)
{
	char *path = path_join(dir, name);
	unlink(path);
	free(path);
}

static struct tokenizer *
open_bytes(struct buf *b, bool alone, struct err *e)
{
	char *path = path_join(dir, alone ? "tokenizer.model" : "");
	put("tokenizer.model", b->data, b->len);
	struct tokenizer *t = tokenizer_open(path, e);
	buf_release(b);
	free(path);
	return t;
}

static struct tokenizer *
open_ok(struct buf *b)
{
	struct err e = {0};
	struct tokenizer *t = open_bytes(b, true, &e);
	if (!t)
		fail_msg("%s", e.msg);
	return t;
}

static void
refused(struct buf *b, const char *part)
{
	struct err e = {0};
	struct tokenizer *t = open_bytes(b, true, &e);
	if (t)
		fail_msg("taken, though '%s'", part);
	if (e.code != ERR_CONFIG || !strstr(e.msg, part) || !strstr(e.msg, "tokenizer.model"))
		fail_msg("code %d, '%s'; no '%s' in it", e.code, e.msg, part);
}

static void
encodes_as(const struct tokenizer *t, const char *text, bool special, const char *want)
{
	struct encoder *enc = encoder_new(t);
	struct ids ids = {0};
	struct err e;
	struct buf got = {0};
	if (encoder_encode(enc, text, strlen(text), special, &ids, &e) < 0)
		fail_msg("%s", e.msg);
	buf_puts(&got, "");
	for (size_t i = 0; i < ids.n; i++)
		buf_printf(&got, "%s%d", i ? " " : "", ids.v[i]);
	if (strcmp(got.data ? got.data : "", want))
		fail_msg("'%s': '%s' instead of '%s'", text, got.data, want);
	buf_release(&got);
	ids_release(&ids);
	encoder_free(enc);
}

static void
encodes(const struct tokenizer *t, const char *text, const char *want)
{
	encodes_as(t, text, false, want);
}

static void
decodes(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip, const char *want)
{
	struct buf got = {0};
	tokenizer_decode(t, ids, n, skip, &got);
	if (strcmp(got.data ? got.data : "", want))
		fail_msg("'%s' instead of '%s'", got.data, want);
	buf_release(&got);
}

#define DECODES(t, skip, want, ...) \
	decodes(t, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), skip, want)

/* ---- unigram ---- */

/* ids 3 a -2, 4 b -2, 5 ab -3, 6 abc -9, 7 c -1.5, 8 bc -2.5 */
static void
letters(struct buf *b)
{
	three(b);
	piece(b, "a", -2, NORMAL);
	piece(b, "b", -2, NORMAL);
	piece(b, "ab", -3, NORMAL);
	piece(b, "abc", -9, NORMAL);
	piece(b, "c", -1.5f, NORMAL);
	piece(b, "bc", -2.5f, NORMAL);
}

static void
test_unigram(void **state)
{
	(void)state;
	struct buf b = {0};
	letters(&b);
	trainer(&b, UNIGRAM, false);
	normalizer(&b, IDENTITY, NULL);
	struct tokenizer *t = open_ok(&b);
	encodes(t, "", "");
	encodes(t, "ab", "5");       /* -3 beats -4 */
	encodes(t, "abc", "3 8");    /* a bc and ab c are -4.5 both: what begins first stays; abc is -9 */
	encodes(t, "bcb", "8 4");
	encodes(t, "aabc", "3 3 8");
	encodes(t, "axxb", "3 0 4"); /* neighbours that are unknown are one */
	encodes(t, "xaébx", "0 3 0 4 0");
	assert_int_equal(tokenizer_bos(t), 1);
	assert_int_equal(tokenizer_eos(t), 2);
	assert_int_equal(tokenizer_vocab_size(t), 9);
	encodes_as(t, "ab", true, "1 5");
	tokenizer_free(t);
}

/* An unknown character costs the least score less 10, here -19: so "abx" is a b x, unless the way to it matters. */
static void
test_unigram_unknown_and_bytes(void **state)
{
	(void)state;
	struct buf b = {0};
	letters(&b);
	all_bytes(&b);  /* from 9 on */
	trainer(&b, UNIGRAM, true);
	normalizer(&b, IDENTITY, NULL);
	struct tokenizer *t = open_ok(&b);
	encodes(t, "ab\xc3\xa9", "5 204 178");
	encodes(t, "xyc", "129 130 7");
	DECODES(t, true, "ab\xc3\xa9", 5, 204, 178);
	DECODES(t, true, "a\xef\xbf\xbd\xef\xbf\xbd" "b", 3, 204, 204, 4);
	DECODES(t, true, "a \xe2\x81\x87 b", 3, 0, 4);
	DECODES(t, false, "<s>a<unk>b</s>", 1, 3, 0, 4, 2);
	tokenizer_free(t);
}

static void
test_unigram_user_defined(void **state)
{
	(void)state;
	struct buf b = {0};
	letters(&b);
	piece(&b, "cab", 0, USER_DEFINED);  /* 9 */
	piece(&b, "abca", -1, UNUSED);      /* 10 */
	trainer(&b, UNIGRAM, false);
	normalizer(&b, IDENTITY, NULL);
	struct tokenizer *t = open_ok(&b);
	encodes(t, "abcab", "5 9");
	encodes(t, "abca", "3 8 3");
	tokenizer_free(t);
}

/* ---- BPE ---- */

static void
test_bpe(void **state)
{
	(void)state;
	struct buf b = {0};
	three(&b);
	piece(&b, "ab", 0, NORMAL);           /* 3 */
	piece(&b, "bc", -1, NORMAL);          /* 4 */
	piece(&b, "abc", -2, NORMAL);         /* 5 */
	piece(&b, "aa", -3, NORMAL);          /* 6 */
	piece(&b, "a", -10, NORMAL);          /* 7 */
	piece(&b, "b", -11, NORMAL);          /* 8 */
	piece(&b, "c", -12, NORMAL);          /* 9 */
	piece(&b, "cc", -3, NORMAL);          /* 10 */
	piece(&b, "b!", 5, USER_DEFINED);     /* 11 */
	piece(&b, "qa", -4, NORMAL);          /* 12: q alone is no piece */
	trainer(&b, BPE, false);
	normalizer(&b, IDENTITY, NULL);
	struct tokenizer *t = open_ok(&b);
	encodes(t, "abc", "5");
	encodes(t, "bc", "4");
	encodes(t, "aaa", "6 7");      /* equal scores: the leftmost */
	encodes(t, "aaccc", "6 10 9"); /* two scores that are equal */
	encodes(t, "ab!c", "7 11 9");  /* a symbol of the user does not merge */
	encodes(t, "qa", "12");
	encodes(t, "qxq", "0");        /* and what is unknown is one, with its neighbours */
	encodes(t, "aqb", "7 0 8");
	assert_int_equal(tokenizer_vocab_size(t), 13);
	assert_int_equal(tokenizer_id(t, "q"), -1);
	tokenizer_free(t);
}

static void
test_bpe_bytes(void **state)
{
	(void)state;
	struct buf b = {0};
	three(&b);
	all_bytes(&b);                 /* from 3 on */
	piece(&b, SPACE "a", -1, NORMAL);  /* 259 */
	piece(&b, SPACE, -2, NORMAL);      /* 260 */
	piece(&b, "a", -3, NORMAL);        /* 261 */
	piece(&b, "qa", -4, NORMAL);       /* 262 */
	trainer(&b, BPE, true);
	normalizer(&b, PREFIX | ESCAPE, NULL);
	struct tokenizer *t = open_ok(&b);
	encodes(t, "", "");
	encodes(t, "a", "259");
	encodes(t, " a", "260 259");
	encodes(t, "q", "260 116");
	encodes(t, "\n<0x0A>a", "260 13 63 51 123 51 68 65 261");
	DECODES(t, true, "a a", 259, 259);
	DECODES(t, true, "", 260);
	DECODES(t, true, " a", 260, 259);
	DECODES(t, true, "a\n", 259, 13);
	tokenizer_free(t);
}

/* ---- the normalizer ---- */

static void
put_unit(struct buf *b, size_t i, uint32_t v)
{
	for (int k = 0; k < 4; k++)
		b->data[4 * (i + 1) + (size_t)k] = (char)(v >> 8 * k);
}

/* The rules "x" -> "ab" and "xy" -> " ", as a double array: the root's children are at 0x100 ^ label; node x, at
 * 0x178, has offset 1, so its value is at 0x179 and its child y at 0x179 ^ 0x79 = 0x100, whose value is at 0x102. */
static void
make_charsmap(struct buf *b, uint32_t value_of_xy)
{
	enum { UNITS = 0x200 };
	char zero[4 * UNITS + 4] = {0};
	buf_append(b, zero, sizeof zero);
	b->data[1] = 4 * UNITS >> 8;
	put_unit(b, 0, 0x100 << 10);
	put_unit(b, 0x178, 'x' | 1 << 8 | 1 << 10);
	put_unit(b, 0x179, 1u << 31 | 0);
	put_unit(b, 0x100, 'y' | 1 << 8 | 2 << 10);
	put_unit(b, 0x102, 1u << 31 | value_of_xy);
	buf_append(b, "ab\0 ", 5);
}

/* 3 " "(escaped), 4 a, 5 b, 6 c, 7 the symbol "xc" */
static struct tokenizer *
open_normalizer(int flags, const struct buf *map)
{
	struct buf b = {0};
	three(&b);
	piece(&b, flags & ESCAPE ? SPACE : " ", -1, NORMAL);
	piece(&b, "a", -1, NORMAL);
	piece(&b, "b", -1, NORMAL);
	piece(&b, "c", -1, NORMAL);
	piece(&b, "xc", 0, USER_DEFINED);
	trainer(&b, BPE, false);
	normalizer(&b, flags, map);
	return open_ok(&b);
}

static void
test_white_space(void **state)
{
	(void)state;
	struct tokenizer *t = open_normalizer(PREFIX | REMOVE | ESCAPE, NULL);
	encodes(t, "  a   b  ", "3 4 3 5");
	encodes(t, "   ", "");
	encodes(t, "a xc  b", "3 4 3 7 3 5");
	DECODES(t, true, "a b", 3, 3, 4, 3, 5);
	tokenizer_free(t);
	t = open_normalizer(PREFIX, NULL);
	encodes(t, "  a ", "3 3 3 4 3");
	tokenizer_free(t);
	t = open_normalizer(REMOVE, NULL);
	encodes(t, "  a  b ", "4 3 5");
	tokenizer_free(t);
}

static void
test_charsmap(void **state)
{
	(void)state;
	struct buf map = {0};
	make_charsmap(&map, 3);
	struct tokenizer *t = open_normalizer(ESCAPE, &map);
	encodes(t, "x", "4 5");
	encodes(t, "cxyxc", "6 3 7");    /* the longest rule; a symbol of the user before any */
	encodes(t, "xxyy", "4 5 3 0");
	tokenizer_free(t);
	t = open_normalizer(ESCAPE | REMOVE | PREFIX, &map);
	encodes(t, "xyxyaxy b xy", "3 4 3 5");
	encodes(t, "xy", "");
	tokenizer_free(t);
	buf_release(&map);
}

static void
test_charsmap_damaged(void **state)
{
	(void)state;
	struct buf map = {0};
	make_charsmap(&map, 77);
	struct tokenizer *t = open_normalizer(ESCAPE, &map);
	struct encoder *enc = encoder_new(t);
	struct ids ids = {0};
	struct err e;
	assert_int_equal(encoder_encode(enc, "axy", 3, false, &ids, &e), -1);
	assert_int_equal(e.code, ERR_CONFIG);
	assert_int_equal(encoder_encode(enc, "xa", 2, false, &ids, &e), 0);
	encoder_free(enc);
	ids_release(&ids);
	tokenizer_free(t);
	for (size_t n = 1; n <= map.len; n += n < 8 ? 1 : 97) {
		struct buf b = {0}, cut = {map.data, n, n};
		three(&b);
		normalizer(&b, ESCAPE, &cut);
		refused(&b, "precompiled_charsmap is damaged");
	}
	buf_release(&map);
}

/* ---- files ---- */

static void
test_directory(void **state)
{
	(void)state;
	static const char config[] =
		"{\"tokenizer_class\":\"LlamaTokenizer\",\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"},"
		"\"add_eos_token\":true,\"legacy\":false,\"added_tokens_decoder\":{\"9\":{\"content\":\"<|im|>\","
		"\"special\":true},\"8\":{\"content\":\"bcb\",\"special\":false}}}";
	struct buf b = {0}, again = {0};
	char first[HASH_HEX];
	struct err e = {0};
	three(&b);
	piece(&b, SPACE, -1, NORMAL);      /* 3 */
	piece(&b, "a", -1, NORMAL);
	piece(&b, "b", -1, NORMAL);
	piece(&b, "c", -1, NORMAL);        /* 6 */
	trainer(&b, UNIGRAM, false);
	normalizer(&b, PREFIX | ESCAPE, NULL);
	buf_append(&again, b.data, b.len);
	struct tokenizer *t = open_ok(&b);
	strcpy(first, tokenizer_fingerprint(t));
	encodes(t, "<s>", "3 0");
	assert_true(tokenizer_is_special(t, 1));
	assert_false(tokenizer_is_special(t, 4));
	tokenizer_free(t);
	put("tokenizer_config.json", config, strlen(config));
	t = open_bytes(&again, false, &e);
	if (!t)
		fail_msg("%s", e.msg);
	encodes_as(t, "a<|im|>b", true, "1 3 4 9 5 2");  /* legacy false: one prefix */
	encodes(t, "<s>bcba", "1 8 4");
	assert_int_equal(tokenizer_vocab_size(t), 10);
	assert_string_not_equal(first, tokenizer_fingerprint(t));
	DECODES(t, true, "abcb", 1, 3, 4, 9, 8);
	DECODES(t, false, "<s> a<|im|>bcb", 1, 3, 4, 9, 8);
	tokenizer_free(t);
	drop("tokenizer_config.json");
}

/* ---- what is refused ---- */

static void
test_refused(void **state)
{
	(void)state;
	struct buf b = {0};
	static const char *const types[] = {"WORD", "CHAR"};
	for (int i = 0; i < 2; i++) {
		three(&b);
		trainer(&b, 3 + i, false);
		refused(&b, types[i]);
	}
	three(&b);
	trainer(&b, UNIGRAM, true);
	refused(&b, "no piece <0x00>");
	three(&b);
	all_bytes(&b);
	refused(&b, "byte_fallback is not set");
	piece(&b, "a", 0, NORMAL);
	refused(&b, "no piece is of type UNKNOWN");
	three(&b);
	three(&b);
	refused(&b, "both of type UNKNOWN");
	three(&b);
	piece(&b, "a", 0, NORMAL);
	piece(&b, "a", 0, NORMAL);
	refused(&b, "two ids");
	three(&b);
	piece(&b, "\xff", 0, NORMAL);
	refused(&b, "not UTF-8");
	three(&b);
	piece(&b, "a", 0.0f / 0.0f, NORMAL);
	refused(&b, "no finite score");
	three(&b);
	piece(&b, "a", 0, 9);
	refused(&b, "unknown type 9");
	three(&b);
	bytes(&b, 2, "\xc0\x01\x01", 3);  /* field 24 */
	refused(&b, "treat_whitespace_as_suffix");
	three(&b);
	bytes(&b, 5, "\x12\x01x", 3);
	refused(&b, "denormalizer_spec");
	three(&b);
	number(&b, 1, 3);
	refused(&b, "another type");
}

/* A cut anywhere is an error, or a whole model of fewer messages; nothing worse. */
static void
test_cuts(void **state)
{
	(void)state;
	struct buf b = {0}, map = {0};
	letters(&b);
	make_charsmap(&map, 3);
	trainer(&b, BPE, false);
	normalizer(&b, REMOVE | ESCAPE, &map);
	size_t opened = 0, refusals = 0, whole = b.len;
	for (size_t n = 1; n <= whole; n += n < 120 || n + 20 > whole ? 1 : 13) {
		struct buf cut = {0};
		struct err e;
		buf_append(&cut, b.data, n);
		struct tokenizer *t = open_bytes(&cut, true, &e);
		opened += t != NULL;
		refusals += t == NULL;
		if (t)
			encodes(t, "", "");
		tokenizer_free(t);
	}
	assert_true(opened >= 9);
	assert_true(refusals > 100);
	buf_release(&b);
	buf_release(&map);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unigram),
		cmocka_unit_test(test_unigram_unknown_and_bytes),
		cmocka_unit_test(test_unigram_user_defined),
		cmocka_unit_test(test_bpe),
		cmocka_unit_test(test_bpe_bytes),
		cmocka_unit_test(test_white_space),
		cmocka_unit_test(test_charsmap),
		cmocka_unit_test(test_charsmap_damaged),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cuts),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

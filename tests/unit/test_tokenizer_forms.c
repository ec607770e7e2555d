/* The forms that are no tokenizer.json: tiktoken ranks, vocab.json with merges.txt. */
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

static char dir[] = "/tmp/hone-forms-XXXXXX";

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

static void
put(const char *name, const char *text)
{
	struct err e;
	char *path = path_join(dir, name);
	if (file_write(path, true, text, strlen(text), &e) < 0)
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
open_ok(void)
{
	struct err e = {0};
	struct tokenizer *t = tokenizer_open(dir, &e);
	if (!t)
		fail_msg("%s", e.msg);
	return t;
}

static void
refused(int code, const char *part)
{
	struct err e = {0};
	struct tokenizer *t = tokenizer_open(dir, &e);
	if (t)
		fail_msg("taken, though '%s'", part);
	if (e.code != code || !strstr(e.msg, part))
		fail_msg("code %d, '%s'; no '%s' in it", e.code, e.msg, part);
}

static void
encodes(const struct tokenizer *t, const char *text, bool special, const char *want)
{
	struct encoder *enc = encoder_new(t);
	struct ids ids = {0};
	struct err e;
	struct buf got = {0};
	if (encoder_encode(enc, text, strlen(text), special, &ids, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < ids.n; i++)
		buf_printf(&got, "%s%d", i ? " " : "", ids.v[i]);
	if (strcmp(got.data ? got.data : "", want))
		fail_msg("'%s': '%s' instead of '%s'", text, got.data, want);
	buf_release(&got);
	ids_release(&ids);
	encoder_free(enc);
}

/* The 256 bytes, each a token by its value, and behind them `more`. */
static void
put_ranks(const char *name, const char *more)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf b = {0};
	for (int i = 0; i < 256; i++)
		buf_printf(&b, "%c%c== %d\n", digits[i >> 2], digits[(i & 3) << 4], i);
	buf_puts(&b, more);
	put(name, b.data);
	buf_release(&b);
}

/* 256 bc, 257 abc, 258 ab, 260 dd: abc is bc first, and xyz a whole word that no merge makes. */
static const char ranks[] = "YmM= 256\nYWJj 257\nYWI= 258\r\nZGQ= 260\neHl6 261";
static const char config[] =
	"{\"pat_str\":\"[a-z]+|[^a-z]+\",\"bos_token\":\"<B>\",\"eos_token\":\"<E>\","
	"\"added_tokens_decoder\":{\"262\":{\"content\":\"<B>\",\"special\":true},"
	"\"270\":{\"content\":\"<E>\",\"special\":true}}}";

static void
test_tiktoken(void **state)
{
	(void)state;
	put_ranks("x.tiktoken", ranks);
	put("tokenizer_config.json", config);
	struct tokenizer *t = open_ok();
	encodes(t, "abc", false, "257");
	encodes(t, "abcd", false, "257 100");
	encodes(t, "ddd", false, "260 100");
	encodes(t, "xyz", false, "261");
	encodes(t, "xyzx abc", false, "120 121 122 120 32 257");
	encodes(t, "a<E>\xc3\xa9", true, "262 97 270 195 169");
	assert_int_equal(tokenizer_vocab_size(t), 271);
	assert_int_equal(tokenizer_eos(t), 270);
	assert_non_null(strstr(tokenizer_origin(t), "pat_str"));
	struct buf text = {0};
	tokenizer_decode(t, (int32_t[]){262, 97, 195, 169, 257}, 5, true, &text);
	assert_string_equal(text.data, "a\xc3\xa9" "abc");
	buf_release(&text);
	tokenizer_free(t);
	drop("tokenizer_config.json");
	refused(ERR_CONFIG, "no known tiktoken vocabulary has 261 ranks");
	drop("x.tiktoken");
}

/* A word may be cut between two characters only where no merge reaches over, be it of parts of them. */
static void
test_merges_across_characters(void **state)
{
	(void)state;
	static const struct {
		const char *ranks, *want;
	} cases[] = {
		{"w6k= 256\nw6g= 257\n", "256 257 256"},             /* none: e e' e */
		{"qcM= 256\n", "195 256 168 195 169"},               /* the end of one with the beginning of the next */
		{"w6k= 256\nw6nD 257\n", "257 168 256"},            /* a whole one with a beginning */
		{"w6g= 256\nqcOo 257\n", "195 257 195 169"},        /* an end with a whole one */
		{"w6k= 256\nw6g= 257\nw6nDqA== 258\n", "258 256"}, /* two whole ones */
	};
	put("tokenizer_config.json", "{\"pat_str\":\"[^ ]+| \"}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put_ranks("x.tiktoken", cases[i].ranks);
		struct tokenizer *t = open_ok();
		encodes(t, "\xc3\xa9\xc3\xa8\xc3\xa9", false, cases[i].want);
		tokenizer_free(t);
	}
	drop("tokenizer_config.json");
	drop("x.tiktoken");
}

static void
test_tiktoken_refused(void **state)
{
	(void)state;
	static const struct {
		const char *more, *part;
	} bad[] = {
		{"YWJj", "line 257"}, {"YWJj ", "line 257"}, {"YWJj x", "line 257"}, {"YWJ 256", "line 257"},
		{"Y*Jj 256", "line 257"}, {"==== 256", "line 257"}, {" 256", "line 257"},
		{"YWJj 99999999999", "line 257"}, {"YWJj 4194304", "line 257"}, {"YQ== 256", "two ids"},
		{"YWJj 7", "the same id"},
	};
	put("tokenizer_config.json", config);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put_ranks("x.tiktoken", bad[i].more);
		refused(ERR_CONFIG, bad[i].part);
	}
	put("x.tiktoken", "YQ== 0\nYg== 1\n");
	refused(ERR_CONFIG, "the byte 0x00 has no rank");
	drop("tokenizer_config.json");
	drop("x.tiktoken");
}

static void
test_vocab_and_merges(void **state)
{
	(void)state;
	put("vocab.json", "{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"ab\":3,\"\xc4\xa0" "ab\":4,\"<|endoftext|>\":5}");
	put("merges.txt", "#version: 0.2\na b\n\xc4\xa0 ab\n\n");
	struct tokenizer *t = open_ok();
	encodes(t, "ab ab<|endoftext|>", true, "3 4 5");
	assert_int_equal(tokenizer_bos(t), 5);
	assert_int_equal(tokenizer_eos(t), 5);
	assert_true(tokenizer_is_special(t, 5));
	tokenizer_free(t);
	put("added_tokens.json", "{\"<x>\":9}");
	put("special_tokens_map.json", "{\"eos_token\":\"<|endoftext|>\",\"pad_token\":\"<p>\"}");
	put("tokenizer_config.json", "{\"add_prefix_space\":true,\"tokenizer_class\":\"RobertaTokenizerFast\","
		"\"bos_token\":\"<x>\"}");
	t = open_ok();
	encodes(t, "ab<x><p>", true, "9 4 9 10 5");
	assert_int_equal(tokenizer_vocab_size(t), 11);
	tokenizer_free(t);
	put("tokenizer_config.json", "{\"tokenizer_class\":\"CLIPTokenizer\"}");
	refused(ERR_CONFIG, "'CLIPTokenizer'");
	put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"3\":{\"content\":\"new\"}}}");
	refused(ERR_CONFIG, "which is 'ab' already");
	put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"-1\":{\"content\":\"new\"}}}");
	refused(ERR_CONFIG, "'added_tokens_decoder': '-1'");
	drop("tokenizer_config.json");
	put("merges.txt", "a b c\n");
	refused(ERR_CONFIG, "merge 0");
	put("merges.txt", "\xff b\n");
	refused(ERR_CONFIG, "not UTF-8");
	drop("merges.txt");
	refused(ERR_NOINPUT, "there is no tokenizer.json");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tiktoken),
		cmocka_unit_test(test_merges_across_characters),
		cmocka_unit_test(test_tiktoken_refused),
		cmocka_unit_test(test_vocab_and_merges),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

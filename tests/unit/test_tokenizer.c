/* Whole tokenizers, small enough to reckon by hand: the model, added tokens, the order of work, the files. */
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
#include "base/rng.h"
#include "text/tokenizer.h"

static char dir[] = "/tmp/hone-tokenizer-XXXXXX";

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

/* A tokenizer.json of the given members, with single quotes for double ones. */
static struct tokenizer *
make(const char *members, struct err *e)
{
	char *text = xasprintf("{%s}", members);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	put("tokenizer.json", text);
	free(text);
	return tokenizer_open(dir, e);
}

static struct tokenizer *
open_ok(const char *members)
{
	struct err e = {0};
	struct tokenizer *t = make(members, &e);
	if (!t)
		fail_msg("%s", e.msg);
	return t;
}

static void
refused(const char *members, int code, const char *part)
{
	struct err e = {0};
	struct tokenizer *t = make(members, &e);
	if (t)
		fail_msg("'%s' was taken", members);
	if (e.code != code || !strstr(e.msg, part))
		fail_msg("code %d, '%s'; no '%s' in it", e.code, e.msg, part);
}

/* Encodes and writes the ids with spaces between. */
static void
encodes_n(const struct tokenizer *t, const char *text, size_t n, bool special, const char *want)
{
	struct err e = {0};
	struct encoder *enc = encoder_new(t);
	for (int turn = 0; turn < 2; turn++) {  /* the second time from the cache */
		struct ids ids = {0};
		struct buf b = {0};
		if (encoder_encode(enc, text, n, special, &ids, &e) < 0)
			fail_msg("%s", e.msg);
		buf_clear(&b);
		for (size_t i = 0; i < ids.n; i++)
			buf_printf(&b, i ? " %d" : "%d", ids.v[i]);
		if (strcmp(b.data, want))
			fail_msg("'%s' became '%s', not '%s'", text, b.data, want);
		ids_release(&ids);
		buf_release(&b);
	}
	encoder_free(enc);
}

static void
encodes(const struct tokenizer *t, const char *text, const char *want)
{
	encodes_n(t, text, strlen(text), false, want);
}

#define VOCAB "'a':0,'b':1,'c':2,'ab':3,'bc':4,'abc':5,'_':6,'<unk>':7,'_a':8,' ':9"
#define MERGES "['b c',['a','b'],'ab c','_ a']"
#define MODEL(more) "'model':{'type':'BPE','vocab':{" VOCAB "},'merges':" MERGES more "}"

static void
test_merging(void **state)
{
	(void)state;
	struct tokenizer *t = open_ok(MODEL(""));
	encodes(t, "", "");
	encodes(t, "a", "0");
	encodes(t, "abc", "0 4");          /* "b c" has the lower rank */
	encodes(t, "abab", "3 3");
	encodes(t, "bcbc", "4 4");
	encodes(t, "axb", "3");            /* no unknown token: it vanishes, and its neighbours meet */
	assert_int_equal(tokenizer_vocab_size(t), 10);
	assert_int_equal(tokenizer_id(t, "abc"), 5);
	assert_int_equal(tokenizer_id(t, "abcd"), -1);
	assert_string_equal(tokenizer_token(t, 4), "bc");
	assert_null(tokenizer_token(t, 10));
	assert_null(tokenizer_token(t, -1));
	tokenizer_free(t);
	t = open_ok(MODEL(",'ignore_merges':true"));
	encodes(t, "abc", "5");
	encodes(t, "abca", "0 4 0");
	tokenizer_free(t);
}

static void
test_unknown(void **state)
{
	(void)state;
	struct tokenizer *t = open_ok(MODEL(",'unk_token':'<unk>'"));
	encodes(t, "xx", "7 7");
	encodes(t, "axxb", "0 7 7 1");
	tokenizer_free(t);
	t = open_ok(MODEL(",'unk_token':'<unk>','fuse_unk':true"));
	encodes(t, "axxb\xc3\xa9", "0 7 1 7");
	tokenizer_free(t);
	t = open_ok("'model':{'type':'BPE','unk_token':'?','fuse_unk':true,'byte_fallback':true,'merges':[],"
		    "'vocab':{'a':0,'<0xC3>':1,'<0xA9>':2,'?':3}}");
	encodes(t, "a\xc3\xa9", "0 1 2");
	encodes(t, "\xc3\xa8" "a", "3 0");  /* one byte is missing, so the whole character is unknown */
	encodes(t, "x\xc3\xa9x", "1 2 3");  /* the bytes overtake the unknown token, which goes on growing */
	tokenizer_free(t);
#define BYTES(more) "'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false}," \
	"'model':{'type':'BPE','vocab':{'a':0,'b':1,'ab':2},'merges':['a b']" more "}"
	t = open_ok(BYTES(""));
	encodes(t, "axb a", "2 0");
	encodes(t, "\xc3\xa9", "");
	tokenizer_free(t);
	t = open_ok(BYTES(",'unk_token':'a'"));
	encodes(t, "bx", "1 0");
	encodes(t, "\xc3\xa9", "0 0");
	tokenizer_free(t);
	t = open_ok(MODEL(",'unk_token':'nowhere'"));
	encodes(t, "ab", "3");
	struct err e = {0};
	struct ids ids = {0};
	struct encoder *enc = encoder_new(t);
	assert_int_equal(encoder_encode(enc, "ax", 2, false, &ids, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	assert_int_equal(ids.n, 0);
	encoder_free(enc);
	ids_release(&ids);
	tokenizer_free(t);
}

static void
test_affixes(void **state)
{
	(void)state;
	struct tokenizer *t =
		open_ok("'model':{'type':'BPE','continuing_subword_prefix':'##','end_of_word_suffix':'.',"
			"'vocab':{'a':0,'##b':1,'##b.':2,'a.':3,'ab':4,'abb.':5},"
			"'merges':['a ##b','ab ##b.']}");
	encodes(t, "a", "3");
	encodes(t, "abb", "5");
	encodes(t, "ab", "0 2");
	encodes(t, "bb", "2");
	tokenizer_free(t);
}

/* Merging by search, by heap and between seams must agree with the rule itself, done slowly. */
static void
merge_slowly(const char *text, size_t n, int32_t *id, size_t *count)
{
	static const int32_t pair[][3] = {{1, 2, 4}, {0, 1, 3}, {3, 2, 5}, {6, 0, 8}};
	for (size_t i = 0; i < n; i++)
		id[i] = text[i] == '_' ? 6 : text[i] - 'a';
	for (size_t p = 0; p < 4;) {
		size_t i = 0;
		while (i + 1 < n && !(id[i] == pair[p][0] && id[i + 1] == pair[p][1]))
			i++;
		if (i + 1 >= n) {
			p++;
			continue;
		}
		id[i] = pair[p][2];
		memmove(id + i + 1, id + i + 2, (n - i - 2) * sizeof *id);
		n--;
		p = 0;
	}
	*count = n;
}

static void
test_long_words(void **state)
{
	(void)state;
	struct err e;
	struct rng r;
	/* ignore_merges keeps seams from being used */
	struct tokenizer *t[2] = {open_ok(MODEL("")), open_ok(MODEL(",'ignore_merges':true"))};
	rng_init(&r, 3, 0);
	for (int k = 0; k < 300; k++) {
		char text[600];
		int32_t want[600];
		size_t n = 6 + rng_below(&r, 590), count;
		for (size_t i = 0; i < n; i++)
			text[i] = "abc_"[rng_below(&r, 4)];
		merge_slowly(text, n, want, &count);
		for (int i = 0; i < 2; i++) {
			struct encoder *enc = encoder_new(t[i]);
			struct ids ids = {0};
			assert_int_equal(encoder_encode(enc, text, n, false, &ids, &e), 0);
			assert_int_equal(ids.n, count);
			assert_memory_equal(ids.v, want, count * sizeof *want);
			ids_release(&ids);
			encoder_free(enc);
		}
	}
	tokenizer_free(t[0]);
	tokenizer_free(t[1]);
}

#define ADDED(content, id, flags) "{'content':'" content "','id':" id ",'normalized':false" flags "}"

static void
test_added_tokens(void **state)
{
	(void)state;
	struct tokenizer *t = open_ok("'added_tokens':[" ADDED("<x>", "10", ",'special':true") ","
				      ADDED("<x>y", "11", "") "," ADDED("bc", "4", "") "]," MODEL(""));
	encodes(t, "a<x>ya<x>b", "0 11 0 10 1");  /* the longest of those that start first */
	encodes(t, "abc", "0 4");
	encodes(t, "<x", "");
	assert_true(tokenizer_is_special(t, 10));
	assert_false(tokenizer_is_special(t, 11));
	assert_int_equal(tokenizer_vocab_size(t), 12);
	assert_string_equal(tokenizer_token(t, 11), "<x>y");
	struct buf b = {0};
	tokenizer_decode(t, (int32_t[]){0, 10, 11, 99, -5, 3}, 6, true, &b);
	assert_string_equal(b.data, "a <x>y ab");
	buf_release(&b);
	tokenizer_free(t);

	t = open_ok("'added_tokens':[" ADDED("bc", "4", ",'single_word':true") "]," MODEL(""));
	encodes(t, "bc", "4");
	encodes(t, "a bc", "0 9 4");
	encodes(t, "abc bc.", "0 4 9 4");
	tokenizer_free(t);

	t = open_ok("'added_tokens':[" ADDED("<l>", "10", ",'lstrip':true") "," ADDED(
		"<r>", "11", ",'rstrip':true") "]," MODEL(""));
	encodes(t, "a \t <l> a", "0 10 9 0");
	encodes(t, "a <r> \n a", "0 9 11 0");
	encodes(t, "<r>  <l>", "11 10");  /* white space is taken once */
	tokenizer_free(t);
}

static void
test_order_of_work(void **state)
{
	(void)state;
	/* Prepend happens to every piece between raw added tokens, and to normalized tokens themselves. */
	struct tokenizer *t = open_ok("'normalizer':{'type':'Prepend','prepend':'_'},'added_tokens':[" ADDED(
		"<x>", "10", "") ",{'content':'b','id':1,'normalized':true}]," MODEL(""));
	encodes(t, "a", "8");
	encodes(t, "a<x>a", "8 10 8");
	encodes(t, "b", "1");    /* "_b" is what is looked for */
	encodes(t, "cb", "6 2 1");
	tokenizer_free(t);
}

static void
test_template(void **state)
{
	(void)state;
	struct tokenizer *t = open_ok(
		"'post_processor':{'type':'Sequence','processors':[{'type':'ByteLevel'},{'type':'"
		"TemplateProcessing',"
		"'single':[{'SpecialToken':{'id':'s'}},{'Sequence':{'id':'A'}},{'SpecialToken':{'id':'e'}}],"
		"'special_tokens':{'s':{'ids':[1,2]},'e':{'ids':[7]}}}]}," MODEL(""));
	encodes_n(t, "ab", 2, true, "1 2 3 7");
	encodes_n(t, "", 0, true, "1 2 7");
	encodes_n(t, "ab", 2, false, "3");
	tokenizer_free(t);
	t = open_ok("'post_processor':{'type':'RobertaProcessing','cls':['s',1],'sep':['e',2]}," MODEL(""));
	encodes_n(t, "a", 1, true, "1 0 2");
	tokenizer_free(t);
}

static void
test_bad_text(void **state)
{
	(void)state;
	struct err e = {0};
	struct ids ids = {0};
	struct tokenizer *t =
		open_ok("'model':{'type':'BPE','vocab':{'a':0,'?':1},'merges':[],'unk_token':'?'}");
	struct encoder *enc = encoder_new(t);
	assert_int_equal(encoder_encode(enc, "aa\xff", 3, false, &ids, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	assert_non_null(strstr(e.msg, "byte 2 "));
	assert_int_equal(ids.n, 0);
	encoder_free(enc);
	ids_release(&ids);
	encodes_n(t, "a\0a", 3, false, "0 1 0");
	tokenizer_free(t);
}

static void
test_files(void **state)
{
	(void)state;
	struct err e = {0};
	put("tokenizer_config.json", "{\"bos_token\":{\"content\":\"a\"},\"eos_token\":null,"
				     "\"model_max_length\":1000000000000000019884624838656}");
	put("special_tokens_map.json", "{\"eos_token\":\"b\"}");
	struct tokenizer *t = open_ok(MODEL(""));
	assert_int_equal(tokenizer_bos(t), 0);
	assert_int_equal(tokenizer_eos(t), -1);  /* null is a decision */
	assert_int_equal(strlen(tokenizer_fingerprint(t)), 32);
	tokenizer_free(t);
	put("tokenizer_config.json", "{}");
	t = open_ok(MODEL(""));
	assert_int_equal(tokenizer_bos(t), -1);
	assert_int_equal(tokenizer_eos(t), 1);
	tokenizer_free(t);
	put("tokenizer_config.json", "{\"bos_token\":\"nowhere\"}");
	refused(MODEL(""), ERR_CONFIG, "'bos_token' is 'nowhere'");
	put("tokenizer_config.json", "{}");
	assert_null(tokenizer_open("/nonexistent", &e));
	assert_int_equal(e.code, ERR_NOINPUT);
}

/* NUL is a character like others, also in a vocabulary. */
static void
test_nul(void **state)
{
	(void)state;
	struct tokenizer *t = open_ok("'model':{'type':'BPE','unk_token':'?','vocab':{'?':0,'a':1,'\\u0000':2,'a\\u0000':3},"
				      "'merges':[['a','\\u0000']]}");
	encodes_n(t, "a\0a\0\0b", 6, false, "3 3 2 0");
	tokenizer_free(t);
}

static void
test_refusals(void **state)
{
	(void)state;
	refused(MODEL(",'dropout':0.1"), ERR_CONFIG, "'dropout'");
	refused("'model':{'type':'Unigram','vocab':[]}", ERR_CONFIG, "'Unigram'");
	refused("'model':{'type':'BPE','vocab':{'a':0,'b':0},'merges':[]}", ERR_CONFIG, "same id");
	refused("'model':{'type':'BPE','vocab':{'a':4294967296},'merges':[]}", ERR_CONFIG,
		"has id 4294967296");
	refused("'model':{'type':'BPE','vocab':{'a':-1},'merges':[]}", ERR_CONFIG, "has id -1");
	refused("'model':{'type':'BPE','vocab':{'a':0},'merges':['a b']}", ERR_CONFIG,
		"'b' is not in the vocabulary");
	refused("'model':{'type':'BPE','vocab':{'a':0},'merges':['a']}", ERR_CONFIG, "merge 0");
	refused("'pre_tokenizer':{'type':'BertPreTokenizer'}," MODEL(""), ERR_CONFIG, "'BertPreTokenizer'");
	refused("'normalizer':{'type':'Precompiled'}," MODEL(""), ERR_CONFIG, "'Precompiled'");
	refused("'decoder':{'type':'WordPiece'}," MODEL(""), ERR_CONFIG, "'WordPiece'");
	refused("'post_processor':{'type':'New'}," MODEL(""), ERR_CONFIG, "'New'");
	refused("'pre_tokenizer':{'type':'Split','behavior':'Isolated','pattern':{'Regex':'(a'}}," MODEL(""),
		ERR_CONFIG, "(a");
	refused("'added_tokens':[" ADDED("<x>", "12", "") "]," MODEL(""), ERR_CONFIG, "'<x>' has id 12");
	refused("'added_tokens':[" ADDED("a", "0", "") "," ADDED("a", "0", "") "]," MODEL(""), ERR_CONFIG,
		"twice");
	refused("'version':'2.0'," MODEL(""), ERR_CONFIG, "version");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merging),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_affixes),
		cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_added_tokens),
		cmocka_unit_test(test_order_of_work),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

/* tokenizer.json is untrusted: whatever is wrong with it is told, and nothing crashes. A file that uses every
 * component is cut short at every byte, and loses or changes each of its values in turn. */
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
#include "base/json.h"
#include "text/tokenizer.h"

/* With single quotes for double ones, which main puts in. */
static char whole[] =
	"{'version':'1.0','truncation':null,'padding':null,'added_tokens':[{'id':9,'content':'<s>',"
	"'single_word':false,'lstrip':true,'rstrip':true,'normalized':false,'special':true},{'id':10,"
	"'content':'<n>','single_word':true,'lstrip':false,'rstrip':false,'normalized':true,"
	"'special':false}],'normalizer':{'type':'Sequence','normalizers':[{'type':'NFC'},"
	"{'type':'Prepend','prepend':'_'},{'type':'Replace','pattern':{'String':' '},'content':'_'},"
	"{'type':'Replace','pattern':{'Regex':'x+'},'content':'a'},{'type':'Strip','strip_left':true,"
	"'strip_right':true},{'type':'StripAccents'},{'type':'Lowercase'}]},"
	"'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':'Split',"
	"'pattern':{'Regex':'[b]+'},'behavior':'Contiguous','invert':false},{'type':'Digits',"
	"'individual_digits':true},{'type':'Punctuation','behavior':'Isolated'},{'type':'Metaspace',"
	"'replacement':'_','prepend_scheme':'first','split':true},{'type':'ByteLevel',"
	"'add_prefix_space':true,'use_regex':true}]},'post_processor':{'type':'Sequence',"
	"'processors':[{'type':'ByteLevel'},{'type':'TemplateProcessing',"
	"'single':[{'SpecialToken':{'id':'<s>','type_id':0}},{'Sequence':{'id':'A','type_id':0}}],"
	"'special_tokens':{'<s>':{'id':'<s>','ids':[9],'tokens':['<s>']}}}]},"
	"'decoder':{'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'_'},"
	"'content':' '},{'type':'ByteFallback'},{'type':'Fuse'},{'type':'Strip','content':' ',"
	"'start':1,'stop':1},{'type':'Metaspace','replacement':'_','prepend_scheme':'always'},"
	"{'type':'BPEDecoder','suffix':'</w>'},{'type':'ByteLevel'}]},'model':{'type':'BPE',"
	"'dropout':null,'unk_token':'?','continuing_subword_prefix':'','end_of_word_suffix':'',"
	"'fuse_unk':true,'byte_fallback':true,'ignore_merges':true,'vocab':{'a':0,'b':1,'ab':2,'_':3,"
	"'?':4,'<0x41>':5,'_a':6,'aa':7,'\\u0120':8},'merges':['a b',['_','a'],'a a']}}";

static char dir[] = "/tmp/hone-tokenizer-bad-XXXXXX";
static char *path;

static int
make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	path = path_join(dir, "tokenizer.json");
	return 0;
}

static int
remove_dir(void **state)
{
	struct err e;
	(void)state;
	free(path);
	return path_remove(dir, &e);
}

/* A tokenizer that was taken must work: any text and any ids. */
static void
use(const struct tokenizer *t)
{
	static const char *const text[] = {
		"", "ab <s> aab_xx\xc3\xa9 <n> 12!b", "\xf0\x9f\xa4\xa6 e\xcc\x81 \t\n", " "};
	struct encoder *enc = encoder_new(t);
	for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
		struct ids ids = {0};
		struct buf b = {0};
		struct err e = {0};
		if (encoder_encode(enc, text[i], strlen(text[i]), true, &ids, &e) < 0)
			assert_int_equal(e.code, ERR_DATA);
		for (size_t k = 0; k < ids.n; k++)
			assert_true(ids.v[k] >= 0 && (size_t)ids.v[k] < tokenizer_vocab_size(t));
		ids_push(&ids, -1);
		ids_push(&ids, INT32_MAX);
		tokenizer_decode(t, ids.v, ids.n, i % 2, &b);
		ids_release(&ids);
		buf_release(&b);
	}
	encoder_free(enc);
}

/* Opens; true when it was taken. */
static bool
try(const char *text, size_t n)
{
	struct err e = {0};
	FILE *f = fopen(path, "w");
	assert_true(f && fwrite(text, 1, n, f) == n && fclose(f) == 0);
	struct tokenizer *t = tokenizer_open(path, &e);
	if (t) {
		use(t);
		tokenizer_free(t);
		return true;
	}
	if ((e.code != ERR_CONFIG && e.code != ERR_DATA) || !strstr(e.msg, "tokenizer.json"))
		fail_msg("code %d, '%s' for %.*s", e.code, e.msg, (int)n, text);
	return false;
}

static void
test_whole(void **state)
{
	(void)state;
	assert_true(try(whole, sizeof whole - 1));
}

static void
test_truncated(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof whole - 1; n += 3)
		assert_false(try(whole, n));
}

static size_t taken, refused;

static void
try_root(const json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
	assert_non_null(text);
	if (try(text, strlen(text)))
		taken++;
	else
		refused++;
	free(text);
}

/* The values that each value is changed into. */
static json_t *
other_value(int i)
{
	switch (i) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_integer(-1);
	case 3:
		return json_integer(INT64_MAX);
	case 4:
		return json_real(0.5);
	case 5:
		return json_string("");
	case 6:
		return json_string("\xe4\xbd\xa0 b");
	case 7:
		return json_array();
	case 8:
		return json_object();
	case 9:
		return json_pack("[n, i, [s]]", 3, "a");
	default:
		return NULL;
	}
}

static void vary(const json_t *root, json_t *node);

static void
vary_object(const json_t *root, json_t *node)
{
	/* Iterated over a copy: the members come and go. */
	json_t *copy = json_copy(node), *value, *new;
	const char *key;
	json_object_foreach(copy, key, value) {
		for (int i = 0; (new = other_value(i)); i++) {
			json_object_set_new(node, key, new);
			try_root(root);
		}
		json_object_del(node, key);
		try_root(root);
		json_object_set(node, key, value);
		vary(root, value);
	}
	json_decref(copy);
}

static void
vary(const json_t *root, json_t *node)
{
	json_t *new;
	if (json_is_object(node))
		vary_object(root, node);
	for (size_t k = 0; k < json_array_size(node); k++) {
		json_t *value = json_incref(json_array_get(node, k));
		for (int i = 0; (new = other_value(i)); i++) {
			json_array_set_new(node, k, new);
			try_root(root);
		}
		json_array_set(node, k, value);
		vary(root, value);
		json_decref(value);
	}
}

static void
test_varied(void **state)
{
	(void)state;
	struct err e;
	json_t *root = json_read("whole", whole, sizeof whole - 1, &e);
	assert_non_null(root);
	vary(root, root);
	json_decref(root);
	assert_true(taken > 100 && refused > 500);  /* both ways are walked */
}

static void
test_deep(void **state)
{
	(void)state;
	static const char *const key[] = {"normalizer", "pre_tokenizer", "post_processor", "decoder"};
	static const char *const list[] = {"normalizers", "pretokenizers", "processors", "decoders"};
	for (int k = 0; k < 4; k++) {
		struct buf b = {0};
		buf_printf(&b, "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},\"%s\":", key[k]);
		for (int i = 0; i < 500; i++)
			buf_printf(&b, "{\"type\":\"Sequence\",\"%s\":[", list[k]);
		for (int i = 0; i < 500; i++)
			buf_puts(&b, "]}");
		buf_puts(&b, "}");
		assert_false(try(b.data, b.len));
		buf_release(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_varied),
		cmocka_unit_test(test_deep),
	};
	for (char *p = whole; (p = strchr(p, '\''));)
		*p = '"';
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

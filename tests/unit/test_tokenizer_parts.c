/* The components of tokenizer.json one by one: normalizers, pre-tokenizers, decoders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"
#include "text/decode.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/unicode.h"

static json_t *
parse(const char *text)
{
	struct err e = {0};
	if (!strcmp(text, "null"))
		return json_null();
	json_t *j = json_read("test", text, strlen(text), &e);
	if (!j)
		fail_msg("%s", e.msg);
	return j;
}

/* ---- normalizers ---- */

static void
normalizes(const char *json, const char *text, const char *want)
{
	struct err e = {0};
	struct normal_work w = {0};
	json_t *j = parse(json);
	struct normalizer *nz = normalizer_load(j, &e);
	struct matcher *m = matcher_new();
	const char *out;
	size_t n;
	bool shifted;
	if (!nz || normalizer_apply(nz, &w, m, text, strlen(text), &out, &n, &shifted, &e) < 0)
		fail_msg("%s", e.msg);
	if (n != strlen(want) || memcmp(out, want, n))
		fail_msg("%s: '%s' became '%.*s', not '%s'", json, text, (int)n, out, want);
	normal_work_release(&w);
	matcher_free(m);
	normalizer_free(nz);
	json_decref(j);
}

static void
test_normal_forms(void **state)
{
	(void)state;
	normalizes("{\"type\":\"NFC\"}", "plain", "plain");
	normalizes("{\"type\":\"NFC\"}", "e\xcc\x81t\xc3\xa9", "\xc3\xa9t\xc3\xa9");
	normalizes("{\"type\":\"NFC\"}", "x\xcc\x81\xcc\xa7",
		"x\xcc\xa7\xcc\x81"); /* marks in canonical order */
	normalizes("{\"type\":\"NFC\"}", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
		"\xed\x95\x9c");                                                       /* jamo: U+D55C */
	normalizes("{\"type\":\"NFC\"}", "\xed\x95\x98\xe1\x86\xab",
		"\xed\x95\x9c"); /* a syllable and a final jamo */
	normalizes("{\"type\":\"NFC\"}", "\xe2\x84\xab", "\xc3\x85"); /* the angstrom sign, a singleton */
	normalizes("{\"type\":\"NFC\"}", "\xe0\xa5\x98",
		"\xe0\xa4\x95\xe0\xa4\xbc"); /* a composition exclusion */
	normalizes("{\"type\":\"NFC\"}", "\xef\xac\x81", "\xef\xac\x81");
	normalizes("{\"type\":\"NFD\"}", "\xc3\xa9\xed\x95\x9c",
		"e\xcc\x81\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab");
	normalizes("{\"type\":\"NFKC\"}", "\xef\xac\x81\xef\xbc\xa1\xc2\xbd", "fiA1\xe2\x81\x84" "2");
	normalizes("{\"type\":\"NFKD\"}", "\xef\xac\x81\xc3\xa9", "fie\xcc\x81");
}

/* Marks by the thousand must be ordered, and in less than quadratic time. */
static void
test_many_marks(void **state)
{
	(void)state;
	enum { N = 200000 };
	char *text = xmalloc(4 * N + 2), *want = xmalloc(4 * N + 2);
	*text = *want = 'x';
	for (size_t i = 0; i < N; i++) {
		memcpy(text + 1 + 4 * i, "\xcc\xb0\xcc\xa7", 4);  /* class 220, class 202 */
		memcpy(want + 1 + 2 * i, "\xcc\xa7", 2);
		memcpy(want + 1 + 2 * N + 2 * i, "\xcc\xb0", 2);
	}
	text[4 * N + 1] = want[4 * N + 1] = '\0';
	normalizes("{\"type\":\"NFC\"}", text, want);
	free(text);
	free(want);
}

static void
test_other_normalizers(void **state)
{
	(void)state;
	normalizes("null", "as it is", "as it is");
	normalizes("{\"type\":\"Lowercase\"}", "\xc3\x89T\xc4\xb0\xce\xa3", "\xc3\xa9ti\xcc\x87\xcf\x83");
	normalizes("{\"type\":\"Prepend\",\"prepend\":\"_\"}", "a", "_a");
	normalizes("{\"type\":\"Prepend\",\"prepend\":\"_\"}", "", "");
	normalizes("{\"type\":\"Replace\",\"pattern\":{\"String\":\".\"},\"content\":\"!\"}", "a.b.", "a!b!");
	normalizes("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"\"}", "a  b c   d",
		"ab cd");
	normalizes("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\d+\"},\"content\":\"$0\"}", "a12b",
		"a$0b");
	normalizes(
		"{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false}", " \xe3\x80\x80 a ", "a ");
	normalizes("{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}", " \xc3\xa9 \xc2\xa0",
		" \xc3\xa9");
	normalizes("{\"type\":\"StripAccents\"}", "e\xcc\x81\xcc\x84o", "eo");
	normalizes("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"StripAccents\"},"
		   "{\"type\":\"Lowercase\"},{\"type\":\"Strip\"}]}", " \xc3\x89t\xc3\xa9 ", "ete");
}

/* ---- pre-tokenizers ---- */

/* Cuts the text and writes the words with bars between. */
static void
cut(const char *json, const char *text, size_t n, bool first, struct buf *out)
{
	struct err e = {0};
	struct pre_work w = {0};
	json_t *j = parse(json);
	struct pretokenizer *p = pretokenizer_load(j, &e);
	struct matcher *m = matcher_new();
	const struct words *words;
	if (!p)
		fail_msg("%s", e.msg);
	pretokenizer_spell(p, true);
	if (pretokenizer_apply(p, &w, m, text, n, first, &words, &e) < 0)
		fail_msg("%s", e.msg);
	buf_clear(out);
	for (size_t i = 0; i < words->n; i++) {
		if (i)
			buf_putc(out, '|');
		buf_append(out, words->text + words->v[i].start, words->v[i].n);
	}
	pre_work_release(&w);
	matcher_free(m);
	pretokenizer_free(p);
	json_decref(j);
}

static void
cuts_at(const char *json, const char *text, bool first, const char *want)
{
	struct buf b = {0};
	cut(json, text, strlen(text), first, &b);
	if (strcmp(b.data, want))
		fail_msg("%s: '%s' became '%s', not '%s'", json, text, b.data, want);
	buf_release(&b);
}

static void
cuts(const char *json, const char *text, const char *want)
{
	cuts_at(json, text, true, want);
}

static void
test_split_behaviors(void **state)
{
	(void)state;
#define SPLIT(behavior, invert)                                                                              \
	"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"" behavior                        \
	"\",\"invert\":" invert "}"
	const char *text = "the-final--countdown";
	cuts(SPLIT("Removed", "false"), text, "the|final|countdown");
	cuts(SPLIT("Isolated", "false"), text, "the|-|final|-|-|countdown");
	cuts(SPLIT("MergedWithPrevious", "false"), text, "the-|final-|-|countdown");
	cuts(SPLIT("MergedWithNext", "false"), text, "the|-final|-|-countdown");
	cuts(SPLIT("Contiguous", "false"), text, "the|-|final|--|countdown");
	cuts(SPLIT("Removed", "true"), text, "-|-|-");
	cuts(SPLIT("Isolated", "true"), text, "the|-|final|-|-|countdown");
	cuts(SPLIT("MergedWithPrevious", "true"), text, "the|-final|-|-countdown");
	cuts(SPLIT("MergedWithNext", "true"), text, "the-|final-|-|countdown");
	cuts(SPLIT("Isolated", "false"), "", "");
#undef SPLIT
	cuts("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\w+|[^\\\\w\\\\s]+\"},\"behavior\":\"Removed\","
	     "\"invert\":true}", "Hey, you\xe3\x80\x80" "man", "Hey|,|you|man");
	cuts("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[[:upper:]][^]\\\\n]*$\"},\"behavior\":"
	     "\"Isolated\"}",
		"abCd\nEf", "ab|Cd|\n|Ef");
	/* White space as Unicode has it: without U+180E. */
	cuts("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s\"},\"behavior\":\"Isolated\"}",
		"a\xe1\xa0\x8e\xc2\x85"
		"b",
		"a\xe1\xa0\x8e|\xc2\x85|b");
	/* Empty matches: between all characters. */
	cuts("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x*\"},\"behavior\":\"Isolated\"}", "a\xc3\xa9xb",
		"a|\xc3\xa9|x|b");
}

static void
test_class_splits(void **state)
{
	(void)state;
	cuts("{\"type\":\"Digits\",\"individual_digits\":true}", "Hey 12\xc2\xbd x", "Hey |1|2|\xc2\xbd| x");
	cuts("{\"type\":\"Digits\",\"individual_digits\":false}", "Hey 123 x", "Hey |123| x");
	cuts("{\"type\":\"Punctuation\"}", "Hey!  you?!\xe3\x80\x82", "Hey|!|  you|?|!|\xe3\x80\x82");
	cuts("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}", "$a?!b", "$|a|?!|b");
	cuts("{\"type\":\"WhitespaceSplit\"}", " a\t b!\n", "a|b!");
	cuts("{\"type\":\"Whitespace\"}", "a_1\xcc\x81 b!?\n c", "a_1\xcc\x81|b|!?|c");
}

#define META(rest) "{\"type\":\"Metaspace\",\"replacement\":\"_\"," rest "}"

static void
test_metaspace(void **state)
{
	(void)state;
	cuts(META("\"prepend_scheme\":\"always\""), "Hey   you", "_Hey|_|_|_you");
	cuts(META("\"prepend_scheme\":\"always\",\"split\":false"), "Hey  you", "_Hey__you");
	cuts(META("\"prepend_scheme\":\"always\""), " a", "_a");
	cuts(META("\"prepend_scheme\":\"never\""), "a b", "a|_b");
	cuts(META("\"prepend_scheme\":\"first\""), "a b", "_a|_b");
	cuts_at(META("\"prepend_scheme\":\"first\""), "a b", false, "a|_b");
	cuts(META("\"add_prefix_space\":true"), "a", "_a");
	/* Only the first word of the text gets one; none does when the first word was removed. */
	cuts("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
	     META("\"prepend_scheme\":\"first\"") "]}", "a b", "_a|b");
	cuts("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
	     META("\"prepend_scheme\":\"first\"") "]}", " a b", "a|b");
}

static void
test_byte_level(void **state)
{
	(void)state;
	cuts("{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", "It's \xc3\xa9t\xc3\xa9  x",
		"It|'s|\xc4\xa0\xc3\x83\xc2\xa9t\xc3\x83\xc2\xa9|\xc4\xa0|\xc4\xa0x");
	cuts("{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", "a", "\xc4\xa0" "a");
	cuts("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":false}", "a b",
		"\xc4\xa0"
		"a\xc4\xa0"
		"b");
	for (int b = 0; b < 256; b++)
		assert_int_equal(uni_to_byte(uni_from_byte((uint8_t)b)), b);
	assert_int_equal(uni_to_byte(0x144), -1);
	assert_int_equal(uni_to_byte(' '), -1);
}

/* A text of up to 40 characters that patterns tell apart. */
static size_t
random_text(struct rng *r, char *out)
{
	static const char *const part[] = {"a", "B", "s", "t", "L", "l", "e", "R", "V", "'", "'", "1", "7",
		"\xc2\xbd", " ", " ", "\t", "\n", "\r", "\xc2\xa0", "\xe3\x80\x80", ".", "_", "\xc3\xa9",
		"\xe4\xbd\xa0", "\xcc\x81", "\xc5\xbf", "\xe1\xa0\x8e", "\xf0\x9f\xa4\xa6", "\xe2\x80\x8d",
		"\xc2\x85", "\xd9\xa3"};
	size_t n = 0;
	for (uint64_t k = rng_below(r, 40); k; k--) {
		const char *s = part[rng_below(r, sizeof part / sizeof *part)];
		memcpy(out + n, s, strlen(s));
		n += strlen(s);
	}
	return n;
}

/* The scanners against PCRE2, which gets the same pattern in a form that they do not know. */
static void
test_scanners(void **state)
{
	(void)state;
	static const char *const pattern[] = {"'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| "
					      "?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|\\\\s+",
		"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}|"
		" ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+",
		"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}|"
		" ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"};
	struct rng r;
	struct buf by_hand = {0}, by_pcre = {0};
	rng_init(&r, 7, 0);
	for (size_t i = 0; i < 3; i++) {
		static const char fmt[] =
			"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s%s%s\"},\"behavior\":\"Isolated\"}";
		char *hand = xasprintf(fmt, "", pattern[i], ""),
		     *pcre = xasprintf(fmt, "(?:", pattern[i], ")");
		for (int k = 0; k < 1500; k++) {
			char text[256];
			size_t n = random_text(&r, text);
			cut(hand, text, n, true, &by_hand);
			cut(pcre, text, n, true, &by_pcre);
			if (by_hand.len != by_pcre.len || memcmp(by_hand.data, by_pcre.data, by_hand.len))
				fail_msg("pattern %zu: '%.*s' is cut '%s' by hand and '%s' by PCRE2", i,
					(int)n, text, by_hand.data, by_pcre.data);
		}
		free(hand);
		free(pcre);
	}
	buf_release(&by_hand);
	buf_release(&by_pcre);
}

/* A pattern that would go on for ages gives up; a long text alone is no reason to. */
static void
test_limits(void **state)
{
	(void)state;
	enum { N = 1 << 20 };
	struct err e = {0};
	struct matcher *m = matcher_new();
	struct matches it;
	size_t start, end;
	json_t *j = parse("{\"Regex\":\"(?:a|aa)+$\"}");
	struct pattern *p = pattern_load(j, "test", &e);
	assert_non_null(p);
	matches_start(&it, p, m, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 58);
	assert_int_equal(matches_next(&it, &start, &end, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	pattern_free(p);
	json_decref(j);

	char *spaces = xmalloc(N);
	memset(spaces, ' ', N);
	spaces[N - 1] = 'x';
	j = parse("{\"Regex\":\"\\\\s+(?!\\\\S)|\\\\s+\"}");
	p = pattern_load(j, "test", &e);
	assert_non_null(p);
	matches_start(&it, p, m, spaces, N);
	assert_int_equal(matches_next(&it, &start, &end, &e), 1);
	assert_int_equal(end, N - 2);
	pattern_free(p);
	json_decref(j);
	matcher_free(m);
	free(spaces);
}

/* ---- decoders ---- */

/* `tokens` are separated by bars. */
static void
decodes(const char *json, const char *tokens, const char *want)
{
	struct err e = {0};
	struct strings list = {0};
	struct buf out = {0};
	json_t *j = parse(json);
	struct decoder *d = decoder_load(j, &e);
	if (!d)
		fail_msg("%s", e.msg);
	for (const char *p = tokens; *p; p += strcspn(p, "|"), p += *p == '|')
		strings_add(&list, p, strcspn(p, "|"));
	decoder_apply(d, &list, &out);
	if (out.len != strlen(want) || (out.len && memcmp(out.data, want, out.len)))
		fail_msg("%s: '%s' became '%s', not '%s'", json, tokens, out.data, want);
	strings_release(&list);
	buf_release(&out);
	decoder_free(d);
	json_decref(j);
}

#define FFFD "\xef\xbf\xbd"

static void
test_decoders(void **state)
{
	(void)state;
	decodes("null", "a|b|c", "a b c");
	decodes("null", "", "");
	decodes("{\"type\":\"ByteLevel\"}", "It|'s|\xc4\xa0\xc3\x83|\xc2\xa9", "It's \xc3\xa9");
	/* A token that is no byte's spelling stands for itself; a maximal part of a character is one
	 * U+FFFD. */
	decodes("{\"type\":\"ByteLevel\"}", "\xc4\xa0|a b|\xe4\xbd\xa0", " a b\xe4\xbd\xa0");
	decodes("{\"type\":\"ByteLevel\"}", "\xc3\xb0\xc5\x81|x", FFFD "x");
	decodes("{\"type\":\"ByteFallback\"}", "<0xE4>|<0xbd>|<0xA0>|x|<0xE4>|<0xBD>|<0xG1>",
		"\xe4\xbd\xa0x" FFFD FFFD "<0xG1>");
	decodes("{\"type\":\"Fuse\"}", "a|b", "ab");
	decodes("{\"type\":\"Strip\",\"content\":\"_\",\"start\":1,\"stop\":2}", "__a|b___|_", "_ab_");
	decodes("{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\" \"}", "_a|_b_", " a b ");
	decodes("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"^a+\"},\"content\":\"\"}", "aab|ba", "bba");
	decodes(META("\"prepend_scheme\":\"always\""), "_a|_b", "a b");
	decodes(META("\"prepend_scheme\":\"never\""), "_a|_b", " a b");
	decodes("{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}", "He|llo</w>|you</w>", "Hello you");
	decodes("{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},"
		"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
		"{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}", "_a|_b|<0x21>", "a b!");
}

static void
test_bad_bytes(void **state)
{
	(void)state;
	struct buf b = {0};
	uni_append_lossy(&b, "\xf0\x9f\xa4x\xe4\xbd\xff\xc3", 8);
	assert_string_equal(b.data, FFFD "x" FFFD FFFD FFFD);
	buf_clear(&b);
	uni_append_lossy(&b, "\xed\xa0\x80\xf4\x90\xc0\x80", 7);
	assert_string_equal(b.data, FFFD FFFD FFFD FFFD FFFD FFFD FFFD);
	buf_release(&b);
	assert_int_equal(uni_check("ab\xc3\xa9\xe4\xbd\xa0\xf0\x9f\xa4\xa6", 11), 11);
	assert_int_equal(uni_check("12345678\xc0\xaf", 10), 8);
	assert_int_equal(uni_check("1234567\xe4\xbd", 9), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normal_forms),
		cmocka_unit_test(test_many_marks),
		cmocka_unit_test(test_other_normalizers),
		cmocka_unit_test(test_split_behaviors),
		cmocka_unit_test(test_class_splits),
		cmocka_unit_test(test_metaspace),
		cmocka_unit_test(test_byte_level),
		cmocka_unit_test(test_scanners),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_decoders),
		cmocka_unit_test(test_bad_bytes),
	};
	uni_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

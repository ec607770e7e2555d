/* From a JSON line to ids and targets, with a tokenizer that knows one token a character: its ids are readable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "text/records.h"

enum { BOS = 1, EOS = 2, START = 3, END = 4 };

static char dir[] = "/tmp/hone-test-record-XXXXXX";
static struct tokenizer *tokenizer;
static struct template chatml;

/* ASCII from "!" on, then byte-level BPE's signs for space and line feed, then one merge. */
static void
write_tokenizer(void)
{
	struct buf b = {0};
	struct err e;
	static const char *const special[] = {"<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"};
	buf_puts(&b, "{\"added_tokens\":[");
	for (int i = 0; i < 5; i++)
		buf_printf(&b, "%s{\"id\":%d,\"content\":\"%s\",\"special\":true,\"single_word\":false,\"lstrip\":false,"
			"\"rstrip\":false,\"normalized\":false}", i ? "," : "", i, special[i]);
	buf_puts(&b, "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
		"\"trim_offsets\":true,\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"},\"post_processor\":{"
		"\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
		"{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
		"{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],"
		"\"tokens\":[\"<s>\"]}}},\"model\":{\"type\":\"BPE\",\"merges\":[\"\\u010a X\"],\"vocab\":{");
	for (int i = 0; i < 5; i++)
		buf_printf(&b, "\"%s\":%d,", special[i], i);
	for (int c = '!'; c <= '~'; c++)
		buf_printf(&b, "\"%s%c\":%d,", c == '"' || c == '\\' ? "\\" : "", c, c);
	buf_puts(&b, "\"\\u0120\":32,\"\\u010a\":10,\"\\u010aX\":200}}}");
	char *path = path_join(dir, "tokenizer.json"), *config = path_join(dir, "tokenizer_config.json");
	static const char text[] = "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"}}";
	assert_int_equal(file_write(path, false, b.data, b.len, &e), 0);
	assert_int_equal(file_write(config, false, text, strlen(text), &e), 0);
	buf_release(&b);
	free(path);
	free(config);
}

static int
setup(void **state)
{
	struct err e;
	(void)state;
	assert_non_null(mkdtemp(dir));
	write_tokenizer();
	tokenizer = tokenizer_open(dir, &e);
	if (!tokenizer || template_open(&chatml, dir, "chatml", &e) < 0)
		fail_msg("%s", e.msg);
	return 0;
}

static int
teardown(void **state)
{
	struct err e;
	(void)state;
	template_close(&chatml);
	tokenizer_free(tokenizer);
	return path_remove(dir, &e);
}

static struct record_options
defaults(void)
{
	return (struct record_options){.train_on = TRAIN_ON_ASSISTANT, .tokenizer = tokenizer, .template = &chatml};
}

/* An example as text: characters as they are, special tokens as ^ $ [ ], the merged token as *, targets in upper-case
 * brackets { }, weights other than 0 and 1 before the brace; then "@completion" and ":label". */
static void
show(const struct example *x, struct buf *b)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < x->n_spans; i++) {
		float w = x->spans[i].weight;
		if (w > 0 && w != 1)
			buf_printf(b, "%g", (double)w);
		buf_puts(b, w > 0 ? "{" : "");
		for (uint32_t end = at + x->spans[i].n; at < end; at++) {
			int32_t id = x->ids[at];
			static const char special[] = "_^$[]";
			buf_putc(b, id < 5 ? special[id] : id == 200 ? '*' : id == '\n' ? '/' : (char)id);
		}
		buf_puts(b, w > 0 ? "}" : "");
	}
	assert_int_equal(at, x->n);
	buf_printf(b, "@%u", x->completion);
	if (x->label)
		buf_printf(b, ":%.*s", (int)x->label_len, x->label);
}

static int
parse(const struct record_options *opt, const char *line, struct buf *b, struct err *e)
{
	struct record_maker *m = record_maker_new(opt, e);
	struct example x;
	if (!m)
		return -1;
	int rc = record_parse(m, line, strlen(line), 7, &x, e);
	if (rc == RECORD_WHOLE || rc == RECORD_CUT)
		show(&x, b);
	if (rc == RECORD_DROPPED || rc == RECORD_UNTRAINABLE)
		buf_puts(b, rc == RECORD_DROPPED ? "dropped" : "nothing");
	record_maker_free(m);
	return rc;
}

static void
check(struct record_options opt, const char *line, const char *want)
{
	struct buf b = {0};
	struct err e;
	if (parse(&opt, line, &b, &e) < 0)
		fail_msg("%s: %s", line, e.msg);
	assert_string_equal(b.data, want);
	buf_release(&b);
}

static void
check_error(struct record_options opt, const char *line, int code, const char *want)
{
	struct buf b = {0};
	struct err e;
	if (parse(&opt, line, &b, &e) >= 0)
		fail_msg("%s: no error but %s", line, b.data);
	if (e.code != code || !strstr(e.msg, want))
		fail_msg("%s: code %d, '%s'; wanted '%s'", line, e.code, e.msg, want);
	buf_release(&b);
}

static void
test_forms(void **state)
{
	(void)state;
	struct record_options o = defaults();
	check(o, "{\"prompt\":\"a\\n\",\"completion\":\"Xb\"}", "^a/{Xb$}@3:Xb");  /* apart: no merge across */
	check(o, "{\"text\":\"a\\nX\"}", "{^a*$}@0");
	check(o, "{\"text\":\"good\",\"label\":\"1\"}", "^good//###//{1$}@12:1");
	check(o, "{\"text\":\"good\",\"label\":1}", "^good//###//{1$}@12:1");
	check(o, "{\"prompt\":\"a\",\"completion\":\" b \"}", "^a{ b $}@2:b");
	check(o, "{\"prompt\":\"a\",\"completion\":\"b\\nc\"}", "^a{b/c$}@2");
	check(o, "{\"prompt\":\"\",\"completion\":\"b</s>\"}", "^{b$}@1:b</s>");  /* no second EOS */
	check(o, "{\"instruction\":\"I\",\"input\":\"\",\"output\":\"O\"}",
		"^Below is an instruction that describes a task. Write a response that appropriately completes the "
		"request.//### Instruction:/I//### Response:{O$}@141");
	check(o, "{\"instruction\":\"I\",\"input\":\"P\",\"output\":\"O\"}",
		"^Below is an instruction that describes a task, paired with an input that provides further context. Write a "
		"response that appropriately completes the request.//### Instruction:/I//### Input:/P//### Response:{O$}@207");
}

static void
test_options(void **state)
{
	(void)state;
	struct record_options o = defaults();
	static const char line[] = "{\"prompt\":\"ab\",\"completion\":\"c\"}";
	o.prompt_loss_weight = 0.5;
	check(o, line, "0.5{^ab}{c$}@3:c");
	o.no_eos = true;
	check(o, line, "0.5{^ab}{c}@3:c");
	o = defaults();
	o.no_special = true;
	check(o, line, "ab{c}@2:c");
	check(o, "{\"text\":\"\"}", "nothing");
	o.allow_empty = true;
	check(o, "{\"text\":\"\"}", "@0");
	o = defaults();
	o.train_on = TRAIN_ON_ALL;
	check(o, line, "{^ab}{c$}@3:c");
}

static void
test_chat(void **state)
{
	(void)state;
	struct record_options o = defaults();
	static const char two[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
		"\"a\"},{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"Xb\"}]}";
	check(o, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}",
		"[user/q]/[assistant/{a]}/@20");
	/* "\nX" would be one token of the whole text: context and turn are taken apart */
	check(o, two, "[user/q]/[assistant/{a]}/[user/r]/[assistant/{Xb]}/@0");
	o.train_on = TRAIN_ON_COMPLETION;
	check(o, two, "[user/q]/[assistant/a]/[user/r]/[assistant/{Xb]}/@0");
	o.train_on = TRAIN_ON_ALL;
	check(o, two, "{[user/q]/[assistant/a]/[user/r]/[assistant*b]/}@0");
	o.train_on = TRAIN_ON_ASSISTANT;
	check(o, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\",\"weight\":0},"
		"{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":1}]}",
		"[user/q]/[assistant/a]/[user/r]/[assistant/{b]}/@0");
	/* an end-of-turn token within the content does not end the turn */
	check(o, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a<|im_end|>b\"}]}",
		"[user/q]/[assistant/{a]b]}/@20");
}

static void
test_length(void **state)
{
	(void)state;
	struct record_options o = defaults();
	static const char line[] = "{\"prompt\":\"abcdef\",\"completion\":\"xy\"}";
	o.max_length = 7;
	check_error(o, line, ERR_DATA, "line 7: has 10 tokens, more than 7");
	o.overlong = OVERLONG_DROP;
	check(o, line, "dropped");
	o.overlong = OVERLONG_TRUNCATE;
	check(o, line, "^def{xy$}@4:xy");
	check(o, "{\"text\":\"abcdefgh\"}", "{^abcdef}@0");
	o.max_length = 3;
	check_error(o, line, ERR_DATA, "the completion alone has 3 tokens");
	o.max_length = 4;
	check(o, line, "^{xy$}@1:xy");
	o.overlong = OVERLONG_SPLIT;
	check_error(o, line, ERR_USAGE, "only text records can be split");
}

static void
test_errors(void **state)
{
	(void)state;
	struct record_options o = defaults();
	check_error(o, "{\"foo\":1}", ERR_DATA, "line 7: no known form");
	check_error(o, "[1]", ERR_DATA, "line 7: not a JSON object");
	check_error(o, "{\"text\":\"a\",\"text\":\"b\"}", ERR_DATA, "line 7: column 18: duplicate object key");
	check_error(o, "{\"text\":\"\\ud800\"}", ERR_DATA, "line 7: column");
	check_error(o, "{\"text\":1}", ERR_DATA, "'text' is a number, a string is wanted");
	check_error(o, "{\"messages\":[]}", ERR_DATA, "'messages' is not a list with messages");
	check_error(o, "{\"messages\":[{\"content\":\"q\"}]}", ERR_DATA, "message 1 has no 'role'");
	check_error(o, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}", ERR_DATA, "no message is the assistant's");
	check_error(o, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"q\",\"weight\":-1}]}", ERR_DATA, "'weight'");
	check(o, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"q\",\"weight\":0}]}", "nothing");
	o.format = RECORD_COMPLETION;
	check_error(o, "{\"text\":\"a\"}", ERR_DATA, "'prompt' is missing from this completion record");
	struct template none = {0};
	o = defaults();
	o.template = &none;
	check_error(o, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"q\"}]}", ERR_CONFIG, "no chat template");
}

static void
test_prompt(void **state)
{
	(void)state;
	static const struct {
		const char *line, *want;
	} cases[] = {
		{"{\"prompt\":\"ab\"}", "^ab"}, {"{\"text\":\"ab\"}", "^ab"}, {"{\"prompt\":\"ab\",\"completion\":\"c\"}", "^ab"},
		{"{\"text\":\"ab\",\"label\":\"c\"}", "^ab//###//"},
		{"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}", "[user/q]/[assistant/"},
		{"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}",
			"[user/q]/[assistant/"},
	};
	struct record_options o = defaults();
	struct err e;
	struct record_maker *m = record_maker_new(&o, &e);
	assert_non_null(m);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct example x = {0};
		struct buf b = {0};
		size_t n;
		assert_int_equal(record_prompt(m, cases[i].line, strlen(cases[i].line), 1, &x.ids, &n, &e), 0);
		x.n = (uint32_t)n;
		x.spans = &(struct span){x.n, 0};
		x.n_spans = 1;
		show(&x, &b);
		b.data[b.len - 2] = '\0';  /* "@0" */
		assert_string_equal(b.data, cases[i].want);
		buf_release(&b);
	}
	record_maker_free(m);
}

/* ---- the pipeline ---- */

static int
collect(void *arg, const struct example *x, const struct records_counts *so_far, struct err *e)
{
	(void)so_far, (void)e;
	show(x, arg);
	buf_putc(arg, '\n');
	return 0;
}

static char *
write_lines(const char *text)
{
	char *path = path_join(dir, "lines.jsonl");
	struct err e;
	assert_int_equal(file_write(path, true, text, strlen(text), &e), 0);
	return path;
}

static void
test_pipeline(void **state)
{
	(void)state;
	char *path = write_lines("\xef\xbb\xbf{\"text\":\"a\"}\r\n\n  \r\n{\"text\":1}\n{\"text\":\"bcdefg\"}\n{\"text\":\"h\"}");
	struct buf b = {0};
	struct records_sink sink = {collect, NULL, &b};
	struct records_counts c;
	struct record_options o = defaults();
	struct err e;
	const char *const files[] = {path};
	o.max_length = 3;
	o.overlong = OVERLONG_SPLIT;
	assert_int_equal(records_tokenize(files, 1, &o, true, 2, &sink, &c, &e), 0);
	assert_string_equal(b.data, "{^a$}@0\n{^bc}@0\n{def}@0\n{g$}@0\n{^h$}@0\n");
	assert_int_equal(o.format, RECORD_TEXT);
	assert_int_equal(c.records, 5);
	assert_int_equal(c.skipped, 1);
	assert_int_equal(c.split, 1);
	assert_int_equal(records_tokenize(files, 1, &o, false, 2, &sink, &c, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	assert_non_null(strstr(e.msg, "lines.jsonl': line 4: 'text' is a number"));
	buf_release(&b);
	free(path);
}

/* Whatever the number of threads, the examples come in the order of the lines. */
static void
test_order(void **state)
{
	(void)state;
	struct buf text = {0}, want = {0};
	for (int i = 0; i < 5000; i++) {
		buf_printf(&text, "{\"text\":\"%d\"}\n", i);
		buf_printf(&want, "{^%d$}@0\n", i);
	}
	char *path = write_lines(text.data);
	for (int threads = 1; threads <= 4; threads++) {
		struct buf b = {0};
		struct records_sink sink = {collect, NULL, &b};
		struct records_counts c;
		struct record_options o = defaults();
		struct err e;
		assert_int_equal(records_tokenize((const char *const[]){path}, 1, &o, false, threads, &sink, &c, &e), 0);
		assert_string_equal(b.data, want.data);
		buf_release(&b);
	}
	buf_release(&text);
	buf_release(&want);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms), cmocka_unit_test(test_options), cmocka_unit_test(test_chat),
		cmocka_unit_test(test_length), cmocka_unit_test(test_errors), cmocka_unit_test(test_prompt),
		cmocka_unit_test(test_pipeline), cmocka_unit_test(test_order),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

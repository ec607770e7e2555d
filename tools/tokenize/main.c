/* hone-tokenize: JSON lines to a token stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/model_path.h"
#include "base/opt.h"
#include "base/progress.h"
#include "base/provenance.h"
#include "fmt/tokens.h"
#include "text/records.h"
#include "show.h"

static const char *model, *template_name, *format = "auto", *train_on = "assistant", *overlong = "error";
static const char *on_error = "fail", *output = "-";
static double prompt_loss_weight;
static int max_length, head;
static bool jsonl, show, force, add_eos = true, add_special = true;

static const struct opt options[] = {
	{OPT_STRING, 'm', "model", &model, "MODEL",
		"model directory, tokenizer.json, or name in the Hub cache", 0, 0, NULL},
	{OPT_STRING, 'o', "output", &output, "FILE", "where the token stream goes", 0, 0, NULL},
	{OPT_FLAG, 0, "force", &force, NULL, "replace an existing FILE", 0, 0, NULL},
	{OPT_FLAG, 0, "jsonl", &jsonl, NULL, "write JSON lines instead of the binary stream", 0, 0, NULL},
	{OPT_FLAG, 0, "show", &show, NULL, "print records for a person: tokens, their borders, the targets", 0, 0, NULL},
	{OPT_INT, 'n', "head", &head, "N", "only the first N examples (0: all)", 0, 1 << 30, NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Records:", 0, 0, NULL},
	{OPT_ENUM, 0, "format", &format, "auto|chat|sharegpt|completion|alpaca|text|classification",
		"form of the records; auto: by the first one", 0, 0, NULL},
	{OPT_STRING, 0, "template", &template_name, "NAME", "chat template: built in, the model's, or a file",
		0, 0, NULL},
	{OPT_ENUM, 0, "on-error", &on_error, "fail|skip", "what to do with a wrong record", 0, 0, NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Targets:", 0, 0, NULL},
	{OPT_ENUM, 0, "train-on", &train_on, "completion|assistant|all",
		"the last answer of a conversation, every answer, or every token", 0, 0, NULL},
	{OPT_DOUBLE, 0, "prompt-loss-weight", &prompt_loss_weight, "W", "loss weight of prompts", 0, 1e6,
		NULL},
	{OPT_FLAG, 0, "eos", &add_eos, NULL, "end-of-text token behind completions and texts", 0, 0, NULL},
	{OPT_FLAG, 0, "special", &add_special, NULL, "BOS and EOS; without, the bare ids of the text", 0, 0,
		NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Length:", 0, 0, NULL},
	{OPT_INT, 0, "max-length", &max_length, "N", "most tokens of an example (0: no limit)", 0, 1 << 24,
		NULL},
	{OPT_ENUM, 0, "overlong", &overlong, "error|drop|truncate|split", "what to do with longer ones", 0, 0,
		NULL},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-tokenize",
	.operands = "[FILE...]",
	.summary = "Turns records of training data in JSON into a stream of token ids and targets, for hone-pack.",
	.epilog = "Records are {\"messages\"}, {\"conversations\"}, {\"prompt\", \"completion\"}, {\"input\", "
		  "\"target\"},\n"
		  "{\"instruction\", \"input\", \"output\"}, {\"text\"} or {\"text\", \"label\"}; see hone-tokenize(1).\n"
		  "\n"
		  "  hone-tokenize -m model train.jsonl | hone-pack -o train/\n"
		  "  hone-tokenize -m model --show -n 3 train.jsonl\n",
	.opts = options,
	.min_operands = 0,
	.max_operands = -1,
};

/* ---- the stream, created with the first example: only then is the format known ---- */

struct stream {
	struct out out;
	struct tokens_writer *writer;
	json_t *header;
	const struct record_options *records;
	const struct opt_list *files;
	struct progress progress;
	uint64_t bytes;  /* in all files; 0: not known */
	struct show *show;
};

/* Hashing the files takes a hundredth of the time that tokenising does. */
static json_t *
provenance(const struct stream *s, struct err *e)
{
	json_t *p = provenance_new(opt_settings(&spec));
	provenance_add(p, "tokenizer", model, tokenizer_fingerprint(s->records->tokenizer));
	for (size_t i = 0; i < s->files->n; i++)
		if (provenance_add_file(p, "records", s->files->item[i], e) < 0) {
			json_decref(p);
			return NULL;
		}
	return p;
}

static json_t *
make_header(const struct stream *s, struct err *e)
{
	json_t *from = provenance(s, e);
	if (!from)
		return NULL;
	const struct tokenizer *t = s->records->tokenizer;
	const char *name = record_format_is_chat(s->records->format) ? s->records->template->name : NULL;
	json_t *source = json_array();
	for (size_t i = 0; i < s->files->n; i++)
		json_array_append_new(source, json_string(s->files->item[i]));
	json_t *header = json_pack("{s:s, s:I, s:o, s:o, s:s?, s:s, s:o}", "tokenizer", tokenizer_fingerprint(t),
		"vocab_size", (json_int_t)tokenizer_vocab_size(t), "eos_token_id",
		tokenizer_eos(t) >= 0 ? json_integer(tokenizer_eos(t)) : json_null(), "source", source,
		"template", name, "format", record_format_name(s->records->format), "provenance",
		from);
	if (!header)
		err_set(e, ERR_USAGE, "a file's name is not UTF-8");
	return header;
}

static int
start_stream(struct stream *s, struct err *e)
{
	s->header = make_header(s, e);
	if (!s->header)
		return -1;
	s->writer = tokens_create(&s->out, s->header, jsonl);
	return 0;
}

static int
write_example(void *arg, const struct example *x, const struct records_counts *so_far, struct err *e)
{
	struct stream *s = arg;
	if (s->show) {
		show_example(s->show, x, so_far->file, so_far->records);
	} else {
		if (!s->writer && start_stream(s, e) < 0)
			return -1;
		tokens_write(s->writer, x);
	}
	progress_share(&s->progress, so_far->records, s->bytes ? (double)so_far->bytes / (double)s->bytes : 0);
	if (out_check(&s->out, e) < 0)
		return -1;
	return head && so_far->records >= (uint64_t)head;
}

enum { SKIPS_TOLD = 20 };

static unsigned skips;

static void
tell_skipped(void *arg, const struct err *why)
{
	(void)arg;
	if (++skips <= SKIPS_TOLD || log_level > 1)
		log_warn("skipped: %s", why->msg);
	if (skips == SKIPS_TOLD && log_level == 1)
		log_warn("further records that are skipped are only counted; -v names them all");
}

/* ---- options ---- */

static void
check_options(void)
{
	if (!model)
		die_usage("--model is missing: the tokenizer's directory");
	if (jsonl && show)
		die_usage("--show and --jsonl exclude each other");
	if (!jsonl && !show && strcmp(output, "-") == 0 && isatty(STDOUT_FILENO))
		die_usage("the token stream is binary and stdout is a terminal; pipe it, or give -o FILE, "
			  "--jsonl or --show");
	if (strcmp(overlong, "split") == 0 && record_format_named(format) > RECORD_AUTO &&
		record_format_named(format) != RECORD_TEXT)
		die_usage("--overlong split is for --format text only");
}

static struct record_options
record_settings(void)
{
	return (struct record_options){
		.format = (enum record_format)record_format_named(format),
		.train_on = (enum record_train_on)record_train_on_named(train_on),
		.overlong = (enum record_overlong)record_overlong_named(overlong),
		.prompt_loss_weight = prompt_loss_weight,
		.max_length = (uint32_t)max_length,
		.no_eos = !add_eos,
		.no_special = !add_special,
		.allow_empty = !add_special && jsonl,
	};
}

/* What was taken, what was not, and what is odd about it. */
static void
report(const struct records_counts *c, enum record_format f)
{
	struct buf complaint = {0};
	for (unsigned i = 0; i < RECORDS_COMPLAINTS; i++)
		if (records_complaint(c, i, &complaint))
			log_warn("%s", complaint.data);
	buf_release(&complaint);
	if (c->keys)
		log_note("read as --format %s, by %s in the first record", record_format_name(f), c->keys);
	char extra[256] = "";
	size_t n = 0;
	const struct {
		uint64_t count;
		const char *what;
	} rest[] = {{c->dropped, "dropped"}, {c->truncated, "truncated"}, {c->split, "split"},
		{c->skipped, "skipped"}, {c->untrainable.n, "left out without a target"}};
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		if (rest[i].count)
			n += (size_t)snprintf(extra + n, sizeof extra - n, ", %llu %s",
				(unsigned long long)rest[i].count, rest[i].what);
	log_note("%llu records, %llu tokens, %llu targets%s", (unsigned long long)c->records,
		(unsigned long long)c->tokens, (unsigned long long)c->targets, extra);
}

/* ---- running ---- */

static void
tokenize(struct record_options *opt, const struct opt_list *files)
{
	struct stream s = {.records = opt, .files = files};
	bool on_terminal = strcmp(output, "-") == 0 && isatty(STDOUT_FILENO);
	struct records_sink sink = {write_example, tell_skipped, &s};
	struct records_counts counts;
	struct tokens_counts written;
	struct err e;
	for (size_t i = 0; i < files->n; i++)
		if (out_check_input(output, files->item[i], &e) < 0)
			die(&e);
	if (out_check_input(output, path_is_dir(model) ? NULL : model, &e) < 0 || out_open(&s.out, output, force, &e) < 0)
		die(&e);
	if (show && !(s.show = show_new(&s.out, opt->tokenizer, on_terminal, &e)))
		die(&e);
	progress_start(&s.progress, "tokenizing", "records", 0);
	s.bytes = in_size(files->item, files->n);
	s.progress.on = s.progress.on && !(show && on_terminal);
	int rc = records_tokenize(
		files->item, files->n, opt, strcmp(on_error, "skip") == 0, opt_threads, &sink, &counts, &e);
	progress_end(&s.progress);
	if (rc >= 0 && !show && !s.writer)
		rc = start_stream(&s, &e);
	if (rc < 0) {
		if (s.writer)
			tokens_abort(s.writer);
		out_abort(&s.out);
		die(&e);
	}
	show_free(s.show);
	if (!show)
		tokens_finish(s.writer, &written);
	if (out_commit(&s.out, &e) < 0)
		die(&e);
	json_decref(s.header);
	report(&counts, opt->format);
}

int
main(int argc, char **argv)
{
	struct opt_list files;
	struct err e;
	opt_parse(&spec, argc, argv, &files);
	check_options();
	if (files.n == 0)
		opt_list_add(&files, "-");
	char *path = model_path(model, &e);
	struct tokenizer *tokenizer = path ? tokenizer_open(path, &e) : NULL;
	struct template template;
	if (!tokenizer || template_open(&template, path, template_name, &e) < 0)
		die(&e);
	if (tokenizer_ignored(tokenizer))
		log_note("%s of tokenizer.json: ignored", tokenizer_ignored(tokenizer));
	struct record_options opt = record_settings();
	opt.tokenizer = tokenizer;
	opt.template = &template;
	tokenize(&opt, &files);
	template_close(&template);
	tokenizer_free(tokenizer);
	free(path);
	free(files.item);
	tool_exit(0);
}

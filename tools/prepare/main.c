/* hone-prepare: training data checked, repaired and split. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/provenance.h"
#include "prepare.h"
#include "text/unicode.h"

static struct options opt = {.format = "auto",
	.header = "auto",
	.quotes = "auto",
	.on_error = "fail",
	.dedup = true,
	.lower_case = "none",
	.strip_prefix = "none",
	.overlong = "keep"};

static const struct opt options[] = {
	{OPT_STRING, 'o', "output", &opt.output, "PREFIX|DIR", "where the files go; -: standard output", 0, 0, NULL},
	{OPT_STRING, 0, "report", &opt.report, "FILE", "write the report as JSON, too", 0, 0, NULL},
	{OPT_FLAG, 0, "check", &opt.check, NULL, "write nothing; status 1 tells that something would change", 0, 0,
		NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Reading:", 0, 0, NULL},
	{OPT_ENUM, 0, "format", &opt.format, "auto|csv|tsv|json|jsonl|txt", "auto: by the name", 0, 0, NULL},
	{OPT_LIST, 0, "columns", &opt.columns, "FIELD=COLUMN,...", "which column is the prompt, which the completion",
		0, 0, NULL},
	{OPT_ENUM, 0, "header", &opt.header, "auto|yes|no", "whether the first row has names", 0, 0, NULL},
	{OPT_ENUM, 0, "quotes", &opt.quotes, "auto|yes|no", "whether quotes enclose fields", 0, 0, NULL},
	{OPT_STRING, 0, "encoding", &opt.encoding, "NAME", "convert from this encoding to UTF-8", 0, 0, NULL},
	{OPT_ENUM, 0, "on-error", &opt.on_error, "fail|skip", "what becomes of rows that cannot be read", 0, 0, NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Splitting:", 0, 0, NULL},
	{OPT_DOUBLE, 0, "validation", &opt.validation, "FRACTION", "put this share of each class aside", 0, 0.999,
		NULL},
	{OPT_STRING, 0, "validation-file", &opt.validation_file, "FILE", "validation data, prepared likewise", 0, 0,
		NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Repairs:", 0, 0, NULL},
	{OPT_FLAG, 0, "dedup", &opt.dedup, NULL, "leave out duplicates and leaked rows", 0, 0, NULL},
	{OPT_INT, 0, "min-chars", &opt.min_chars, "N", "leave out prompts and texts with fewer characters", 0, 1 << 20,
		NULL},
	{OPT_ENUM, 0, "lower-case", &opt.lower_case, "none|prompt|completion|both", "lower capitals", 0, 0, NULL},
	{OPT_ENUM, 0, "strip-prefix", &opt.strip_prefix, "none|prompt|completion|both", "take off what all begin with",
		0, 0, NULL},
	{OPT_STRING, 0, "separator", &opt.separator, "TEXT", "append to prompts that do not end with it", 0, 0, NULL},
	{OPT_FLAG, 0, "completion-space", &opt.completion_space, NULL, "put a space before completions", 0, 0, NULL},
	{OPT_STRING, 0, "ending", &opt.ending, "TEXT", "append to completions that do not end with it", 0, 0, NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Tokens:", 0, 0, NULL},
	{OPT_STRING, 'm', "model", &opt.model, "MODEL", "count tokens as this model does", 0, 0, NULL},
	{OPT_STRING, 0, "template", &opt.template_name, "NAME", "chat template: built in, the model's, or a file", 0, 0,
		NULL},
	{OPT_INT, 0, "max-length", &opt.max_length, "N", "most tokens of a row (0: no limit)", 0, 1 << 24, NULL},
	{OPT_ENUM, 0, "overlong", &opt.overlong, "keep|drop", "what becomes of longer ones", 0, 0, NULL},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-prepare",
	.operands = "FILE",
	.summary = "Checks training data, repairs what is safely repaired, and writes JSON lines for hone-tokenize.",
	.epilog = "Examples:\n"
		  "  hone-prepare data.csv --validation 0.1\n"
		  "  hone-prepare mail.tsv --columns prompt=2,completion=1 --separator '\\n\\n###\\n\\n'\n"
		  "  hone-prepare -m MODEL --max-length 1024 --check chat.jsonl\n",
	.opts = options,
	.min_operands = 1,
	.max_operands = 1,
};

static void
check_options(const char *file)
{
	bool to_stdout = opt.output && strcmp(opt.output, "-") == 0;
	bool report_to_stdout = opt.report && strcmp(opt.report, "-") == 0;
	if (opt.validation > 0 && opt.validation_file)
		die_usage("--validation and --validation-file exclude each other");
	if (opt.validation_file && strcmp(file, "-") == 0 && strcmp(opt.validation_file, "-") == 0)
		die_usage("only one of the files can be standard input");
	if (to_stdout && (opt.validation > 0 || opt.validation_file))
		die_usage("two parts cannot both go to standard output; -o names a prefix or a directory");
	if (to_stdout && report_to_stdout)
		die_usage("data and report cannot both go to standard output");
	if (opt.check && opt.output)
		die_usage("--check writes nothing, so -o has no use");
	if (opt.max_length > 0 && !opt.model)
		die_usage("--max-length counts tokens and needs --model");
	if (opt.template_name && !opt.model)
		die_usage("--template needs --model");
	if ((opt.separator && !*opt.separator) || (opt.ending && !*opt.ending))
		die_usage("--separator and --ending need a text");
}

/* ---- order of work ---- */

static int
load(struct data *d, const char *path, int file, struct err *e)
{
	struct input in;
	struct mapping m;
	int rc = input_open(&in, path, file, &opt, e);
	if (rc == 0 && (rc = columns_map(&m, &in, &opt, e)) == 0) {
		if (file == 0)
			d->form = m.form;
		rc = d->form == m.form ? rows_load(d, &in, file, &m, e)
				       : err_set(e, ERR_DATA, "'%s': has %s records, and the training file %s records",
						 in.name, form_name(m.form), form_name(d->form));
	}
	input_close(&in);
	return rc;
}

static void
part(struct data *d)
{
	split_group(d);
	if (opt.validation_file)
		split_leakage(d);
	classes_find(d);
	if (opt.validation > 0)
		split_parts(d);
	classes_report(d, opt.validation > 0 || opt.validation_file);
}

static int
prepare(struct data *d, const char *path, struct err *e)
{
	if (load(d, path, 0, e) < 0 || (opt.validation_file && load(d, opt.validation_file, 1, e) < 0))
		return -1;
	clean_empty(d);
	classes_task(d);
	if (clean_case(d, e) < 0 || affix_check(d, e) < 0)
		return -1;
	clean_near_empty(d);
	clean_duplicates(d);
	if (tokens_check(d, e) < 0)
		return -1;
	part(d);
	if (data_left(d) == 0)
		report_set(&d->report, CHECK_EXAMPLES, LEVEL_ERROR, NULL, "no row is left");
	return 0;
}

/* ---- what is told ---- */

static void
tell(const struct data *d, const char *name)
{
	if (log_level == 0)
		return;
	log_error("'%s': %s records", name, form_name(d->form));
	report_print(&d->report, true, stderr);
	classes_print(d, stderr);
}

static void
tell_outputs(const struct data *d)
{
	const json_t *list = json_object_get(d->report.more, "outputs"), *o;
	size_t i;
	json_array_foreach((json_t *)list, i, o)
		log_note("'%s': %lld rows written", json_string_value(json_object_get(o, "file")),
			(long long)json_integer_value(json_object_get(o, "rows")));
}

static json_t *
provenance(const char *path, struct err *e)
{
	json_t *p = provenance_new(opt_settings(&spec));
	if (provenance_add_file(p, "records", path, e) == 0 &&
		(!opt.validation_file || provenance_add_file(p, "validation", opt.validation_file, e) == 0))
		return p;
	json_decref(p);
	return NULL;
}

static int
write_report(struct out *out, struct data *d, const char *path, int status, struct err *e)
{
	json_t *more = d->report.more, *name = json_string(path), *from = name ? provenance(path, e) : NULL;
	if (!name)
		return err_set(e, ERR_USAGE, "the file's name is not UTF-8, as the report must be");
	if (!from) {
		json_decref(name);
		return -1;
	}
	json_object_set_new(more, "file", name);
	json_object_set_new(more, "form", json_string(form_name(d->form)));
	json_object_set_new(more, "classification", json_boolean(d->classification));
	json_object_set_new(more, "rows_left", json_integer((json_int_t)data_left(d)));
	json_object_set_new(more, "status", json_integer(status));
	json_object_set_new(more, "provenance", from);
	json_t *o = report_json(&d->report);
	json_seal(o);
	json_put(out, o, JSON_INDENT(2), "\n");
	json_decref(o);
	return 0;
}

/* The report tells the hashes of the parts, so it is held from before they are written until after. */
static int
write_all(const struct parts *p, struct data *d, const char *path, int status, struct err *e)
{
	struct out report;
	if (opt.report && out_open(&report, opt.report, true, e) < 0)
		return -1;
	int rc = status == 0 && !opt.check ? parts_write(p, d, e) : 0;
	if (!opt.report)
		return rc;
	if (rc == 0)
		rc = write_report(&report, d, path, status, e);
	if (rc == 0)
		return out_commit(&report, e);
	out_abort(&report);
	return rc;
}

int
main(int argc, char **argv)
{
	struct opt_list files;
	struct err e;
	struct parts parts = {{NULL, NULL}};
	struct data d = {.opt = &opt};
	opt_parse(&spec, argc, argv, &files);
	const char *path = files.item[0];
	check_options(path);
	uni_init();
	report_init(&d.report);
	buf_append(&d.store, "", 0);
	if (parts_init(&parts, path, &opt, &e) < 0 || prepare(&d, path, &e) < 0) {
		if (e.code == ERR_USAGE)
			die_usage("%s", e.msg);
		die(&e);
	}
	enum level most = report_level(&d.report);
	int status = most == LEVEL_ERROR ? ERR_DATA : opt.check && most == LEVEL_REPAIRED ? ERR_NO : 0;
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	tell(&d, name);
	if (write_all(&parts, &d, path, status, &e) < 0)
		die(&e);
	tell_outputs(&d);
	if (status == ERR_NO)
		log_note("something has to be changed");
	if (status == ERR_DATA) {
		report_first_error(&d.report, name, &e);
		die(&e);
	}
	parts_release(&parts);
	data_release(&d);
	free(files.item);
	tool_exit(status);
}

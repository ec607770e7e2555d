#include <stdio.h>

#include "base/log.h"
#include "base/progress.h"
#include "fmt/dataset.h"
#include "fmt/fit.h"
#include "pack.h"

static struct pack_options opt = {.overlong = "error", .shard_size = 256 << 20, .level = 3};
static const char *info, *cat, *verify;
static bool json;
static bool given_overlong, given_validation;

static const struct opt options[] = {
	{OPT_SECTION, 0, NULL, NULL, NULL, "Packing:", 0, 0, NULL},
	{OPT_STRING, 'o', "output", &opt.output, "DATASET", "the dataset (a directory) to make", 0, 0, NULL},
	{OPT_INT, 0, "context", &opt.context, "N", "tokens that an example may have (0: any number)", 0,
		EXAMPLE_MAX_TOKENS, NULL},
	{OPT_ENUM, 0, "overlong", &opt.overlong, FIT_POLICIES, "what becomes of longer ones", 0, 0, &given_overlong},
	{OPT_FLAG, 0, "dedup", &opt.dedup, NULL, "leave out rows whose tokens and targets were there before", 0, 0,
		NULL},
	{OPT_DOUBLE, 0, "validation", &opt.validation, "FRACTION", "put this share of the rows aside", 1e-9,
		0.999999999, &given_validation},
	{OPT_STRING, 0, "validation-output", &opt.validation_output, "DATASET", "the dataset they go to", 0, 0, NULL},
	{OPT_SIZE, 0, "shard-size", &opt.shard_size, "BYTES", "start a new shard beyond this size", 0, 0, NULL},
	{OPT_INT, 0, "level", &opt.level, "N", "zstd compression level", 1, 22, NULL},
	{OPT_FLAG, 0, "allow-empty", &opt.allow_empty, NULL, "a dataset without examples is no error", 0, 0, NULL},
	{OPT_FLAG, 0, "force", &opt.force, NULL, "replace an existing dataset", 0, 0, NULL},
	{OPT_SECTION, 0, NULL, NULL, NULL, "Looking into a dataset:", 0, 0, NULL},
	{OPT_STRING, 0, "info", &info, "DATASET", "print what it holds", 0, 0, NULL},
	{OPT_FLAG, 0, "json", &json, NULL, "with --info: as a JSON object", 0, 0, NULL},
	{OPT_STRING, 0, "cat", &cat, "DATASET", "print its examples as JSON lines", 0, 0, NULL},
	{OPT_STRING, 0, "verify", &verify, "DATASET", "check every byte; status 1 tells a difference", 0, 0, NULL},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-pack",
	.operands = "[STREAM...]",
	.summary = "Makes a dataset of token streams (hone-tokenize, or JSON lines with input_ids and labels).",
	.epilog = "Examples:\n"
		  "  hone-tokenize -m MODEL train.jsonl | hone-pack -o train\n"
		  "  hone-pack -o train --validation 0.1 --validation-output valid --context 1024 x.tok\n"
		  "  hone-pack --cat train | jq -c .labels | head\n",
	.opts = options,
	.max_operands = -1,
};

static void
check_options(const struct opt_list *streams)
{
	int actions = (opt.output != NULL) + (info != NULL) + (cat != NULL) + (verify != NULL);
	if (actions == 0)
		die_usage("-o DATASET is missing: where the dataset goes (or --info, --cat or --verify)");
	if (actions > 1)
		die_usage("--output, --info, --cat and --verify exclude each other");
	if (!opt.output && streams->n)
		die_usage("'%s' is one argument too many", streams->item[0]);
	if (json && !info)
		die_usage("--json goes with --info");
	if (given_validation != (opt.validation_output != NULL))
		die_usage("--validation and --validation-output need each other");
	if (!opt.output && opt.validation_output)
		die_usage("--validation-output goes with --output");
	if (given_overlong && opt.context == 0)
		die_usage("--overlong needs --context");
	if (opt.shard_size == 0)
		die_usage("--shard-size: 0 is too small");
}

static int
pack(const struct opt_list *streams, struct err *e)
{
	if (pack_check_paths(&opt, streams, e) < 0)
		return -1;
	return pack_run(&opt, streams, e);
}

static int
verify_dataset(struct err *e)
{
	struct progress p;
	const struct watch watch = {progress_told, &p};
	progress_start(&p, "verifying", "examples", 0);
	int rc = dataset_verify(verify, &watch, e);
	progress_end(&p);
	return rc;
}

int
main(int argc, char **argv)
{
	struct opt_list streams;
	struct err e;
	int rc;
	opt_parse(&spec, argc, argv, &streams);
	check_options(&streams);
	if (opt.output)
		rc = pack(&streams, &e);
	else if (info)
		rc = inspect_info(info, json, &e);
	else if (cat)
		rc = inspect_cat(cat, &e);
	else
		rc = verify_dataset(&e);
	if (rc < 0)
		die(&e);
	tool_exit(0);
}

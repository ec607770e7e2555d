/* hone-merge: LoRA adapters into the weights of their base model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/model_path.h"
#include "base/opt.h"
#include "math/gemm.h"
#include "merge.h"

static const char *model, *output, *dtype;
static struct opt_list adapters;
static bool untie, verify, force, other_base;

static const struct opt options[] = {
	{OPT_STRING, 'm', "model", &model, "DIR|NAME", "base model: a directory, or a name in the local Hub cache", 0, 0, NULL},
	{OPT_LIST, 'a', "adapter", &adapters, "DIR[=WEIGHT]",
		"a PEFT adapter, and a factor on it; repeatable", 0, 0, NULL},
	{OPT_STRING, 'o', "output", &output, "DIR", "the merged model; must not exist", 0, 0, NULL},
	{OPT_ENUM, 0, "dtype", &dtype, "float32|bfloat16|float16",
		"store floating tensors so, not as the base does", 0, 0, NULL},
	{OPT_FLAG, 0, "untie", &untie, NULL, "store tied input embedding and output head apart", 0, 0, NULL},
	{OPT_FLAG, 0, "allow-other-base", &other_base, NULL, "also adapters that were trained on another base", 0, 0, NULL},
	{OPT_FLAG, 0, "verify", &verify, NULL, "compare an existing output with the merge", 0, 0, NULL},
	{OPT_FLAG, 'f', "force", &force, NULL, "replace an existing output", 0, 0, NULL},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-merge",
	.operands = "-m MODEL -a ADAPTER[=WEIGHT]... -o OUTPUT",
	.summary = "Merges LoRA adapters into their base model: a model directory that needs no adapter.",
	.epilog = "Examples:\n"
		  "  hone-merge -m base -a run/final -o merged\n"
		  "  hone-merge -m base -a french=0.7 -a polite=0.3 -o both --dtype bfloat16\n"
		  "  hone-merge -m base -a run/final -o merged --verify\n",
	.opts = options,
};

/* "DIR=WEIGHT" taken apart; a directory of that very name comes first. */
static void
split_weight(const char **adapter, double *weight)
{
	const char *eq = strrchr(*adapter, '=');
	*weight = 1;
	if (!eq || path_exists(*adapter))
		return;
	char *end;
	*weight = strtod(eq + 1, &end);
	if (end == eq + 1 || *end || !isfinite(*weight) || eq == *adapter)
		die_usage("'%s': the weight behind '=' is not a number", *adapter);
	*adapter = xstrndup(*adapter, (size_t)(eq - *adapter));
}

static enum st_dtype
parse_dtype(const char *name)
{
	return strcmp(name, "float32") == 0 ? ST_F32 : strcmp(name, "float16") == 0 ? ST_F16 : ST_BF16;
}

static void
check_usage(void)
{
	if (!model)
		die_usage("no base model is given; name it with -m");
	if (adapters.n == 0)
		die_usage("no adapter is given; name one with -a");
	if (!output)
		die_usage("no output is given; name it with -o");
	if (verify && force)
		die_usage("--verify writes nothing, and --force replaces: give one of them");
}

/* With --force an output may exist, but never be one of the inputs, or hold one. */
static int
check_input(const char *input, const char *out, struct err *e)
{
	char *in = path_real(input);
	size_t n = strlen(out);
	bool within = in && strncmp(in, out, n) == 0 && (in[n] == '/' || !in[n] || out[n - 1] == '/');
	bool same = within && !in[n];
	free(in);
	if (same)
		return err_set(e, ERR_USAGE, "'%s' is input and output", input);
	if (within && !verify)
		return err_set(e, ERR_USAGE, "'%s' lies within '%s', which would be replaced", input, output);
	return 0;
}

static int
check_output(const struct merge_options *o, struct err *e)
{
	if (!force && !verify && path_exists(o->output))
		return err_set(e, ERR_CANTCREAT,
			"'%s' exists; remove it, name another output, or give --force", o->output);
	char *out = path_real(o->output);
	int rc = 0;
	for (size_t i = 0; out && rc == 0 && i <= o->n_adapters; i++)
		rc = check_input(i < o->n_adapters ? o->adapter[i] : o->model, out, e);
	free(out);
	return rc == 0 && force ? check_replaceable(o->output, e) : rc;
}

/* What makes no difference to the result is left out. */
static json_t *
lasting_settings(void)
{
	static const char *const incidental[] = {"model", "adapter", "output", "verify", "force", NULL};
	return opt_settings_but(&spec, incidental);
}

static void
report(const struct plan *p)
{
	size_t changed = 0, replaced = 0;
	for (size_t i = 0; i < p->n_jobs; i++) {
		changed += p->job[i].n_deltas > 0;
		replaced += p->job[i].saved_by >= 0;
	}
	log_note("%s '%s': %zu tensors, %zu merged, %zu replaced", verify ? "verified" : "wrote",
		p->opt->output, p->n_jobs, changed, replaced);
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	math_start(argv);
	opt_parse(&spec, argc, argv, &operands);
	check_usage();
	double *weight = xcalloc(adapters.n, sizeof *weight);
	for (size_t i = 0; i < adapters.n; i++)
		split_weight(&adapters.item[i], &weight[i]);
	math_set_threads(opt_threads);
	struct err e;
	char *dir = model_path(model, &e);
	if (!dir)
		die(&e);
	struct merge_options o = {.model = dir,
		.hold = dir_hold(dir),
		.output = output,
		.adapter = adapters.item,
		.weight = weight,
		.n_adapters = adapters.n,
		.convert = dtype != NULL,
		.untie = untie,
		.other_base = other_base};
	if (dtype)
		o.dtype = parse_dtype(dtype);
	struct plan p;
	if (check_output(&o, &e) < 0 || plan_make(&p, &o, &e) < 0 ||
		(verify ? verify_output(&p, &e) : write_output(&p, force, lasting_settings(), &e)) < 0) {
		dir_replaced(o.hold, dir, &e);  /* which explains the rest */
		die(&e);
	}
	report(&p);
	plan_release(&p);
	dir_let_go(o.hold);
	free(weight);
	free(dir);
	tool_exit(0);
}

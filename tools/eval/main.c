/* hone-eval: figures of a model on a dataset, of predictions, or of runs side by side; and whether they suffice. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/provenance.h"
#include "eval.h"
#include "math/gemm.h"

struct settings settings = {.label_score = "full", .dtype = "auto", .micro_tokens = 2048, .max_new_tokens = 128,
	.resamples = BOOTSTRAP_RESAMPLES, .seed = BOOTSTRAP_SEED, .significance = 0.05, .baseline_rule = "better"};

static const struct opt options[] = {
	{OPT_STRING, 'm', "model", &settings.model, "DIR|NAME", "model: a directory, or a name in the local Hub cache"},
	{OPT_STRING, 'a', "adapter", &settings.adapter, "DIR", "PEFT adapter to put on it, unmerged"},
	{OPT_FLAG, 0, "allow-other-base", &settings.other_base, NULL, "also an adapter that was trained on another base"},
	{OPT_FLAG, 0, "allow-other-tokenizer", &settings.other_tokenizer, NULL, "also a DATASET made with another tokenizer"},
	{OPT_ENUM, 0, "load-in-bits", &settings.load_in_bits, "8|4", "quantise the linear layers while loading: int8, or nf4"},
	{OPT_STRING, 0, "predictions", &settings.predictions, "FILE", "also write a line for every example: label, prediction, scores"},
	{OPT_FLAG, 'f', "force", &settings.force, NULL, "replace an existing predictions FILE"},
	{OPT_FLAG, 0, "json", &settings.json, NULL, "print one line of JSON instead of a table"},
	{OPT_STRING, 0, "template", &settings.template, "NAME|FILE", "chat template, when DATASET is a JSONL file"},
	{OPT_INT, 0, "max-samples", &settings.max_samples, "N", "the first N examples only (0: all)", 0, 2000000000},
	{OPT_INT, 0, "micro-tokens", &settings.micro_tokens, "N", "tokens computed at once", 1, 1 << 24},
	{OPT_ENUM, 0, "dtype", &settings.dtype, "auto|float32|bfloat16", "of the computation"},

	{OPT_SECTION, .help = "Without a model:"},
	{OPT_STRING, 0, "metrics", &settings.metrics, "FILE", "the figures of this file of predictions (- is stdin)"},
	{OPT_FLAG, 0, "compare", &settings.compare, NULL, "one table of the operands: runs, predictions, figures of --json"},

	{OPT_SECTION, .help = "Classification:"},
	{OPT_FLAG, 0, "compute-classification-metrics", &settings.classification, NULL,
		"score the labels (by itself when the data are a classification; --no-... turns it off)",
		.given = &settings.classification_given},
	{OPT_STRING, 0, "labels", &settings.labels, "FILE", "also these labels: a list, or the data trained on"},
	{OPT_INT, 0, "classification-n-classes", &settings.n_classes, "N", "how many classes there must be", 0, 1000000},
	{OPT_STRING, 0, "classification-positive-class", &settings.positive, "LABEL", "for precision, recall, F-beta, AUROC"},
	{OPT_STRING, 0, "classification-betas", &settings.betas_text, "X,...", "betas of F-beta"},
	{OPT_ENUM, 0, "label-score", &settings.label_score, "full|first-token", "score a label by all its tokens, or its first"},

	{OPT_SECTION, .help = "Generation:"},
	{OPT_FLAG, 0, "generate", &settings.generate, NULL, "continue the prompts and compare with the completions"},
	{OPT_INT, 'n', "max-new-tokens", &settings.max_new_tokens, "N", "longest continuation", 1, 1 << 24},

	{OPT_SECTION, .help = "Gates (exit status 1 when one is not passed):"},
	{OPT_LIST, 0, "require", &settings.require, "KEY>=X", "a figure must be so; also <= > < == != (repeatable)"},
	{OPT_STRING, 0, "baseline", &settings.baseline, "FILE", "be better than these predictions, figures or run"},
	{OPT_STRING, 0, "baseline-figure", &settings.baseline_figure, "KEY", "in this figure (by default accuracy, token F1 or loss)"},
	{OPT_ENUM, 0, "baseline-rule", &settings.baseline_rule, "better|not-worse", "significantly better, or not significantly worse"},
	{OPT_DOUBLE, 0, "significance", &settings.significance, "P", "largest p that counts as a difference", 0, 1},
	{OPT_INT, 0, "bootstrap", &settings.resamples, "N", "resamples for intervals and tests (0: none)", 0, 1000000},
	{OPT_INT, 0, "seed", &settings.seed, "N", "of the resamples", 0, 2147483647},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-eval",
	.operands = "DATASET",
	.summary = "Evaluate a model on a dataset of hone-pack, or on a JSONL file: loss, perplexity, accuracies, and, for a\n"
		   "classification, its metrics. With --metrics FILE, from a file of predictions alone. With --compare A B...,\n"
		   "several side by side.",
	.opts = options,
	.max_operands = -1,
	.backend = math_backend,
};

static void
check(const struct opt_list *operands)
{
	const struct settings *s = &settings;
	if (s->compare && (s->metrics || s->model || s->generate || s->require.n || s->baseline || s->predictions))
		die_usage("--compare goes with --json, --classification-..., --bootstrap and --seed only");
	if (s->compare && (operands->n < 2 || operands->n > 26))
		die_usage("--compare wants 2 to 26 runs, predictions or figures");
	if (s->metrics && operands->n > 0)
		die_usage("--metrics takes no DATASET");
	if (s->metrics && (s->generate || s->model || s->predictions))
		die_usage("--metrics reads a file: --model, --generate and --predictions have no place beside it");
	if (!s->compare && !s->metrics && operands->n != 1)
		die_usage(operands->n ? "one DATASET is wanted" : "DATASET is missing");
	if (!s->compare && !s->metrics && !s->model)
		die_usage("-m MODEL is missing");
	if (s->baseline_figure && !s->baseline)
		die_usage("--baseline-figure wants a --baseline");
}

json_t *
lasting_settings(void)
{
	static const char *const incidental[] = {"model", "adapter", "predictions", "force", "json", "metrics", NULL};
	return opt_settings_but(&spec, incidental);
}

static int
evaluate_one(struct subject *s, const struct opt_list *operands, struct err *e)
{
	if (!settings.metrics)
		return dataset_evaluate(s, operands->item[0], e);
	if (subject_open_rows(s, settings.metrics, e) < 0)
		return -1;
	s->provenance = provenance_new(lasting_settings());
	return provenance_add_file(s->provenance, "predictions", settings.metrics, e);
}

static void
print(const struct subject *s)
{
	if (!settings.json) {
		subject_print(s);
		return;
	}
	if (s->provenance)
		json_object_set(s->figures, "provenance", s->provenance);
	json_seal(s->figures);
	json_dumpf(s->figures, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
	putchar('\n');
}

/* Whether all gates are passed; each that is not is told on stderr. */
static int
decide(struct subject *s, struct subject *baseline, struct err *e)
{
	int passed = gates_pass(s);
	if (settings.baseline) {
		int better = baseline_pass(baseline, s, e);
		if (better < 0)
			return -1;
		passed = passed && better;
	}
	return passed;
}

/* What the gates need is opened first: a mistake in a name should not cost an evaluation. */
static int
run(const struct opt_list *operands, struct err *e)
{
	struct subject s = {0}, baseline = {0};
	int rc = settings.baseline ? subject_open(&baseline, settings.baseline, e) : 0;
	if (rc == 0)
		rc = evaluate_one(&s, operands, e);
	if (rc == 0)
		rc = decide(&s, &baseline, e);
	if (rc >= 0)
		print(&s);
	subject_close(&s);
	subject_close(&baseline);
	return rc;
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	struct err e;
	math_start(argv);
	opt_parse(&spec, argc, argv, &operands);
	math_set_threads(opt_threads);
	if (metrics_betas_parse(&settings.betas, settings.betas_text, &e) < 0)
		die(&e);
	check(&operands);
	gates_parse(!settings.metrics);
	if (settings.compare) {
		if (compare(operands.item, operands.n, &e) < 0)
			die(&e);
		tool_exit(0);
	}
	int passed = run(&operands, &e);
	if (passed < 0)
		die(&e);
	tool_exit(passed ? 0 : ERR_NO);
}

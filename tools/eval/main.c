/* hone-eval: a model, with or without an adapter, on a dataset; or the figures of a predictions file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/model_path.h"
#include "base/opt.h"
#include "eval/evaluate.h"
#include "eval/metrics.h"
#include "from_file.h"
#include "math/gemm.h"
#include "model/lora.h"
#include "text/ingest.h"

static const char *model_name, *adapter, *labels_from, *predictions, *metrics_file, *positive, *betas_text,
	*label_score = "full", *template_name, *bits;
static bool json, force, classification, classification_given;
static const char *dtype = "auto";
static int n_classes, max_samples, micro_tokens = 2048;

static const struct opt options[] = {
	{OPT_STRING, 'm', "model", &model_name, "DIR|NAME", "model: a directory, or a name in the local Hub cache"},
	{OPT_STRING, 'a', "adapter", &adapter, "DIR", "PEFT adapter to put on it, unmerged"},
	{OPT_ENUM, 0, "load-in-bits", &bits, "8|4", "quantise the linear layers while loading: int8, or nf4"},
	{OPT_STRING, 0, "predictions", &predictions, "FILE", "also write a line for every example: label, prediction, scores"},
	{OPT_FLAG, 'f', "force", &force, NULL, "replace an existing predictions FILE"},
	{OPT_FLAG, 0, "json", &json, NULL, "print one line of JSON instead of a table"},
	{OPT_STRING, 0, "metrics", &metrics_file, "FILE", "no model: the figures of this predictions file (- is stdin)"},
	{OPT_STRING, 0, "template", &template_name, "NAME|FILE", "chat template, when DATASET is a JSONL file"},
	{OPT_INT, 0, "max-samples", &max_samples, "N", "the first N examples only (0: all)", 0, 2000000000},
	{OPT_INT, 0, "micro-tokens", &micro_tokens, "N", "tokens computed at once", 1, 1 << 24},
	{OPT_ENUM, 0, "dtype", &dtype, "auto|float32|bfloat16", "of the computation"},

	{OPT_SECTION, .help = "Classification:"},
	{OPT_FLAG, 0, "compute-classification-metrics", &classification, NULL,
		"score the labels (by itself when the data are a classification; --no-... turns it off)",
		.given = &classification_given},
	{OPT_STRING, 0, "labels", &labels_from, "DATASET", "also the labels of this dataset: the one trained on"},
	{OPT_INT, 0, "classification-n-classes", &n_classes, "N", "how many classes there must be", 0, 1000000},
	{OPT_STRING, 0, "classification-positive-class", &positive, "LABEL", "for precision, recall, F-beta, AUROC"},
	{OPT_STRING, 0, "classification-betas", &betas_text, "X,...", "betas of F-beta"},
	{OPT_ENUM, 0, "label-score", &label_score, "full|first-token", "score a label by all its tokens, or its first"},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-eval",
	.operands = "DATASET",
	.summary = "Evaluate a model on a dataset of hone-pack, or on a JSONL file: loss, perplexity, accuracies, and, for a\n"
		   "classification, its metrics. With --metrics FILE, from a file of predictions alone.",
	.opts = options,
	.max_operands = 1,
	.backend = math_backend,
};

struct job {
	char *dir;
	struct model model;
	struct ingested data, label_data;
	struct label_set labels;
	struct metrics_betas betas;
	int positive;
	struct eval_options eval;
	struct eval_result result;
	struct metrics metrics;
	bool has_metrics;
	struct out out;      /* of the predictions */
	bool opened;
};

/* ---- setting up ---- */

static int
open_model(struct job *j, struct err *e)
{
	j->dir = model_path(model_name, e);
	const struct model_options opt = {.compute = math_compute(dtype), .bits = bits ? atoi(bits) : 0};
	if (!j->dir || model_open(&j->model, j->dir, &opt, e) < 0)
		return -1;
	if (!adapter)
		return 0;
	struct adapter_config c;
	if (lora_open(&j->model, adapter, false, &c, e) < 0)
		return -1;
	log_unknown_keys(adapter, c.unknown);
	adapter_config_release(&c);
	return 0;
}

static int
open_labels(struct job *j, struct err *e)
{
	if (labels_from &&
		(ingest_open(&j->label_data, &labels_from, 1, j->dir, &(struct ingest_options){.template = template_name}, e) < 0 ||
			ingest_check(&j->label_data, labels_from, j->model.config.V, j->dir, e) < 0))
		return -1;
	if (label_set_init(&j->labels, j->label_data.dataset, j->data.dataset, j->model.config.V, e) < 0)
		return -1;
	bool wanted = classification || n_classes || positive || betas_text || predictions;
	if (j->labels.K == 0 && !wanted)
		return 0;
	j->eval.eos = dataset_eos(j->data.dataset, j->model.config.eos_id);
	return eval_set_labels(&j->eval, &j->labels, n_classes, positive, &j->positive, j->model.config.V, e);
}

static void
tell_complaints(const struct records_counts *c)
{
	struct buf text = {0};
	for (unsigned i = 0; i < RECORDS_COMPLAINTS; i++)
		if (records_complaint(c, i, &text))
			log_warn("%s", text.data);
	buf_release(&text);
}

static int
prepare(struct job *j, const char *data, bool labels_off, struct err *e)
{
	j->positive = -1;
	j->eval = (struct eval_options){.first_token = strcmp(label_score, "first-token") == 0,
		.max_samples = (size_t)max_samples, .micro_tokens = micro_tokens};
	if (open_model(j, e) < 0 ||
		ingest_open(&j->data, &data, 1, j->dir, &(struct ingest_options){.template = template_name}, e) < 0 ||
		ingest_check(&j->data, data, j->model.config.V, j->dir, e) < 0 || (!labels_off && open_labels(j, e) < 0))
		return -1;
	int length = eval_max_length(j->data.dataset, &j->eval);
	if (model_check_length(&j->model, length, e) < 0)
		return err_prefix(e, "'%s': the longest example: ", data);
	/* Before the work, so that a mistake in its name costs nothing. */
	if (predictions && out_open(&j->out, predictions, force, e) < 0)
		return -1;
	j->opened = predictions != NULL;
	tell_complaints(&j->data.counts);
	model_reserve(&j->model, eval_rows(j->data.dataset, &j->eval), length, 0, KEEP_NOTHING);
	return 0;
}

/* ---- evaluating and printing ---- */

static bool
show_progress(void *ctx, size_t done, size_t total)
{
	struct progress *p = ctx;
	p->total = total;
	progress_show(p, done, NULL);
	return true;
}

static int
run(struct job *j, struct err *e)
{
	struct progress p;
	progress_start(&p, "evaluating", "examples", 0);
	j->eval.progress = show_progress;
	j->eval.ctx = &p;
	int rc = evaluate(&j->model, j->data.dataset, &j->eval, &j->result, e);
	progress_end(&p);
	if (rc < 0 || !j->eval.labels)
		return rc;
	const struct metrics_options o = {.positive = j->positive, .betas = j->betas.v, .n_betas = j->betas.n};
	j->has_metrics = true;
	return metrics_compute(&j->metrics, &j->result.predictions, &o, e);
}

static int
write_predictions(struct job *j, struct err *e)
{
	if (!predictions)
		return 0;
	predictions_write(&j->result.predictions, &j->out);
	j->opened = false;
	return out_commit(&j->out, e);
}

static void
print_table(const struct job *j)
{
	const struct eval_result *r = &j->result;
	printf("examples           %llu\n", (unsigned long long)r->examples);
	printf("targets            %llu\n", (unsigned long long)r->targets);
	printf("loss               %.6f\n", r->loss);
	printf("perplexity         %.4f\n", exp(r->loss));
	printf("token accuracy     %.4f\n", r->token_accuracy);
	printf("sequence accuracy  %.4f\n", r->sequence_accuracy);
	if (j->has_metrics)
		metrics_print(stdout, &j->metrics);
}

static void
print_json(const struct job *j)
{
	const struct eval_result *r = &j->result;
	json_t *o = json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:f}", "examples", (json_int_t)r->examples, "tokens",
		(json_int_t)r->tokens, "targets", (json_int_t)r->targets, "loss", json_number(r->loss), "perplexity",
		json_number(exp(r->loss)), "token_accuracy", json_number(r->token_accuracy), "sequence_accuracy", r->sequence_accuracy);
	if (j->has_metrics) {
		json_t *m = metrics_json(&j->metrics);
		json_object_update(o, m);
		json_decref(m);
	}
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	putchar('\n');
	json_decref(o);
}

static void
release(struct job *j)
{
	if (j->opened)
		out_abort(&j->out);
	if (j->has_metrics)
		metrics_release(&j->metrics);
	predictions_release(&j->result.predictions);
	label_set_release(&j->labels);
	ingest_close(&j->data);
	ingest_close(&j->label_data);
	model_release(&j->model);
	free(j->dir);
}

static int
evaluate_dataset(const char *data, bool labels_off, const struct metrics_betas *betas, struct err *e)
{
	struct job j = {.betas = *betas};
	int rc = prepare(&j, data, labels_off, e);
	if (rc == 0)
		rc = run(&j, e);
	if (rc == 0)
		rc = write_predictions(&j, e);
	if (rc == 0) {
		if (json)
			print_json(&j);
		else
			print_table(&j);
	}
	release(&j);
	return rc;
}

static int
evaluate_file(const struct metrics_betas *betas, struct err *e)
{
	struct metrics m;
	int rc = eval_from_file(&m, metrics_file, positive, betas->v, betas->n, e);
	if (rc == 0)
		eval_print(&m, json);
	metrics_release(&m);
	return rc;
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	struct metrics_betas betas;
	struct err e;
	math_start(argv);
	opt_parse(&spec, argc, argv, &operands);
	math_set_threads(opt_threads);
	if (metrics_betas_parse(&betas, betas_text, &e) < 0)
		die(&e);
	if (metrics_file ? operands.n > 0 : operands.n == 0)
		die_usage(metrics_file ? "--metrics takes no DATASET" : "DATASET is missing");
	if (!metrics_file && !model_name)
		die_usage("-m MODEL is missing");
	bool labels_off = classification_given && !classification;
	int rc = metrics_file ? evaluate_file(&betas, &e) : evaluate_dataset(operands.item[0], labels_off, &betas, &e);
	if (rc < 0)
		die(&e);
	tool_exit(0);
}

/* A model, with or without an adapter, over a dataset. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dir_read.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/model_path.h"
#include "base/progress.h"
#include "base/provenance.h"
#include "eval.h"
#include "math/gemm.h"
#include "model/lora.h"
#include "text/ingest.h"
#include "text/label_list.h"

struct job {
	char *dir;
	struct model model;
	struct ingested data, label_data;
	struct label_list label_list;
	struct label_set labels;
	int positive;
	struct eval_options eval;
	struct eval_result result;
	struct generations texts;
	struct out out;      /* of the predictions */
	json_t *provenance;  /* NULL when nothing is written that could tell it */
	bool opened;
	int hold[2];         /* of model and adapter (base/dir_read.h): what is opened of each is to be of one */
	struct progress loading;
};

/* ---- setting up ---- */

static int
open_model(struct job *j, struct err *e)
{
	j->dir = model_path(settings.model, e);
	j->hold[0] = j->dir ? dir_hold(j->dir) : -1;
	j->hold[1] = settings.adapter ? dir_hold(settings.adapter) : -1;
	const struct model_options opt = {.compute = math_compute(settings.dtype),
		.bits = settings.load_in_bits ? atoi(settings.load_in_bits) : 0, .watch = {progress_told, &j->loading}};
	progress_start(&j->loading, "loading", "B", 0);
	int rc = j->dir ? model_open(&j->model, j->dir, &opt, e) : -1;
	progress_end(&j->loading);
	if (rc < 0)
		return -1;
	if (!settings.adapter)
		return 0;
	struct adapter_config c;
	if (lora_open(&j->model, settings.adapter, settings.other_base ? LORA_OTHER_BASE : 0, &c, e) < 0)
		return -1;
	log_unknown_keys(settings.adapter, c.unknown);
	adapter_config_release(&c);
	return 0;
}

static bool
is_replaced(const struct job *j, struct err *e)
{
	return dir_replaced(j->hold[0], j->dir, e) || dir_replaced(j->hold[1], settings.adapter, e);
}

static int
open_data(struct job *j, struct ingested *in, const char *path, struct err *e)
{
	struct progress p;
	const struct ingest_options o = {.template = settings.template, .threads = opt_threads, .progress = progress_share,
		.progress_ctx = &p};
	progress_start(&p, "reading", "rows", 0);
	int rc = ingest_open(in, &path, 1, j->dir, &o, e);
	progress_end(&p);
	if (rc < 0)
		return -1;
	return ingest_check(in, path, j->model.config.V, j->dir, settings.other_tokenizer, e);
}

/* ---- labels ---- */

static int
list_labels(struct job *j, struct err *e)
{
	size_t n;
	const struct label *data = dataset_labels(j->data.dataset, &n);
	if (label_list_read(&j->label_list, settings.labels, j->dir, e) < 0)
		return -1;
	label_list_join(&j->label_list, data, n, false);
	return label_set_init_tables(&j->labels, true, j->label_list.v, j->label_list.n, data, n, j->model.config.V, e);
}

static int
find_labels(struct job *j, struct err *e)
{
	if (settings.labels && label_list_is(settings.labels))
		return list_labels(j, e);
	if (settings.labels && open_data(j, &j->label_data, settings.labels, e) < 0)
		return -1;
	return label_set_init(&j->labels, j->label_data.dataset, j->data.dataset, j->model.config.V, e);
}

static void
tell_labels(const struct job *j)
{
	struct buf text = {0};
	for (unsigned i = 0; label_set_complaint(&j->labels, j->eval.first_token, i, &text); i++)
		log_warn("%s", text.data);
	buf_release(&text);
}

static bool
classification_wanted(void)
{
	return settings.classification || settings.n_classes || settings.positive || settings.betas_text || settings.labels ||
		(settings.predictions && !settings.generate);
}

static int
open_labels(struct job *j, struct err *e)
{
	if (find_labels(j, e) < 0)
		return -1;
	if (j->labels.K == 0 && !classification_wanted())
		return 0;
	j->eval.eos = dataset_eos(j->data.dataset, j->model.config.eos_id);
	if (eval_set_labels(&j->eval, &j->labels, settings.n_classes, settings.positive, &j->positive, j->model.config.V, e) < 0)
		return -1;
	tell_labels(j);
	return 0;
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
prepare(struct job *j, const char *data, struct err *e)
{
	bool labels_off = settings.classification_given && !settings.classification;
	j->eval = (struct eval_options){.first_token = strcmp(settings.label_score, "first-token") == 0,
		.max_samples = (size_t)settings.max_samples, .micro_tokens = settings.micro_tokens};
	if (out_check_input(settings.predictions, data, e) < 0 || open_model(j, e) < 0 || open_data(j, &j->data, data, e) < 0)
		return -1;
	/* What is written is compared as text; labels are scored as well only when they are asked for. */
	if (!labels_off && (!settings.generate || settings.classification || settings.labels) && open_labels(j, e) < 0)
		return -1;
	int length = eval_max_length(j->data.dataset, &j->eval);
	if (model_check_length(&j->model, length, e) < 0)
		return err_prefix(e, "'%s': the longest example: ", data);
	/* Before the work, so that a mistake in its name costs nothing. */
	if (settings.predictions && out_open(&j->out, settings.predictions, settings.force, e) < 0)
		return -1;
	j->opened = settings.predictions != NULL;
	tell_complaints(&j->data.counts);
	model_reserve(&j->model, eval_rows(j->data.dataset, &j->eval), length, 0, KEEP_NOTHING);
	return 0;
}

/* ---- evaluating ---- */

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
	if (rc == 0 && settings.generate)
		rc = dataset_generate(&j->texts, &j->model, j->dir, j->data.dataset, j->result.examples, e);
	return rc;
}

/* With --generate the rows of --predictions are texts. */
static int
write_predictions(struct job *j, struct err *e)
{
	if (!settings.predictions)
		return 0;
	if (settings.generate)
		generations_write(&j->texts, j->provenance, &j->out);
	else
		predictions_write(&j->result.predictions, j->provenance, &j->out);
	j->opened = false;
	return out_commit(&j->out, e);
}

static int
find_provenance(struct job *j, const char *data, struct err *e)
{
	char adapter[HASH_HEX];
	if (!settings.json && !settings.predictions)
		return 0;
	if (settings.adapter && adapter_fingerprint(settings.adapter, adapter, e) < 0)
		return -1;
	j->provenance = provenance_new(lasting_settings());
	provenance_add(j->provenance, "base", j->dir, j->model.weights ? weights_fingerprint(j->model.weights) : NULL);
	if (settings.adapter)
		provenance_add(j->provenance, "adapter", settings.adapter, adapter);
	if (*j->data.tokenizer)
		provenance_add(j->provenance, "tokenizer", NULL, j->data.tokenizer);
	provenance_add(j->provenance, "data", data, dataset_fingerprint(j->data.dataset));
	return 0;
}

static json_t *
figures(const struct eval_result *r)
{
	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "examples", (json_int_t)r->examples, "tokens",
		(json_int_t)r->tokens, "targets", (json_int_t)r->targets, "loss", json_number(r->loss), "perplexity",
		json_number(exp(r->loss)), "token_accuracy", json_number(r->token_accuracy), "sequence_accuracy",
		json_number(r->sequence_accuracy));
}

/* Moves the rows into s and computes what follows from them. */
static int
conclude(struct job *j, struct subject *s, struct err *e)
{
	s->figures = figures(&j->result);
	s->has_rows = j->eval.labels != NULL;
	s->rows = j->result.predictions;
	s->has_texts = settings.generate;
	s->provenance = json_incref(j->provenance);
	s->texts = j->texts;
	j->result.predictions = (struct predictions){0};
	j->texts = (struct generations){0};
	return subject_compute(s, e);
}

static void
release(struct job *j)
{
	if (j->opened)
		out_abort(&j->out);
	json_decref(j->provenance);
	predictions_release(&j->result.predictions);
	generations_release(&j->texts);
	label_set_release(&j->labels);
	label_list_release(&j->label_list);
	ingest_close(&j->data);
	ingest_close(&j->label_data);
	model_release(&j->model);
	dir_let_go(j->hold[0]);
	dir_let_go(j->hold[1]);
	free(j->dir);
}

int
dataset_evaluate(struct subject *s, const char *data, struct err *e)
{
	struct job j = {.positive = -1, .hold = {-1, -1}};
	*s = (struct subject){.path = data};
	int rc = prepare(&j, data, e);
	if (rc == 0)
		rc = find_provenance(&j, data, e);
	if (rc == 0 && is_replaced(&j, e))
		rc = -1;
	if (rc == 0)
		rc = run(&j, e);
	/* What generates has opened the tokenizer by itself. */
	if (rc == 0 && settings.generate && is_replaced(&j, e))
		rc = -1;
	if (rc == 0)
		rc = write_predictions(&j, e);
	if (rc == 0)
		rc = conclude(&j, s, e);
	release(&j);
	return rc;
}

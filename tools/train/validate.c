/* Evaluation within a run: what is scored is settled before the first step, so that oddities are told before hours
 * are spent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "train.h"

int
validate_prepare(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	r->positive = -1;
	if (metrics_betas_parse(&r->betas, s->betas, e) < 0)
		return -1;
	r->eval = (struct eval_options){.first_token = strcmp(s->label_score, "first-token") == 0,
		.eos = dataset_eos(r->train, r->model.config.eos_id), .max_samples = (size_t)s->max_eval_samples,
		.micro_tokens = s->micro_tokens ? s->micro_tokens : 2048};
	if (!s->classification)
		return 0;
	if (label_set_init(&r->labels, r->train, r->valid, r->model.config.V, e) < 0 ||
		eval_set_labels(&r->eval, &r->labels, s->n_classes, s->positive_class, &r->positive, r->model.config.V,
			e) < 0)
		return -1;
	struct buf text = {0};
	for (unsigned i = 0; label_set_complaint(&r->labels, r->eval.first_token, i, &text); i++)
		log_warn("%s", text.data);
	buf_release(&text);
	return 0;
}

/* ---- one evaluation ---- */

static int
compute_metrics(struct run *r, struct validation *v, struct err *e)
{
	const struct metrics_options o = {.positive = r->positive, .betas = r->betas.v, .n_betas = r->betas.n,
		.bootstrap = {BOOTSTRAP_RESAMPLES, BOOTSTRAP_SEED}};
	int rc = metrics_compute(&v->metrics, &v->result.predictions, &o, e);
	v->has_metrics = true;
	return rc;
}

static int
log_event(struct run *r, const struct validation *v, double seconds, struct err *e)
{
	const struct eval_result *x = &v->result;
	json_t *event = json_pack("{s:s, s:f, s:I, s:o, s:o, s:o, s:f, s:I, s:I, s:f}", "event", "eval", "epoch",
		(double)r->step / (double)r->steps_per_epoch, "step", (json_int_t)r->step, "loss",
		json_number(x->loss), "perplexity", json_number(exp(x->loss)), "token_accuracy", json_number(x->token_accuracy), "sequence_accuracy", x->sequence_accuracy, "examples",
		(json_int_t)x->examples, "targets", (json_int_t)x->targets, "seconds", seconds);
	if (v->has_metrics) {
		json_t *m = metrics_json(&v->metrics);
		json_object_update(event, m);
		json_decref(m);
	}
	return rundir_event(r, event, e);
}

static void
tell(const struct run *r, const struct validation *v)
{
	char figures[160] = "";
	if (v->has_metrics && r->positive >= 0)
		snprintf(figures, sizeof figures, ", accuracy %.4f, F1 %.4f, AUROC %.4f", v->metrics.accuracy, v->metrics.f[0],
			v->metrics.auroc);
	else if (v->has_metrics)
		snprintf(figures, sizeof figures, ", accuracy %.4f, weighted F1 %.4f, macro F1 %.4f", v->metrics.accuracy,
			v->metrics.weighted_f1, v->metrics.macro_f1);
	log_note("epoch %.4g, step %lld: validation loss %.4f, token accuracy %.4f%s",
		(double)r->step / (double)r->steps_per_epoch, (long long)r->step, v->result.loss, v->result.token_accuracy,
		figures);
}

/* RUN/predictions.jsonl has the rows of every epoch's end; those in between would only make it long. */
static int
log_predictions(const struct run *r, const struct validation *v, struct err *e)
{
	if (!v->has_metrics || (r->step % r->steps_per_epoch != 0 && r->step != r->total_steps))
		return 0;
	char *path = rundir_path(r, "predictions.jsonl");
	int rc = predictions_append(&v->result.predictions, path, r->step, e);
	free(path);
	return rc;
}

/* best/ is chosen by the validation loss (lower), or by accuracy (higher) for a classification. */
static int
keep_best(struct run *r, const struct validation *v, struct err *e)
{
	double value = v->has_metrics ? v->metrics.accuracy : -v->result.loss;
	if (isnan(value) || (!isnan(r->best_value) && !(value > r->best_value)))
		return 0;
	r->best_value = value;
	return checkpoint_publish(r, "best", e);
}

static void
show_progress(void *ctx, size_t done, size_t total)
{
	struct progress *p = ctx;
	p->total = total;
	progress_show(p, done, NULL);
}

int
validate(struct run *r, struct validation *v, struct err *e)
{
	double start = clock_seconds();
	struct progress p;
	*v = (struct validation){0};
	progress_start(&p, "evaluating", "examples", 0);
	r->eval.progress = show_progress;
	r->eval.ctx = &p;
	int rc = evaluate(&r->model, r->valid, &r->eval, &v->result, e);
	progress_end(&p);
	if (rc == 0 && r->set->classification)
		rc = compute_metrics(r, v, e);
	if (rc == 0)
		rc = log_predictions(r, v, e);
	if (rc == 0)
		rc = log_event(r, v, clock_seconds() - start, e);
	if (rc < 0)
		return rc;
	tell(r, v);
	return keep_best(r, v, e);
}

void
validation_release(struct validation *v)
{
	predictions_release(&v->result.predictions);
	if (v->has_metrics)
		metrics_release(&v->metrics);
}

/* Evaluation within a run: what is scored is settled before the first step, so that oddities are told before hours
 * are spent. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "text/label_list.h"
#include "train.h"

/* ---- the figure that best/ is chosen by ---- */

/* The numbers that an eval event of this run has, as an object. */
static json_t *
known_figures(const struct run *r)
{
	struct metrics_class nobody = {.name = ""};
	const struct metrics none = {.positive = r->positive >= 0 ? 0 : -1, .betas = r->betas, .class = &nobody};
	json_t *all = r->set->classification ? metrics_json(&none) : json_object();
	static const char *const own[] = {"loss", "perplexity", "token_accuracy", "sequence_accuracy"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		json_object_set_new(all, own[i], json_real(0));
	return all;
}

/* The key that a name means: as it is, as Trainer writes it ("eval_loss"), or without "classification/"; "f1" is what
 * there is of it. NULL when there is none; else new. */
static char *
find_figure(const json_t *known, const char *name)
{
	if (strncmp(name, "eval_", 5) == 0)
		name += 5;
	char *keys[] = {xstrdup(name), xasprintf("classification/%s", name), xasprintf("classification/%s_score", name),
		xasprintf("classification/%s.0", name), xasprintf("classification/weighted_%s_score", name)};
	char *found = NULL;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *v = json_object_get(known, keys[i]);
		if (!found && v && (json_is_real(v) || json_is_null(v)))
			found = keys[i];
		else
			free(keys[i]);
	}
	return found;
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

static int
choose_metric(struct run *r, struct err *e)
{
	struct settings *s = r->set;
	const char *name = s->metric_for_best_model;
	if (!name)
		name = s->classification ? "classification/accuracy" : "loss";
	json_t *known = known_figures(r);
	r->best_metric = find_figure(known, name);
	json_decref(known);
	if (!r->best_metric)
		return err_set(e, ERR_USAGE, "--metric-for-best-model: no evaluation of this run has '%s'%s", name,
			s->classification ? "" : " (that of a classification comes with --compute-classification-metrics)");
	r->greater_is_better = s->greater_given ? s->greater_is_better
		: !ends_with(r->best_metric, "loss") && !ends_with(r->best_metric, "perplexity") &&
			!ends_with(r->best_metric, "error") && !ends_with(r->best_metric, "mass_outside_labels");
	s->metric_for_best_model = r->best_metric;  /* as run.json tells it */
	s->greater_is_better = r->greater_is_better;
	return 0;
}

/* As Trainer judges: any improvement makes a new best, but only one beyond the threshold starts the count for early
 * stopping again. */
static bool
judge(struct run *r, double value)
{
	double before = r->best_value, gain = r->greater_is_better ? value - before : before - value;
	bool first = isnan(before) && !isnan(value), better = first || gain > 0;
	r->stale = first || (better && gain > r->set->early_stopping_threshold) ? 0 : r->stale + 1;
	r->ended = r->set->early_stopping_patience && r->stale >= r->set->early_stopping_patience;
	if (better) {
		r->best_value = value;
		r->best_step = r->step;
	}
	return better;
}

/* ---- before the first step ---- */

/* The labels of the data, and those of --labels, which the data need not show. */
static int
find_labels(struct run *r, struct err *e)
{
	size_t n_train, n_valid;
	if (!r->set->labels)
		return label_set_init(&r->labels, r->train, r->valid, r->model.config.V, e);
	struct label_list list = {0};
	const struct label *train = dataset_labels(r->train, &n_train), *valid = dataset_labels(r->valid, &n_valid);
	int rc = label_list_read(&list, r->set->labels, r->model_dir, e);
	if (rc == 0) {
		label_list_join(&list, valid, n_valid, true);
		label_list_join(&list, train, n_train, false);
		rc = label_set_init_tables(&r->labels, true, train, n_train, list.v, list.n, r->model.config.V, e);
	}
	label_list_release(&list);
	return rc;
}

static int
prepare_labels(struct run *r, struct err *e)
{
	const struct settings *s = r->set;
	if (find_labels(r, e) < 0 ||
		eval_set_labels(&r->eval, &r->labels, s->n_classes, s->positive_class, &r->positive, r->model.config.V,
			e) < 0)
		return -1;
	struct buf text = {0};
	for (unsigned i = 0; label_set_complaint(&r->labels, r->eval.first_token, i, &text); i++)
		log_warn("%s", text.data);
	buf_release(&text);
	return 0;
}

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
	if (!r->valid)
		return 0;
	if (s->classification && prepare_labels(r, e) < 0)
		return -1;
	return choose_metric(r, e);
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

static json_t *
make_event(const struct run *r, const struct validation *v, double seconds)
{
	const struct eval_result *x = &v->result;
	json_t *event = json_pack("{s:s, s:f, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:f}", "event", "eval", "epoch",
		(double)r->step / (double)r->steps_per_epoch, "step", (json_int_t)r->step, "loss", json_number(x->loss),
		"perplexity", json_number(exp(x->loss)), "token_accuracy", json_number(x->token_accuracy), "sequence_accuracy",
		json_number(x->sequence_accuracy), "examples", (json_int_t)x->examples, "targets", (json_int_t)x->targets,
		"seconds", seconds);
	if (v->has_metrics) {
		json_t *m = metrics_json(&v->metrics);
		json_object_update(event, m);
		json_decref(m);
	}
	return event;
}

static void
tell(struct run *r, const struct validation *v)
{
	char figures[160] = "";
	if (v->has_metrics && r->positive >= 0)
		snprintf(figures, sizeof figures, ", accuracy %.4f, F1 %.4f, AUROC %.4f", v->metrics.accuracy, v->metrics.f[0],
			v->metrics.auroc);
	else if (v->has_metrics)
		snprintf(figures, sizeof figures, ", accuracy %.4f, weighted F1 %.4f, macro F1 %.4f", v->metrics.accuracy,
			v->metrics.weighted_f1, v->metrics.macro_f1);
	log_note("epoch %.4g, step %lld: validation loss %.4f, token accuracy %.4f%s%s",
		(double)r->step / (double)r->steps_per_epoch, (long long)r->step, v->result.loss, v->result.token_accuracy,
		figures, v->is_best ? ", the best so far" : "");
	snprintf(r->validation_text, sizeof r->validation_text, ", validation %.4f (%s %.4f)", v->result.loss,
		v->has_metrics ? "accuracy" : "tokens right", v->has_metrics ? v->metrics.accuracy : v->result.token_accuracy);
}

/* RUN/predictions.jsonl has the rows of every epoch's end, and of the last evaluation; all others would only make it long. */
static int
log_predictions(const struct run *r, const struct validation *v, struct err *e)
{
	bool kept = r->step % r->steps_per_epoch == 0 || r->step == r->total_steps || r->ended;
	if (!v->has_metrics || !kept)
		return 0;
	char *path = rundir_path(r, "predictions.jsonl");
	int rc = predictions_append(&v->result.predictions, path, r->step, e);
	free(path);
	return rc;
}

struct onlooker {
	const struct run *r;
	struct progress progress;
};

static bool
show_progress(void *ctx, size_t done, size_t total)
{
	struct onlooker *w = ctx;
	w->progress.total = total;
	progress_show(&w->progress, done, NULL);
	return !signals_stop(w->r);
}

/* Logs it, judges it, and keeps the best. */
static int
conclude(struct run *r, struct validation *v, double seconds, struct err *e)
{
	json_t *event = make_event(r, v, seconds);
	const json_t *figure = json_object_get(event, r->best_metric);
	v->is_best = judge(r, json_is_number(figure) ? json_number_value(figure) : NAN);
	if (log_predictions(r, v, e) < 0) {
		json_decref(event);
		return -1;
	}
	if (rundir_event(r, event, e) < 0)
		return -1;
	tell(r, v);
	return v->is_best ? export_publish(r, "best", e) : 0;
}

int
validate(struct run *r, struct validation *v, struct err *e)
{
	double start = clock_seconds();
	struct onlooker w = {.r = r};
	*v = (struct validation){0};
	progress_start(&w.progress, "evaluating", "examples", 0);
	r->eval.progress = show_progress;
	r->eval.ctx = &w;
	int rc = evaluate(&r->model, r->valid, &r->eval, &v->result, e);
	progress_end(&w.progress);
	if (rc == 0 && r->set->classification)
		rc = compute_metrics(r, v, e);
	return rc < 0 ? rc : conclude(r, v, clock_seconds() - start, e);
}

void
validation_release(struct validation *v)
{
	predictions_release(&v->result.predictions);
	if (v->has_metrics)
		metrics_release(&v->metrics);
}

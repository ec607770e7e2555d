/* The training loop. A step takes its examples from the plan, packs them into micro-batches, sums their gradients,
 * clips, and updates. The loss is the weighted sum over the whole step divided by the weight of the step, so how it
 * was packed changes nothing. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/lora.h"
#include "train.h"

/* ---- signals: noted here, acted on between steps ---- */

static volatile sig_atomic_t stop_signal, save_signal;

static void
on_stop(int sig)
{
	stop_signal = sig;
}

static void
on_save(int sig)
{
	save_signal = sig;
}

void
train_catch_save(void)
{
	struct sigaction save = {.sa_handler = on_save, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &save, NULL);
}

/* Until the first step there is nothing to keep, and these end the process as usual. */
static void
catch_stop(void)
{
	/* The second one ends the process as usual. */
	struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
}

/* ---- the examples of one step, held while they are packed ---- */

struct stored {
	size_t ids, spans;   /* where they begin in the step's arrays */
	struct example x;    /* ids and spans to be set from the above */
	double weight;       /* of its targets */
};

struct step {
	struct stored *example;
	int32_t *ids;
	struct span *spans;
	uint32_t *length, *bin;
	size_t n, cap, n_ids, ids_cap, n_spans, spans_cap, length_cap, bin_cap;
	double weight;
	struct batch_builder batch;
	float *nll;
	int32_t *best;
	size_t nll_cap, best_cap;

	/* What came out. */
	double loss, grad_norm;
	uint64_t targets, tokens, counted_tokens, right_tokens, counted_examples, right_examples;
};

static void
step_release(struct step *s)
{
	free(s->example);
	free(s->ids);
	free(s->spans);
	free(s->length);
	free(s->bin);
	free(s->nll);
	free(s->best);
	batch_release(&s->batch);
}

static void
store(struct step *s, const struct example *x)
{
	GROW(s->example, s->cap, s->n + 1);
	GROW(s->ids, s->ids_cap, s->n_ids + x->n);
	GROW(s->spans, s->spans_cap, s->n_spans + x->n_spans);
	GROW(s->length, s->length_cap, s->n + 1);
	memcpy(s->ids + s->n_ids, x->ids, x->n * sizeof *s->ids);
	memcpy(s->spans + s->n_spans, x->spans, x->n_spans * sizeof *s->spans);
	s->length[s->n] = x->n;
	s->example[s->n++] = (struct stored){.ids = s->n_ids, .spans = s->n_spans, .x = *x};
	s->n_ids += x->n;
	s->n_spans += x->n_spans;
}

/* The weight that the loss of an example is divided by: its targets', the first token not being one. */
static double
target_weight(const struct example *x)
{
	double w = 0;
	for (uint32_t i = 0; i < x->n_spans; i++)
		if (x->spans[i].weight > 0)
			w += (double)x->spans[i].weight * (x->spans[i].n - (i == 0));
	return w;
}

static int
read_step(struct run *r, struct step *s, int64_t epoch, int64_t step, struct err *e)
{
	const uint32_t *which;
	size_t n = plan_step(&r->plan, epoch, step, &which);
	s->n = s->n_ids = s->n_spans = 0;
	s->weight = 0;
	for (size_t i = 0; i < n; i++) {
		struct example x;
		if (dataset_read(r->train, which[i], &x, e) < 0 || example_fits(&x, r->model.config.V, which[i], e) < 0)
			return -1;
		store(s, &x);
	}
	for (size_t i = 0; i < n; i++) {
		struct stored *x = &s->example[i];
		x->x.ids = s->ids + x->ids;
		x->x.spans = s->spans + x->spans;
		x->weight = target_weight(&x->x);
		s->weight += x->weight;
	}
	return 0;
}

/* ---- one micro-batch ---- */

/* Counts what of the completions was predicted right, document by document; targets lie in the order of the documents,
 * which are the examples of the micro-batch in the order of the step. */
static void
count_right(struct step *s, const struct batch *b, uint32_t bin)
{
	int t = 0, d = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (s->bin[i] != bin)
			continue;
		int end = b->docs[d].q + b->docs[d].n, first = b->docs[d].q + (int)s->example[i].x.completion - 1;
		uint64_t counted = 0, right = 0;
		for (; t < b->n_targets && b->target_row[t] < end; t++)
			if (b->target_row[t] >= first) {
				counted++;
				right += s->best[t] == b->target_id[t];
			}
		s->counted_tokens += counted;
		s->right_tokens += right;
		s->counted_examples += counted > 0;
		s->right_examples += counted > 0 && right == counted;
		d++;
	}
}

/* The dropout masks of an example follow from the seed, the step and its place in the step: how the step is packed
 * does not matter, and a resumed run draws the same. */
static uint64_t
example_key(const struct run *r, size_t i)
{
	struct rng g;
	rng_init(&g, (uint64_t)r->set->seed, RNG_STREAM(RNG_DROPOUT, (uint64_t)r->step << 24 ^ i));
	return rng_u64(&g);
}

static void
run_micro(struct run *r, struct step *s, uint32_t bin)
{
	batch_clear(&s->batch);
	for (size_t i = 0; i < s->n; i++)
		if (s->bin[i] == bin)
			batch_add_example(&s->batch, &s->example[i].x, example_key(r, i));
	struct batch b = batch_view(&s->batch);
	if (b.n_targets == 0)
		return;
	b.row_key = s->batch.row_key;
	b.noise = (float)r->set->neftune_noise_alpha;
	GROW(s->nll, s->nll_cap, (size_t)b.n_targets);
	GROW(s->best, s->best_cap, (size_t)b.n_targets);
	model_forward(&r->model, &b);
	model_loss(&r->model, &b, (float)(1 / s->weight), s->nll, s->best);
	model_backward(&r->model, &b);
	for (int t = 0; t < b.n_targets; t++)
		s->loss += (double)b.target_weight[t] * (double)s->nll[t] / s->weight;
	s->targets += (uint64_t)b.n_targets;
	count_right(s, &b, bin);
}

/* ---- one step ---- */

static double
clip_coefficient(double norm, double max)
{
	double c = max / (norm + 1e-6);
	return max > 0 && c < 1 ? c : 1;
}

static void
count_step(struct run *r, const struct step *s)
{
	r->step++;
	r->elapsed_tokens += (int64_t)s->tokens;
	r->elapsed_examples += (int64_t)s->n;
}

/* A step whose examples have no target between them teaches nothing: the weights and the moments stay. */
static int
skip_step(struct run *r, struct step *s)
{
	log_warn("step %lld: no target in any of its %zu examples; nothing is learned from it", (long long)r->step + 1, s->n);
	s->grad_norm = 0;
	count_step(r, s);
	return 0;
}

static int
run_step(struct run *r, struct step *s, double rate, struct err *e)
{
	s->loss = 0;
	s->targets = s->counted_tokens = s->right_tokens = s->counted_examples = s->right_examples = 0;
	s->tokens = s->n_ids;
	if (s->weight == 0)
		return skip_step(r, s);
	GROW(s->bin, s->bin_cap, s->n);
	size_t bins = plan_pack(s->length, s->n, (uint64_t)r->set->micro_tokens, s->bin);
	model_zero_grad(&r->model);
	for (size_t b = 0; b < bins; b++)
		run_micro(r, s, (uint32_t)b);
	s->grad_norm = model_grad_norm(&r->model);
	if (!isfinite(s->loss) || !isfinite(s->grad_norm))
		return err_set(e, ERR_DATA, "diverged at step %lld: loss %g, gradient norm %g; the weights were not touched; "
			"try a lower --learning-rate", (long long)r->step + 1, s->loss, s->grad_norm);
	adamw_step(&r->optimizer, &r->model, rate, clip_coefficient(s->grad_norm, r->set->max_grad_norm));
	lora_refresh(&r->model);
	count_step(r, s);
	return 0;
}

/* ---- logging ---- */

static double
epoch_of(const struct run *r)
{
	return (double)r->step / (double)r->steps_per_epoch;
}

static int
log_step(struct run *r, const struct step *s, double rate, double seconds, struct err *e)
{
	return rundir_event(r,
		json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:f, s:I}", "event", "train", "step", (json_int_t)r->step,
			"epoch", epoch_of(r), "loss", s->loss, "grad_norm", s->grad_norm, "learning_rate", rate, "targets",
			(json_int_t)s->targets, "tokens", (json_int_t)s->tokens, "tokens_per_second",
			(double)s->tokens / (seconds > 1e-9 ? seconds : 1e-9), "peak_rss_bytes", (json_int_t)peak_rss_bytes()),
		e);
}

static int
log_row(struct run *r, const struct step *s, const struct validation *v, struct err *e)
{
	struct results_row row = {.step = r->step, .elapsed_tokens = r->elapsed_tokens,
		.elapsed_examples = r->elapsed_examples, .training_loss = s->loss,
		.training_sequence_accuracy = (double)s->right_examples / (double)s->counted_examples,
		.training_token_accuracy = (double)s->right_tokens / (double)s->counted_tokens,
		.validation_loss = v ? v->result.loss : NAN,
		.validation_sequence_accuracy = v ? v->result.sequence_accuracy : NAN,
		.validation_token_accuracy = v ? v->result.token_accuracy : NAN,
		.metrics = v && v->has_metrics ? &v->metrics : NULL};
	return results_append(&r->results, &row, e);
}

/* ---- the loop ---- */

static bool
at_multiple(int64_t step, int every)
{
	return every > 0 && step % every == 0;
}

/* Evaluation, the log's row, and a checkpoint, each when it is time. */
static int
after_step(struct run *r, const struct step *s, struct err *e)
{
	bool last = r->step == r->total_steps, epoch_end = r->step % r->steps_per_epoch == 0 || last;
	bool evaluates = r->valid && (epoch_end || at_multiple(r->step, r->set->eval_steps));
	struct validation v;
	int rc = evaluates ? validate(r, &v, e) : 0;
	if (rc == 0 && (evaluates || last || at_multiple(r->step, r->set->logging_steps)))
		rc = log_row(r, s, evaluates ? &v : NULL, e);
	if (evaluates)
		validation_release(&v);
	bool saves = r->set->save_steps ? at_multiple(r->step, r->set->save_steps) : epoch_end;
	bool stops = stop_signal || (r->deadline > 0 && clock_seconds() >= r->deadline);
	if (rc == 0 && (saves || last || stops || save_signal)) {
		save_signal = 0;
		rc = checkpoint_save(r, e);
	}
	if (rc == 0 && stops && !last)
		rc = err_set(e, ERR_TEMPFAIL, "stopped by %s after step %lld of %lld; run the same command again to go on",
			stop_signal == SIGINT ? "SIGINT" : stop_signal ? "SIGTERM" : "the deadline", (long long)r->step,
			(long long)r->total_steps);
	return rc;
}

static int
one_step(struct run *r, struct step *s, struct progress *p, struct err *e)
{
	double start = clock_seconds(), rate = schedule_rate(&r->schedule, r->step);
	if (read_step(r, s, r->step / r->steps_per_epoch, r->step % r->steps_per_epoch, e) < 0 || run_step(r, s, rate, e) < 0)
		return -1;
	double seconds = clock_seconds() - start;
	if ((at_multiple(r->step, r->set->logging_steps) || r->step == r->total_steps) &&
		log_step(r, s, rate, seconds, e) < 0)
		return -1;
	char more[96];
	snprintf(more, sizeof more, "epoch %.2f of %d, loss %.4f, %.0f tokens/s", epoch_of(r), r->set->n_epochs, s->loss,
		(double)s->tokens / seconds);
	progress_show(p, (uint64_t)r->step, more);
	return after_step(r, s, e);
}

int
train_loop(struct run *r, struct err *e)
{
	struct step s = {0};
	struct progress p;
	int rc = 0;
	catch_stop();
	progress_start(&p, "step", "", (uint64_t)r->total_steps);
	while (r->step < r->total_steps && rc == 0)
		rc = one_step(r, &s, &p, e);
	progress_end(&p);
	step_release(&s);
	return rc;
}

/* ---- how much room it takes ---- */

static int
longer(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? 1 : x > y ? -1 : 0;
}

/* The longest batch_size examples together, or micro_tokens if that is less, but at least the longest example. */
int
train_rows(const struct run *r)
{
	size_t n = r->plan.examples, batch = r->plan.batch_size < n ? r->plan.batch_size : n;
	uint32_t *length = xreallocarray(NULL, n, sizeof *length);
	uint64_t rows = 0;
	for (size_t i = 0; i < n; i++)
		length[i] = dataset_length(r->train, i);
	qsort(length, n, sizeof *length, longer);
	for (size_t i = 0; i < batch; i++)
		rows += length[i];
	uint64_t longest = length[0], limit = (uint64_t)r->set->micro_tokens;
	free(length);
	if (limit && rows > limit)
		rows = limit > longest ? limit : longest;
	return rows < INT32_MAX ? (int)rows : INT32_MAX;
}

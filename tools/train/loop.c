/* The training loop: a step, then what is due after it, each when it is time: evaluation, a row of the log, a
 * checkpoint. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/progress.h"
#include "train.h"

static bool
at_multiple(int64_t step, int every)
{
	return every > 0 && step % every == 0;
}

static bool
is_last(const struct run *r)
{
	return r->step == r->total_steps || r->ended;
}

static bool
at_epoch_end(const struct run *r)
{
	return r->step % r->steps_per_epoch == 0 || r->step == r->total_steps;
}

/* ---- what follows a step ---- */

static bool
evaluates(const struct run *r)
{
	const char *strategy = r->set->eval_strategy;
	if (!r->valid || strcmp(strategy, "no") == 0)
		return false;
	bool by_epoch = strcmp(strategy, "epoch") == 0 && at_epoch_end(r);
	return by_epoch || r->step == r->total_steps || at_multiple(r->step, r->set->eval_steps);
}

static bool
saves(const struct run *r, bool is_best)
{
	const char *strategy = r->set->save_strategy;
	if (strcmp(strategy, "no") == 0)
		return false;
	if (is_last(r))
		return true;
	return strcmp(strategy, "best") == 0    ? is_best
	       : strcmp(strategy, "steps") == 0 ? at_multiple(r->step, r->set->save_steps)
						: at_epoch_end(r);
}

static int
log_row(struct run *r, const struct validation *v, struct err *e)
{
	struct results_row row = {.step = r->step, .elapsed_tokens = r->elapsed_tokens,
		.elapsed_examples = r->elapsed_examples, .training_loss = r->last.loss,
		.training_sequence_accuracy = r->last.sequence_accuracy, .training_token_accuracy = r->last.token_accuracy,
		.validation_loss = v ? v->result.loss : NAN,
		.validation_sequence_accuracy = v ? v->result.sequence_accuracy : NAN,
		.validation_token_accuracy = v ? v->result.token_accuracy : NAN,
		.metrics = v && v->has_metrics ? &v->metrics : NULL};
	return results_append(&r->results, &row, e);
}

/* The end of this process, not of the run. */
static int
stop(struct run *r, struct err *e)
{
	if (checkpoint_save(r, e) < 0)
		return -1;
	return err_set(e, ERR_TEMPFAIL, "stopped by %s after step %lld of %lld; run the same command again to go on",
		signals_reason(), (long long)r->step, (long long)r->total_steps);
}

/* Evaluation takes long: a stop does not wait for it. The checkpoint then tells that it is still to be done. */
static int
evaluate_and_log(struct run *r, bool *is_best, struct err *e)
{
	struct validation v = {0};
	bool evaluate = evaluates(r);
	int rc = 0;
	if (evaluate)
		rc = signals_stop(r) ? err_set(e, ERR_TEMPFAIL, "stopped") : validate(r, &v, e);
	if (rc == 0 && (evaluate || is_last(r) || at_multiple(r->step, r->set->logging_steps)))
		rc = log_row(r, evaluate ? &v : NULL, e);
	*is_best = v.is_best;
	validation_release(&v);
	return rc;
}

static int
after_step(struct run *r, struct err *e)
{
	bool is_best = false;
	int rc = evaluate_and_log(r, &is_best, e);
	if (rc < 0)
		return e->code == ERR_TEMPFAIL ? stop(r, e) : rc;
	r->due = false;
	if (signals_stop(r) && !is_last(r))
		return stop(r, e);
	bool asked = signals_take_save();
	return saves(r, is_best) || asked ? checkpoint_save(r, e) : 0;
}

/* ---- the loop ---- */

static int
one_step(struct run *r, struct step *s, struct progress *p, struct err *e)
{
	double start = clock_seconds(), rate = schedule_rate(&r->schedule, r->step);
	if (step_read(r, s, e) < 0 || step_run(r, s, rate, e) < 0)
		return -1;
	double seconds = clock_seconds() - start;
	r->due = true;
	if ((at_multiple(r->step, r->set->logging_steps) || r->step == r->total_steps) &&
		rundir_event(r, step_event(r, s, rate, seconds), e) < 0)
		return -1;
	char more[224];
	snprintf(more, sizeof more, "epoch %.2f of %d, loss %.4f, %.0f tokens/s%s", (double)r->step / (double)r->steps_per_epoch,
		r->set->n_epochs, r->last.loss, (double)step_tokens(s) / seconds, r->validation_text);
	progress_show(p, (uint64_t)r->step, more);
	return after_step(r, e);
}

int
train_loop(struct run *r, struct err *e)
{
	struct step *s = step_new();
	struct progress p;
	signals_catch_stop();
	int rc = r->due ? after_step(r, e) : 0;
	progress_start(&p, "step", "", (uint64_t)r->total_steps);
	p.first = (uint64_t)r->step;
	p.plain_every = 30;
	while (rc == 0 && !is_last(r))
		rc = one_step(r, s, &p, e);
	progress_end(&p);
	step_free(s);
	if (rc == 0 && r->ended)
		log_note("stopped early after step %lld: %d evaluations without improvement of %s, which was best (%g) at step %lld",
			(long long)r->step, r->stale, r->best_metric, r->best_value, (long long)r->best_step);
	return rc;
}

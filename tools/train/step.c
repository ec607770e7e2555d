/* One step: it takes its examples from the plan, packs them into micro-batches, sums their gradients, clips, and updates.
 * The loss is the weighted sum over the whole step divided by the weight of the step, so how it was packed changes
 * nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/worktime.h"
#include "model/lora.h"
#include "model/packing.h"
#include "train.h"

/* ---- the examples of one step, held while they are packed ---- */

struct step {
	struct example *example;       /* whose ids and spans lie one after the other in these: */
	int32_t *ids;
	struct span *spans;
	uint64_t *key;                 /* of its dropout masks and noise */
	size_t n, cap, n_ids, ids_cap, n_spans, spans_cap, key_cap;
	double weight;                 /* of all targets */
	struct packing packing;
	struct batch_builder batch;
	float *nll;
	int32_t *best;
	size_t nll_cap, best_cap;

	/* What came out. */
	double loss, grad_norm, zscore;
	const char *outlier;           /* what of it stands out, or NULL */
	bool skipped;                  /* no update was made */
	uint64_t targets, tokens, rows, counted_tokens, right_tokens, counted_examples, right_examples;
};

struct step *
step_new(void)
{
	return xcalloc(1, sizeof(struct step));
}

void
step_free(struct step *s)
{
	free(s->example);
	free(s->ids);
	free(s->spans);
	free(s->key);
	packing_release(&s->packing);
	free(s->nll);
	free(s->best);
	batch_release(&s->batch);
	free(s);
}

uint64_t
step_tokens(const struct step *s)
{
	return s->tokens;
}

static void
store(struct step *s, const struct example *x)
{
	GROW(s->example, s->cap, s->n + 1);
	GROW(s->ids, s->ids_cap, s->n_ids + x->n);
	GROW(s->spans, s->spans_cap, s->n_spans + x->n_spans);
	GROW(s->key, s->key_cap, s->n + 1);
	memcpy(s->ids + s->n_ids, x->ids, x->n * sizeof *s->ids);
	memcpy(s->spans + s->n_spans, x->spans, x->n_spans * sizeof *s->spans);
	s->example[s->n++] = *x;
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

int
step_read(struct run *r, struct step *s, struct err *e)
{
	const uint32_t *which;
	size_t n = plan_step(&r->plan, r->step / r->steps_per_epoch, r->step % r->steps_per_epoch, &which);
	enum work before = work_switch(WORK_DATA);
	s->n = s->n_ids = s->n_spans = 0;
	s->weight = 0;
	for (size_t i = 0; i < n; i++) {
		struct example x;
		if (dataset_read(r->train, which[i], &x, e) < 0 || example_fits(&x, r->model.config.V, which[i], e) < 0)
			return -1;
		store(s, &x);
	}
	work_switch(before);
	const int32_t *ids = s->ids;
	const struct span *spans = s->spans;
	for (struct example *x = s->example; x < s->example + n; x++) {
		x->ids = ids;
		x->spans = spans;
		ids += x->n;
		spans += x->n_spans;
		s->weight += target_weight(x);
	}
	return 0;
}

/* ---- one micro-batch ---- */

/* Counts what of an example's completion was predicted right; `best` are the predictions at its targets. Returns how many
 * targets it has. */
static size_t
count_right(struct step *s, const struct example *x, const int32_t *best)
{
	uint64_t counted = 0, right = 0;
	size_t n = 0;
	for (struct target t = {0}; example_next_target(x, &t); n++) {
		counted += t.at >= x->completion;
		right += t.at >= x->completion && best[n] == x->ids[t.at];
	}
	s->counted_tokens += counted;
	s->right_tokens += right;
	s->counted_examples += counted > 0;
	s->right_examples += counted > 0 && right == counted;
	return n;
}

/* Forward and backward; returns the rows. */
static int
run_micro(struct run *r, struct step *s, size_t bin)
{
	const struct packing *p = &s->packing;
	packing_fill(p, bin, s->example, s->key, &s->batch);
	struct batch b = batch_view(&s->batch);
	if (b.n_targets == 0)
		return b.T;
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
	s->rows += (uint64_t)b.T;
	const int32_t *best = s->best;
	for (size_t i = p->first[bin]; i < p->first[bin + 1]; i++)
		best += count_right(s, &s->example[p->order[i]], best);
	return b.T;
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
	r->last = (struct figures){s->loss, (double)s->right_examples / (double)s->counted_examples,
		(double)s->right_tokens / (double)s->counted_tokens};
}

/* A step whose examples have no target between them teaches nothing: the weights and the moments stay. */
static int
pass_over(struct run *r, struct step *s)
{
	log_warn("step %lld: no target in any of its %zu examples; nothing is learned from it", (long long)r->step + 1, s->n);
	count_step(r, s);
	return 0;
}

static int
diverged(const struct run *r, const struct step *s, double rate, struct err *e)
{
	return err_set(e, ERR_DATA, "diverged at step %lld: loss %g, gradient norm %g, learning rate %g; the weights were not "
		"touched and the last checkpoint is intact; try a lower --learning-rate, more --warmup-steps, or "
		"--outlier-zscore 6", (long long)r->step + 1, s->loss, s->grad_norm, rate);
}

/* An outlier ends the run or is passed over; nothing finite is learned from it either way. */
static int
judge(struct run *r, struct step *s, struct err *e)
{
	const struct settings *set = r->set;
	s->outlier = set->outlier_zscore > 0 ? outliers_find(&r->outliers, s->loss, s->grad_norm, set->outlier_zscore, &s->zscore)
					     : NULL;
	if (s->outlier && strcmp(set->outlier_action, "stop") == 0)
		return err_set(e, ERR_DATA, "stopped at step %lld: its %s is %.1f deviations above those of the %d steps before (loss "
			"%g, gradient norm %g); the weights were not touched and the last checkpoint is intact; look at its examples, or "
			"go on with --outlier-action skip", (long long)r->step + 1, s->outlier, s->zscore, r->outliers.n, s->loss,
			s->grad_norm);
	if (s->outlier)
		log_warn("step %lld: %s is %.1f deviations above those before (loss %g, gradient norm %g); the step is skipped",
			(long long)r->step + 1, s->outlier, s->zscore, s->loss, s->grad_norm);
	s->skipped = s->outlier;
	outliers_add(&r->outliers, s->loss, s->grad_norm);
	return 0;
}

static void
begin(struct step *s)
{
	s->loss = s->grad_norm = 0;
	s->outlier = NULL;
	s->skipped = false;
	s->targets = s->rows = s->counted_tokens = s->right_tokens = s->counted_examples = s->right_examples = 0;
	s->tokens = s->n_ids;
}

static void
update(struct run *r, const struct step *s, double rate)
{
	enum work before = work_switch(WORK_OPTIMIZER);
	optimizer_step(&r->optimizer, &r->model, rate, clip_coefficient(s->grad_norm, r->set->max_grad_norm));
	lora_refresh(&r->model);
	work_switch(before);
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

/* Noise depends on a document's length, as some rotary embeddings do. */
static enum packing_rows
rows_of(const struct run *r)
{
	if (r->set->neftune_noise_alpha > 0 || model_length_matters(&r->model))
		return ROWS_ALL;
	return model_may_share(&r->model) ? ROWS_SHARED : ROWS_NEEDED;
}

static void
pack(const struct run *r, struct step *s)
{
	for (size_t i = 0; i < s->n; i++)
		s->key[i] = example_key(r, i);
	packing_make(&s->packing, s->example, s->n, (uint64_t)r->rows, rows_of(r));
}

int
step_run(struct run *r, struct step *s, double rate, struct err *e)
{
	begin(s);
	if (s->weight == 0)
		return pass_over(r, s);
	pack(r, s);
	model_zero_grad(&r->model);
	for (size_t b = 0; b < s->packing.bins; b++)
		run_micro(r, s, b);
	s->grad_norm = model_grad_norm(&r->model);
	if (!isfinite(s->loss) || !isfinite(s->grad_norm))
		return diverged(r, s, rate, e);
	if (judge(r, s, e) < 0)
		return -1;
	if (!s->skipped)
		update(r, s, rate);
	count_step(r, s);
	return 0;
}

int
step_try(struct run *r, struct step *s, uint64_t *tokens)
{
	const struct packing *p = &s->packing;
	size_t fullest = 0;
	pack(r, s);
	for (size_t b = 1; b < p->bins; b++)
		if (p->rows[b] > p->rows[fullest])
			fullest = b;
	*tokens = 0;
	for (size_t i = p->first[fullest]; i < p->first[fullest + 1]; i++)
		*tokens += s->example[p->order[i]].n;
	begin(s);
	model_zero_grad(&r->model);
	return run_micro(r, s, fullest);
}

json_t *
step_event(const struct run *r, const struct step *s, double rate, double seconds)
{
	json_t *event = json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:I}", "event", "train", "step",
		(json_int_t)r->step, "epoch", (double)r->step / (double)r->steps_per_epoch, "loss", s->loss, "grad_norm",
		s->grad_norm, "learning_rate", rate, "targets", (json_int_t)s->targets, "tokens", (json_int_t)s->tokens, "rows", (json_int_t)s->rows,
		"tokens_per_second", (double)s->tokens / (seconds > 1e-9 ? seconds : 1e-9), "peak_rss_bytes",
		(json_int_t)peak_rss_bytes());
	if (s->outlier) {
		json_object_set_new(event, "outlier", json_string(s->outlier));
		json_object_set_new(event, "zscore", json_number(s->zscore));
		json_object_set_new(event, "skipped", json_boolean(s->skipped));
	}
	return event;
}

/* ---- how much room it takes ---- */

/* More than any micro-batch can have: the longest example as often as there is room. */
static uint64_t
most_rows(const struct run *r)
{
	uint64_t longest = dataset_max_length(r->train), limit = (uint64_t)r->set->micro_tokens;
	return !limit ? longest * r->plan.batch_size : limit > longest ? limit : longest;
}

/* The run's own plan, gone through without computing: which examples meet in a step, and how they are packed. */
static uint64_t
planned_rows(const struct run *r)
{
	struct plan plan;
	size_t most = r->plan.batch_size < r->plan.examples ? r->plan.batch_size : r->plan.examples;
	uint32_t *length = xreallocarray(NULL, most, sizeof *length), *bin = xreallocarray(NULL, most, sizeof *bin);
	uint64_t *rows = xcalloc(most, sizeof *rows), largest = 0;
	plan_init(&plan, r->plan.examples, r->plan.batch_size, r->plan.shuffle, r->plan.seed);
	for (int64_t step = 0; step < r->total_steps; step++) {
		const uint32_t *which;
		size_t n = plan_step(&plan, step / r->steps_per_epoch, step % r->steps_per_epoch, &which);
		for (size_t i = 0; i < n; i++)
			length[i] = dataset_length(r->train, which[i]);
		size_t bins = plan_pack(length, n, (uint64_t)r->set->micro_tokens, bin);
		memset(rows, 0, bins * sizeof *rows);
		for (size_t i = 0; i < n; i++)
			if ((rows[bin[i]] += length[i]) > largest)
				largest = rows[bin[i]];
	}
	plan_release(&plan);
	free(length);
	free(bin);
	free(rows);
	return largest;
}

int
step_rows(const struct run *r)
{
	enum { LONG_RUN = 1 << 26 };  /* examples: going through the plan of more would take minutes */
	bool is_long = (uint64_t)r->total_steps * r->plan.batch_size > LONG_RUN;
	uint64_t rows = is_long ? most_rows(r) : planned_rows(r);
	return rows < INT32_MAX ? (int)rows : INT32_MAX;
}

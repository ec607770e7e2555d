/* --dry-run: what a run would take. Memory is measured: one micro-batch and one update are done for good, with a rate of
 * 0, and what they did not touch is added. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "math/gemm.h"
#include "train.h"

/* ---- memory ---- */

/* What the process holds now: the second number of /proc/self/statm, in pages; 0 where there is none. */
static double
resident_bytes(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%*s %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)sysconf(_SC_PAGESIZE) * (double)pages;
}

struct memory {
	double weights, mapped;  /* in memory of their own, and in the checkpoint's file */
	double packed;           /* copies of frozen weights */
	double gradients, moments, activations, rest, total;
};

/* `tried` rows of the working memory have been touched; the rest of it will be, in proportion. */
static struct memory
measure(const struct run *r, int tried)
{
	const struct model *m = &r->model;
	double packed = m->keep_packed ? (double)model_kept_bytes(m) : 0;
	struct memory x = {.packed = packed, .gradients = (double)m->grad_memory.size, .moments = (double)r->optimizer.memory.size,
		.activations = (double)model_work_bytes(m) - packed, .weights = (double)(m->value_memory.size + m->trained_memory.size)};
	x.mapped = (double)model_mapped_bytes(m);
	double now = resident_bytes() + x.activations * (1 - (double)tried / m->work.T), before = (double)peak_rss_bytes();
	x.total = now > before ? now : before;
	double named = x.weights + x.mapped + x.packed + x.gradients + x.moments + x.activations;
	x.rest = x.total > named ? x.total - named : 0;
	return x;
}

/* ---- operations ---- */

static double
mean(uint64_t sum, const struct dataset *d)
{
	return (double)sum / (double)dataset_count(d);
}

/* Multiply-adds count two; a weight is used once forward, once for the gradient of its input, and, when it is trained,
 * once for its own. The head sees targets only. Tables are looked up, not multiplied. Attention is left out. */
static double
flops_per_step(const struct run *r)
{
	const struct model *m = &r->model;
	double tokens = mean(dataset_tokens(r->train), r->train) * r->set->batch_size, used = 0;
	double targets = mean(dataset_targets(r->train), r->train) * r->set->batch_size;
	for (size_t i = 0; model_linear(m, i); i++) {
		const struct linear *l = model_linear(m, i);
		used += (double)l->in * l->out * (l == &m->head ? targets : tokens);
	}
	return (r->full ? 6 : 4) * used + (r->full ? 0 : 6.0 * (double)model_trained_parameters(m) * tokens);
}

/* ---- time ---- */

struct times {
	double token, update;  /* seconds of forward and backward for a token, and of one update */
	int rows;              /* that were tried, */
	uint64_t tokens;       /* of so many tokens */
};

/* The first pass meets cold memory; a second one is timed where that does not take long. */
static struct times
try(struct run *r, struct step *s)
{
	struct times t = {0};
	double start = clock_seconds();
	t.rows = step_try(r, s, &t.tokens);
	t.token = (clock_seconds() - start) / (double)t.tokens;
	if (clock_seconds() - start < 20) {
		start = clock_seconds();
		step_try(r, s, &t.tokens);
		t.token = (clock_seconds() - start) / (double)t.tokens;
	}
	model_grad_norm(&r->model);
	for (int i = 0; i < 2; i++) {
		start = clock_seconds();
		optimizer_step(&r->optimizer, &r->model, 0, 1);
		t.update = clock_seconds() - start;
	}
	return t;
}

static double
training_seconds(const struct run *r, const struct times *t)
{
	double tokens = mean(dataset_tokens(r->train), r->train) * (double)r->plan.examples / (double)r->steps_per_epoch;
	return (double)r->total_steps * (tokens * t->token + t->update);
}

/* How often the run evaluates. */
static int64_t
evaluations(const struct run *r)
{
	const struct settings *s = r->set;
	int64_t steps = s->eval_steps ? r->total_steps / s->eval_steps : 0;
	int64_t epochs = (r->total_steps + r->steps_per_epoch - 1) / r->steps_per_epoch;
	if (!r->valid || s->eval_strategy[0] == 'n')
		return 0;
	return s->eval_strategy[0] == 'e' ? steps + epochs : steps + 1;
}

/* A forward pass is a third of both where all is trained, and a half where weights have no gradient of their own. Every
 * label adds its tokens to every example. */
static double
evaluation_seconds(const struct run *r, const struct times *t)
{
	if (!r->valid)
		return 0;
	double n = (double)dataset_count(r->valid), tokens = mean(dataset_tokens(r->valid), r->valid);
	if (r->set->max_eval_samples && r->set->max_eval_samples < n)
		n = r->set->max_eval_samples;
	for (int k = 0; k < r->labels.K; k++)
		tokens += r->labels.n_ids[k] - 1;
	return (double)evaluations(r) * n * tokens * t->token / (r->full ? 3 : 2);
}

/* ---- all of it ---- */

static void
print_time(const char *what, double seconds)
{
	if (seconds < 120)
		printf("%-19s about %.3g s\n", what, seconds);
	else if (seconds < 7200)
		printf("%-19s about %.0f min\n", what, seconds / 60);
	else
		printf("%-19s about %.1f h\n", what, seconds / 3600);
}

static void
print_bytes(const char *what, double bytes)
{
	printf("memory: %-11s %.1f MB\n", what, bytes / 1e6);
}

static void
print_memory(const struct memory *m)
{
	print_bytes("weights", m->weights);
	print_bytes("mapped", m->mapped);
	print_bytes("packed", m->packed);
	print_bytes("gradients", m->gradients);
	print_bytes("optimiser", m->moments);
	print_bytes("activations", m->activations);
	print_bytes("all else", m->rest);
	print_bytes("total", m->total);
}

int
dryrun(struct run *r, struct err *e)
{
	struct step *s = step_new();
	if (step_read(r, s, e) < 0) {
		step_free(s);
		return -1;
	}
	const struct times t = try(r, s);
	const struct memory m = measure(r, t.rows);
	double training = training_seconds(r, &t), evaluating = evaluation_seconds(r, &t);
	printf("parameters          %zu\n", model_parameters(&r->model));
	printf("trained             %zu\n", model_trained_parameters(&r->model));
	printf("steps               %lld (%lld an epoch)\n", (long long)r->total_steps, (long long)r->steps_per_epoch);
	printf("tokens a micro-batch at most %d\n", r->model.work.T);
	print_memory(&m);
	printf("FLOPs a step        %.3g\n", flops_per_step(r));
	printf("FLOPs in all        %.3g\n", flops_per_step(r) * (double)r->total_steps);
	printf("tokens a second     %.0f (one micro-batch of %llu, forward and backward)\n", 1 / t.token,
		(unsigned long long)t.tokens);
	print_time("time: training", training);
	print_time("time: evaluation", evaluating);
	print_time("time: total", training + evaluating);
	step_free(s);
	return 0;
}

/* Training steps over random documents, all tokens targets or the last few, and where their time goes:
 *
 *   train DIR lora|full DTYPE [DOCS LENGTH TARGETS [STEPS [RANK [SHARED]]]]
 *
 * DIR as tests/bench/make_model.sh makes it; TARGETS 0: all; SHARED tokens are what all documents begin with. They are packed
 * as hone-train does it, so that a document's last row, from which nothing is predicted, is left out. Prints one JSON object. The first step is not counted.
 * FLOP/s count the base's products alone (2 a multiply-add), and `share` is the part of a step that these would take by
 * themselves in the library named: oneDNN where it is installed, with its weights packed beforehand, otherwise hone. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/worktime.h"
#include "math/bf16.h"
#include "math/f32.h"
#include "math/gemm.h"
#include "model/batch.h"
#include "model/lora.h"
#include "model/optimizer.h"
#include "model/packing.h"
#include "products_onednn.h"
#include "worktimes.h"

struct setup {
	const char *dir, *method, *dtype;
	int docs, length, targets, steps, rank, shared;
};

static void
fill_batch(struct batch_builder *bb, const struct setup *s, int V, struct rng *r)
{
	size_t n = (size_t)s->length, docs = (size_t)s->docs;
	int32_t *ids = xreallocarray(NULL, docs * n, sizeof *ids);
	struct example *x = xcalloc(docs, sizeof *x);
	struct packing p = {0};
	uint32_t quiet = s->targets ? (uint32_t)(s->length - s->targets) : 0;
	const struct span spans[] = {{quiet, 0}, {(uint32_t)s->length - quiet, 1}};
	for (size_t d = 0; d < docs; d++) {
		for (size_t i = 0; i < n; i++)
			ids[d * n + i] = d > 0 && (int)i < s->shared ? ids[i] : (int32_t)(rng_uniform(r) * V);
		x[d] = (struct example){.ids = ids + d * n, .n = (uint32_t)n, .spans = spans, .n_spans = 2, .completion = quiet};
	}
	packing_make(&p, x, docs, 0, ROWS_SHARED);
	packing_fill(&p, 0, x, NULL, bb);
	packing_release(&p);
	free(x);
	free(ids);
}

static int
open_model(struct model *m, struct adapter_config *c, const struct setup *s, struct err *e)
{
	const struct model_options opt = {.compute = math_compute(s->dtype)};
	if (model_open(m, s->dir, &opt, e) < 0)
		return -1;
	if (strcmp(s->method, "full") == 0) {
		model_train_all(m);
		return 0;
	}
	json_t *all = lora_all_linear(m);
	const struct adapter_config want = {.r = s->rank, .lora_alpha = 16, .base_model = s->dir, .target_modules = all};
	adapter_config_new(c, &want);
	json_decref(all);
	return lora_attach(m, c, 1, true, e);
}

static void
step(struct model *m, struct optimizer *o, const struct batch *b, float *nll, int32_t *best)
{
	model_zero_grad(m);
	model_forward(m, b);
	model_loss(m, b, 1.0f / (float)b->n_targets, nll, best);
	model_backward(m, b);
	enum work before = work_switch(WORK_OPTIMIZER);
	optimizer_step(o, m, 1e-4, 1 / fmax(1, model_grad_norm(m)));
	work_switch(before);
}

/* ---- the products of a step by themselves ---- */

/* C[M,N] = op(A) op(B), K between; ta: A is stored [K,M]; tb: B is stored [N,K]. */
struct product {
	int M, N, K;
	bool ta, tb;
};

struct alone {
	double seconds, flops;
	const char *library;
};

static void
multiply(const struct product *p, enum num type, const struct onednn *d, void *a, void *b, void *c)
{
	struct rows A = {a, p->ta ? p->M : p->K, type}, B = {b, p->tb ? p->K : p->N, type};
	if (d)
		onednn_run(d);
	else
		(type == NUM_BF16 ? bf16_product : f32_product)((struct rows){c, p->N, type}, operand_rows(A, p->ta),
			operand_rows(B, !p->tb), p->M, p->N, p->K, 1, 0);
}

/* The mean of three, after one that is not counted: on a machine whose speed changes from one moment to the next, the best
 * of them would be held against the mean of a whole step. */
static void
time_product(struct alone *sum, const struct product *p, enum num type, double times)
{
	size_t a = (size_t)p->M * (size_t)p->K, b = (size_t)p->N * (size_t)p->K, c = (size_t)p->M * (size_t)p->N;
	char *memory = xcalloc(a + b + c, num_size(type));
	void *A = memory, *B = memory + a * num_size(type), *C = memory + (a + b) * num_size(type);
	struct onednn *d = onednn_open(type, A, B, C, p->M, p->N, p->K, p->ta, p->tb);
	enum { TIMES = 3 };
	double start = 0;
	for (int i = 0; i <= TIMES; i++) {
		if (i == 1)
			start = clock_seconds();
		multiply(p, type, d, A, B, C);
	}
	sum->seconds += times * (clock_seconds() - start) / TIMES;
	sum->flops += times * 2 * (double)p->M * p->N * p->K;
	sum->library = d ? "oneDNN" : "hone";
	if (d)
		onednn_close(d);
	free(memory);
}

static void
time_linear(struct alone *sum, const struct linear *l, enum num type, int rows, bool trained, double times)
{
	time_product(sum, &(struct product){rows, l->out, l->in, false, true}, type, times);
	time_product(sum, &(struct product){rows, l->in, l->out, false, false}, type, times);
	if (trained)
		time_product(sum, &(struct product){l->out, l->in, rows, true, false}, type, times);
}

static struct alone
products_alone(const struct model *m, const struct setup *s, int rows, int targets)
{
	struct alone sum = {0};
	bool trained = strcmp(s->method, "full") == 0;
	for (int i = 0; i < m->layer[0].n_linears; i++)
		time_linear(&sum, &m->layer[0].linear[i], m->compute, rows, trained, m->config.L);
	time_linear(&sum, &m->head, m->compute, targets, trained, 1);
	return sum;
}

static void
report(const struct setup *s, const struct model *m, double seconds, const double *spent, int rows, int targets)
{
	uint64_t peak = peak_rss_bytes();
	struct alone alone = products_alone(m, s, rows, targets);
	double tokens = (double)s->steps * s->docs * s->length;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:i}", "what", "hone", "method", s->method, "dtype",
		m->compute == NUM_BF16 ? "bf16" : "fp32", "model", s->dir, "threads", math_threads(), "documents", s->docs, "length",
		s->length, "shared", s->shared, "tokens_per_second", tokens / seconds, "seconds_per_step", seconds / s->steps, "peak_rss_mb",
		(int)(peak >> 20));
	json_object_update_new(o, json_pack("{s:f, s:f, s:s, s:f}", "gflops", alone.flops * s->steps / seconds / 1e9, "products_gflops",
		alone.flops / alone.seconds / 1e9, "library", alone.library, "share", alone.seconds * s->steps / seconds));
	print_worktimes(o, spent, seconds);
}

int
main(int argc, char **argv)
{
	struct err e;
	struct model m;
	struct optimizer o;
	const struct optimizer_options adamw = {OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
	struct adapter_config c = {0};
	struct batch_builder bb = {0};
	struct rng r;
	math_start(argv);
	if (argc < 4)
		return 64;
	struct setup s = {argv[1], argv[2], argv[3], argc > 4 ? atoi(argv[4]) : 4, argc > 5 ? atoi(argv[5]) : 512,
		argc > 6 ? atoi(argv[6]) : 0, argc > 7 ? atoi(argv[7]) : 3, argc > 8 ? atoi(argv[8]) : 8, argc > 9 ? atoi(argv[9]) : 0};
	math_set_threads(0);
	if (open_model(&m, &c, &s, &e) < 0)
		die(&e);
	m.keep_packed = model_should_keep(&m);
	model_reserve(&m, s.docs * s.length, s.length, 0, KEEP_ALL);
	optimizer_init(&o, &m, &adamw);
	rng_init(&r, 1, 1);
	float *nll = xreallocarray(NULL, (size_t)(s.docs * s.length), sizeof *nll);
	int32_t *best = xreallocarray(NULL, (size_t)(s.docs * s.length), sizeof *best);
	double start = 0, before[WORK_KINDS] = {0}, spent[WORK_KINDS];
	for (int i = 0; i <= s.steps; i++) {
		fill_batch(&bb, &s, m.config.V, &r);
		struct batch b = batch_view(&bb);
		step(&m, &o, &b, nll, best);
		if (i > 0)
			continue;
		start = clock_seconds();
		for (int k = 0; k < WORK_KINDS; k++)
			before[k] = work_seconds(k);
	}
	double seconds = clock_seconds() - start;
	for (int k = 0; k < WORK_KINDS; k++)
		spent[k] = work_seconds(k) - before[k];
	report(&s, &m, seconds, spent, bb.T, bb.n_targets);
	return 0;
}

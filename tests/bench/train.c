/* Training steps over random documents, all tokens targets or the last few, and where their time goes:
 *
 *   train DIR lora|full DTYPE [DOCS LENGTH TARGETS [STEPS [RANK]]]
 *
 * DIR as tests/bench/make_model.sh makes it; TARGETS 0: all. Prints one JSON object. The first step is not counted. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/worktime.h"
#include "math/gemm.h"
#include "model/batch.h"
#include "model/lora.h"
#include "model/optimizer.h"

struct setup {
	const char *dir, *method, *dtype;
	int docs, length, targets, steps, rank;
};

static void
fill_batch(struct batch_builder *bb, const struct setup *s, int V, struct rng *r)
{
	int32_t *ids = xreallocarray(NULL, (size_t)s->length, sizeof *ids);
	batch_clear(bb);
	for (int d = 0; d < s->docs; d++) {
		for (int i = 0; i < s->length; i++)
			ids[i] = (int32_t)(rng_uniform(r) * V);
		int row = batch_add_document(bb, ids, s->length);
		for (int i = 0; i + 1 < s->length; i++)
			if (s->targets == 0 || i + 1 >= s->length - s->targets)
				batch_add_target(bb, row + i, ids[i + 1], 1);
	}
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

static void
report(const struct setup *s, const struct model *m, double seconds, const double *spent)
{
	double tokens = (double)s->steps * s->docs * s->length;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:i}", "what", "hone", "method", s->method, "dtype",
		m->compute == NUM_BF16 ? "bf16" : "fp32", "model", s->dir, "threads", math_threads(), "documents", s->docs, "length",
		s->length, "tokens_per_second", tokens / seconds, "seconds_per_step", seconds / s->steps, "peak_rss_mb",
		(int)(peak_rss_bytes() >> 20));
	for (int k = 0; k < WORK_KINDS; k++)
		json_object_set_new(o, work_name(k), json_real(spent[k] / seconds));
	char *text = json_dumps(o, JSON_REAL_PRECISION(4));
	puts(text);
	free(text);
	json_decref(o);
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
		argc > 6 ? atoi(argv[6]) : 0, argc > 7 ? atoi(argv[7]) : 3, argc > 8 ? atoi(argv[8]) : 8};
	math_set_threads(0);
	if (open_model(&m, &c, &s, &e) < 0)
		die(&e);
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
	report(&s, &m, seconds, spent);
	return 0;
}

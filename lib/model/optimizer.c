#include "model/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "math/dynamic8.h"
#include "math/update.h"

/* ---- memory ---- */

static void
take(struct optimizer *o, struct moment *s, const char *name, enum st_dtype dtype, bool as_param, size_t n)
{
	*s = (struct moment){name, dtype, as_param, n, arena_take(&o->memory, n, dtype == ST_U8 ? 1 : sizeof(float))};
}

static void
take_all(struct optimizer *o, struct moment *s, const struct model *m, const struct param *p)
{
	size_t n = param_size(p), blocks = (n + DYNAMIC8_BLOCK - 1) / DYNAMIC8_BLOCK;
	if (o->opt.type == OPTIMIZER_SGD) {
		if (o->opt.momentum > 0)
			take(o, &s[0], "m", ST_F32, true, n);
		return;
	}
	bool whole = o->opt.type == OPTIMIZER_ADAMW || n < OPTIMIZER_SMALL || p == m->embed;
	enum st_dtype dtype = whole ? ST_F32 : ST_U8;
	take(o, &s[0], "m", dtype, true, n);
	take(o, &s[1], "v", dtype, true, n);
	if (!whole) {
		take(o, &s[2], "m.max", ST_F32, false, blocks);
		take(o, &s[3], "v.max", ST_F32, false, blocks);
	}
}

void
optimizer_init(struct optimizer *o, const struct model *m, const struct optimizer_options *opt)
{
	*o = (struct optimizer){.opt = *opt};
	o->moment = xcalloc(m->n_trained, sizeof *o->moment);
	o->rate_ratio = xcalloc(m->n_trained, sizeof *o->rate_ratio);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->n_trained; i++) {
			o->rate_ratio[i] = 1;
			take_all(o, o->moment[i], m, m->trained[i]);
		}
		if (pass == 0)
			arena_make(&o->memory);
	}
}

void
optimizer_release(struct optimizer *o)
{
	free(o->moment);
	free(o->rate_ratio);
	arena_release(&o->memory);
	*o = (struct optimizer){0};
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

size_t
optimizer_set_loraplus(struct optimizer *o, const struct model *m, double ratio)
{
	size_t found = 0;
	for (size_t i = 0; i < m->n_trained; i++) {
		const char *name = m->trained[i]->name;
		if (!ends_with(name, "lora_B.weight") && !ends_with(name, "lora_embedding_B"))
			continue;
		o->rate_ratio[i] = ratio;
		found++;
	}
	return found;
}

/* ---- a step ---- */

static void
update_adamw(struct param *p, const struct moment *s, const struct adamw_update *u)
{
	size_t n = param_size(p);
	if (s[0].dtype == ST_U8)
		adamw8_update(p->value, s[0].data, s[2].data, s[1].data, s[3].data, p->grad, n, u);
	else
		adamw_update(p->value, s[0].data, s[1].data, p->grad, n, u);
}

static void
step_adamw(const struct optimizer *o, struct model *m, double rate, double grad_scale)
{
	const struct optimizer_options *opt = &o->opt;
	double t = (double)o->step, rest1 = 1 - pow(opt->beta1, t), rest2 = 1 - pow(opt->beta2, t);
	struct adamw_update u = {.beta1 = (float)opt->beta1, .beta2 = (float)opt->beta2, .eps = (float)opt->eps,
		.rest1 = (float)(1 - opt->beta1), .rest2 = (float)(1 - opt->beta2), .grad_scale = (float)grad_scale,
		.v_scale = (float)(1 / sqrt(rest2))};
	for (size_t i = 0; i < m->n_trained; i++) {
		double lr = rate * o->rate_ratio[i];
		u.keep = (float)(1 - lr * (param_decays(m->trained[i]) ? opt->weight_decay : 0));
		u.step_size = (float)(lr / rest1);
		update_adamw(m->trained[i], o->moment[i], &u);
	}
}

static void
step_sgd(const struct optimizer *o, struct model *m, double rate, double grad_scale)
{
	for (size_t i = 0; i < m->n_trained; i++) {
		struct param *p = m->trained[i];
		const struct sgd_update u = {.grad_scale = (float)grad_scale, .momentum = (float)o->opt.momentum,
			.decay = (float)(param_decays(p) ? o->opt.weight_decay : 0), .lr = (float)(rate * o->rate_ratio[i])};
		sgd_update(p->value, o->moment[i][0].data, p->grad, param_size(p), &u);
	}
}

void
optimizer_step(struct optimizer *o, struct model *m, double learning_rate, double grad_scale)
{
	o->step++;
	if (o->opt.type == OPTIMIZER_SGD)
		step_sgd(o, m, learning_rate, grad_scale);
	else
		step_adamw(o, m, learning_rate, grad_scale);
}

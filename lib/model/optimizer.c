#include "model/optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "math/simd.h"

void
adamw_init(struct adamw *o, const struct model *m, double weight_decay)
{
	*o = (struct adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = weight_decay};
	o->m = xcalloc(m->n_trained, sizeof *o->m);
	o->v = xcalloc(m->n_trained, sizeof *o->v);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < m->n_trained; i++) {
			o->m[i] = ARENA_TAKE(&o->memory, float, param_size(m->trained[i]));
			o->v[i] = ARENA_TAKE(&o->memory, float, param_size(m->trained[i]));
		}
		if (pass == 0)
			arena_make(&o->memory);
	}
}

void
adamw_release(struct adamw *o)
{
	free(o->m);
	free(o->v);
	arena_release(&o->memory);
	*o = (struct adamw){0};
}

/* The constants of one step, as torch's order of operations has them. */
struct update {
	float beta1, beta2, eps, grad_scale;
	float rest1, rest2;  /* 1 - beta1, 1 - beta2: of the doubles, as 1 - 0.999f is off by 1e-5 */
	float keep;         /* 1 - lr * decay */
	float step_size;    /* lr / (1 - beta1^t) */
	float v_scale;      /* 1 / sqrt(1 - beta2^t) */
};

HONE_SIMD static void
update_block(float *p, float *m, float *v, const float *g, const struct update *u, int n)
{
	float b1 = u->beta1, b2 = u->beta2, rest1 = u->rest1, rest2 = u->rest2, eps = u->eps, scale = u->grad_scale,
	      keep = u->keep, size = u->step_size, v_scale = u->v_scale;
	for (int i = 0; i < n; i++) {
		float x = g[i] * scale;
		m[i] = b1 * m[i] + rest1 * x;
		v[i] = b2 * v[i] + rest2 * x * x;
		p[i] = p[i] * keep - size * m[i] / (__builtin_sqrtf(v[i]) * v_scale + eps);
	}
}

void
adamw_step(struct adamw *o, struct model *m, double learning_rate, double grad_scale)
{
	enum { BLOCK = 1 << 14 };
	double t = (double)++o->step;
	struct update u = {.beta1 = (float)o->beta1, .beta2 = (float)o->beta2, .eps = (float)o->eps,
		.rest1 = (float)(1 - o->beta1), .rest2 = (float)(1 - o->beta2), .grad_scale = (float)grad_scale,
		.step_size = (float)(learning_rate / (1 - pow(o->beta1, t))), .v_scale = (float)(1 / sqrt(1 - pow(o->beta2, t)))};
	for (size_t i = 0; i < m->n_trained; i++) {
		struct param *p = m->trained[i];
		size_t n = param_size(p);
		u.keep = (float)(1 - learning_rate * (param_decays(p) ? o->weight_decay : 0));
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
		for (size_t at = 0; at < n; at += BLOCK)
			update_block(p->value + at, o->m[i] + at, o->v[i] + at, p->grad + at, &u,
				n - at < BLOCK ? (int)(n - at) : BLOCK);
	}
}

double
schedule_rate(const struct schedule *s, int64_t done)
{
	if (done < s->warmup)
		return s->peak * (double)done / (double)s->warmup;
	int64_t span = s->total - s->warmup > 1 ? s->total - s->warmup : 1;
	double progress = (double)(done - s->warmup) / (double)span;
	if (s->type == SCHEDULE_COSINE)
		return s->peak * fmax(0, 0.5 * (1 + cos(3.14159265358979323846 * progress)));
	if (s->type == SCHEDULE_LINEAR)
		return s->peak * fmax(0, 1 - progress);
	return s->peak;
}

/* An adapter's memory and its first values. */
#include "model/lora.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "math/lowrank.h"
#include "model/lora_int.h"

/* ---- memory ---- */

/* Hands out the memory of one parameter. */
static void
place(struct model *m, struct param *p, bool train)
{
	param_place(p, ARENA_TAKE(&m->trained_memory, float, param_size(p)));
	p->grad = train ? ARENA_TAKE(&m->grad_memory, float, param_size(p)) : NULL;
}

/* What an adapter has besides A. */
static void
place_rest(struct model *m, struct lora *a, bool train)
{
	place(m, &a->B, train);
	if (!lora_is_dora(a))
		return;
	place(m, &a->magnitude, train);
	a->norm = ARENA_TAKE(&m->trained_memory, float, param_size(&a->magnitude));
	a->gain = ARENA_TAKE(&m->trained_memory, float, param_size(&a->magnitude));
}

/* The adapters' parameters, and those of the base that are replaced, whose values are copied when there is memory:
 * `base` is the table as it was. */
static void
place_all(struct model *m, const struct adapter_config *c, bool train, const struct param *base)
{
	const struct linear *l;
	/* Every A behind the one before: so those of a projection can be read as one (model/projection.h). */
	for (size_t i = 0; (l = model_module(m, i)); i++)
		if (l->lora)
			place(m, &l->lora->A, train);
	for (size_t i = 0; (l = model_module(m, i)); i++)
		if (l->lora)
			place_rest(m, l->lora, train);
	for (size_t i = 0; i < m->n_params; i++) {
		struct param *p = &m->param[i];
		if (!lora_replaces(m, c, p))
			continue;
		place(m, p, train);
		if (p->value)
			param_read_exact(&base[i], 0, param_size(p), p->value);
	}
}

/* A parameter of this layer is trained (model/param.h). */
static void
add_trained(struct model *m, struct param *p, int layer)
{
	m->trained[m->n_trained++] = p;
	if (layer < m->lowest)
		m->lowest = layer;
}

/* The list of what is trained, in the order of the layers, and the lowest layer that has any of it. */
static void
list_trained(struct model *m)
{
	struct linear *l;
	m->trained = xcalloc(3 * (size_t)(m->config.L * MAX_LINEARS + 3) + m->n_params, sizeof *m->trained);
	m->lowest = m->config.L;
	for (size_t i = 0; (l = model_module(m, i)); i++) {
		int layer = l == &m->head ? m->config.L : l->w->layer;
		if (!l->lora)
			continue;
		add_trained(m, &l->lora->A, layer);
		add_trained(m, &l->lora->B, layer);
		if (lora_is_dora(l->lora))
			add_trained(m, &l->lora->magnitude, layer);
	}
	for (size_t i = 0; i < m->n_params; i++)
		if (m->param[i].grad)
			add_trained(m, &m->param[i], m->param[i].layer);
}

void
lora_take_memory(struct model *m, const struct adapter_config *c, bool train)
{
	struct param *base = xcalloc(m->n_params, sizeof *base);
	memcpy(base, m->param, m->n_params * sizeof *base);
	place_all(m, c, train, base);
	arena_make(&m->trained_memory);
	arena_make(&m->grad_memory);
	place_all(m, c, train, base);
	free(base);
	if (train)
		list_trained(m);
}

/* ---- values ---- */

static void
refresh(const struct model *m, const struct linear *l)
{
	struct lora *a = l->lora;
	struct matrix w = l->w->matrix;
	if (model_is_table(m, l)) {
		/* Its rows are what the layer takes in: the other way round than a head sees the same table. */
		w.transposed = true;
		w.in = l->in;
		w.out = l->out;
	}
	lowrank_norms(a->norm, &w, a->A.value, a->B.value, a->r, a->scale);
	/* A row of zeros puts out zeros whatever its magnitude: it stays as it is, where PEFT divides by 0. */
	for (int i = 0; i < w.out; i++)
		a->norm[i] = a->norm[i] > 0 ? a->norm[i] : INFINITY;
}

void
lora_refresh(struct model *m)
{
	const struct linear *l;
	for (size_t i = 0; (l = model_module(m, i)); i++)
		if (l->lora && lora_is_dora(l->lora))
			refresh(m, l);
}

/* Normal with a deviation, or uniform within one, from the stream of module i. */
static void
init_random(struct param *p, bool normal, double scale, uint64_t seed, size_t i)
{
	struct rng r;
	rng_init(&r, seed, RNG_STREAM(RNG_ADAPTER, i));
	for (size_t j = 0; j < param_size(p); j++)
		p->value[j] = (float)(scale * (normal ? rng_normal(&r) : 2 * rng_uniform(&r) - 1));
}

/* DoRA starts with the lengths that the rows have. */
static void
init_magnitudes(struct model *m)
{
	const struct linear *l;
	for (size_t i = 0; (l = model_module(m, i)); i++)
		for (int j = 0; l->lora && lora_is_dora(l->lora) && j < l->out; j++)
			l->lora->magnitude.value[j] = isinf(l->lora->norm[j]) ? 0 : l->lora->norm[j];
}

int
lora_attach(struct model *m, const struct adapter_config *c, uint64_t seed, bool train, struct err *e)
{
	struct linear *l;
	if (lora_choose(m, c, true, e) < 0)
		return -1;
	lora_take_memory(m, c, train);
	for (size_t i = 0; (l = model_module(m, i)); i++) {
		if (!l->lora)
			continue;
		if (model_is_table(m, l))
			init_random(&l->lora->B, true, 1, seed, i);
		else
			init_random(&l->lora->A, c->gaussian, c->gaussian ? 1.0 / l->lora->r : 1 / sqrt((double)l->in), seed, i);
	}
	lora_refresh(m);
	init_magnitudes(m);
	return 0;
}

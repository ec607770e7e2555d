#include "model/generate.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { PROMPT_CHUNK = 512 };

/* ---- sampling ---- */

void
sampler_init(struct sampler *s, double temperature, int top_k, double top_p, uint64_t seed)
{
	*s = (struct sampler){.temperature = temperature, .top_k = top_k, .top_p = top_p};
	rng_init(&s->rng, seed, RNG_STREAM(RNG_SAMPLING, 0));
}

void
sampler_release(struct sampler *s)
{
	free(s->candidate);
	s->candidate = NULL;
}

static int32_t
most_probable(const float *logits, int V)
{
	int32_t best = 0;
	for (int v = 1; v < V; v++)
		if (logits[v] > logits[best])
			best = v;
	return best;
}

static int
by_logit(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->logit != y->logit)
		return x->logit < y->logit ? 1 : -1;
	return x->id < y->id ? -1 : 1;
}

/* How many of n candidates, the most probable first, have top_p of the probability between them. */
static int
nucleus(const struct candidate *c, int n, double temperature, double top_p, double *total)
{
	double sum = 0, within = 0;
	int k = 0;
	for (int i = 0; i < n; i++)
		sum += exp((double)(c[i].logit - c[0].logit) / temperature);
	while (k < n && (k == 0 || within < top_p * sum))
		within += exp((double)(c[k++].logit - c[0].logit) / temperature);
	*total = within;
	return k;
}

int32_t
sampler_choose(struct sampler *s, const float *logits, int V)
{
	if (s->temperature == 0)
		return most_probable(logits, V);
	if (!s->candidate)
		s->candidate = xreallocarray(NULL, (size_t)V, sizeof *s->candidate);
	struct candidate *c = s->candidate;
	for (int v = 0; v < V; v++)
		c[v] = (struct candidate){logits[v], v};
	qsort(c, (size_t)V, sizeof *c, by_logit);
	double total;
	int n = nucleus(c, s->top_k > 0 && s->top_k < V ? s->top_k : V, s->temperature, s->top_p, &total);
	double left = rng_uniform(&s->rng) * total;
	for (int i = 0; i < n; i++) {
		left -= exp((double)(c[i].logit - c[0].logit) / s->temperature);
		if (left < 0)
			return c[i].id;
	}
	return c[n - 1].id;
}

/* ---- the cache ---- */

void
generator_init(struct generator *g, struct model *m, int capacity)
{
	int32_t *ids = xreallocarray(g->ids, (size_t)capacity, sizeof *ids);
	*g = (struct generator){.m = m, .capacity = capacity, .chunk = capacity < PROMPT_CHUNK ? capacity : PROMPT_CHUNK,
		.ids = ids};
	model_reserve(m, g->chunk, capacity, capacity, KEEP_NOTHING);
}

void
generator_release(struct generator *g)
{
	free(g->ids);
	*g = (struct generator){0};
}

void
generator_reset(struct generator *g)
{
	g->length = 0;
}

/* Computes n more rows of the sequence, of which `length` tokens are known. */
static void
advance(struct generator *g, int n, int length)
{
	int32_t pos[PROMPT_CHUNK];
	assert(n <= g->chunk && g->length + n <= g->capacity);
	for (int i = 0; i < n; i++)
		pos[i] = g->length + i;
	const struct attn_doc doc = {.q = 0, .n = n, .k = g->length, .prefix = 0, .n_prefix = g->length};
	const struct batch b = {.T = n, .ids = g->ids + g->length, .pos = pos, .docs = &doc, .n_docs = 1, .kv_row = g->length,
		.length = length};
	model_forward(g->m, &b);
	g->length += n;
}

/* Where a sequence grows out of the context of pre-training, longrope turns all of it in another way, and what the cache
 * holds is worth nothing. */
static bool
outgrows(const struct generator *g, int length)
{
	const struct config *c = &g->m->config;
	for (int i = 0; i < c->n_ropes; i++) {
		const struct rope *r = &c->rope[i];
		if (r->type == ROPE_LONGROPE && g->length <= r->original_max_position && length > r->original_max_position)
			return true;
	}
	return false;
}

struct draw {
	struct sampler *s;
	int V;
	int32_t id;
};

static void
take_logits(void *ctx, int first, int n, float *logits)
{
	struct draw *d = ctx;
	(void)first;
	(void)n;
	d->id = sampler_choose(d->s, logits, d->V);
	if (!isfinite(logits[d->id]))
		d->id = -1;
}

int32_t
generator_next(struct generator *g, const int32_t *ids, int n, struct sampler *s)
{
	int rows = 0, length = g->length + n;
	assert(n > 0 && length <= g->capacity);
	memcpy(g->ids + g->length, ids, (size_t)n * sizeof *ids);
	if (outgrows(g, length))
		generator_reset(g);
	for (; g->length < length;) {
		rows = length - g->length < g->chunk ? length - g->length : g->chunk;
		advance(g, rows, length);
	}
	struct draw d = {s, g->m->config.V, 0};
	const int32_t last = rows - 1;
	model_logits(g->m, &last, 1, take_logits, &d);
	return d.id;
}

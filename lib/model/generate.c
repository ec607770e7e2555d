#include "model/generate.h"

#include <assert.h>
#include <math.h>

enum { PROMPT_CHUNK = 512 };

void
generator_init(struct generator *g, struct model *m, int capacity)
{
	*g = (struct generator){.m = m, .capacity = capacity, .chunk = capacity < PROMPT_CHUNK ? capacity : PROMPT_CHUNK};
	model_reserve(m, g->chunk, capacity, capacity, KEEP_NOTHING);
}

void
generator_reset(struct generator *g)
{
	g->length = 0;
}

/* Computes n rows that follow what is in the cache. */
static void
advance(struct generator *g, const int32_t *ids, int n)
{
	int32_t pos[PROMPT_CHUNK];
	assert(n <= g->chunk && g->length + n <= g->capacity);
	for (int i = 0; i < n; i++)
		pos[i] = g->length + i;
	const struct attn_doc doc = {.q = 0, .n = n, .k = g->length, .prefix = 0, .n_prefix = g->length};
	const struct batch b = {.T = n, .ids = ids, .pos = pos, .docs = &doc, .n_docs = 1, .kv_row = g->length};
	model_forward(g->m, &b);
	g->length += n;
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
	int rows = 0;
	for (int at = 0; at < n; at += rows) {
		rows = n - at < g->chunk ? n - at : g->chunk;
		advance(g, ids + at, rows);
	}
	struct draw d = {s, g->m->config.V, 0};
	const int32_t last = rows - 1;
	model_logits(g->m, &last, 1, take_logits, &d);
	return d.id;
}

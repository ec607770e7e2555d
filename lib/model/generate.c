#include "model/generate.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { PROMPT_CHUNK = 512 };

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

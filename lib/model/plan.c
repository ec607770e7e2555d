#include "model/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

void
plan_init(struct plan *p, size_t examples, size_t batch_size, bool shuffle, uint64_t seed)
{
	*p = (struct plan){examples, batch_size, shuffle, seed, NULL, -1};
	p->order = xreallocarray(NULL, examples, sizeof *p->order);
}

void
plan_release(struct plan *p)
{
	free(p->order);
	p->order = NULL;
}

int64_t
plan_steps_per_epoch(const struct plan *p)
{
	return (int64_t)((p->examples + p->batch_size - 1) / p->batch_size);
}

static void
order_epoch(struct plan *p, int64_t epoch)
{
	for (size_t i = 0; i < p->examples; i++)
		p->order[i] = (uint32_t)i;
	if (p->shuffle) {
		struct rng r;
		rng_init(&r, p->seed, RNG_STREAM(RNG_ORDER, epoch));
		rng_shuffle(&r, p->order, p->examples);
	}
	p->epoch = epoch;
}

size_t
plan_step(struct plan *p, int64_t epoch, int64_t step, const uint32_t **first)
{
	if (p->epoch != epoch)
		order_epoch(p, epoch);
	size_t at = (size_t)step * p->batch_size;
	*first = p->order + at;
	return p->examples - at < p->batch_size ? p->examples - at : p->batch_size;
}

struct item {
	uint32_t length, index;
};

static int
longer_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->length != y->length)
		return x->length < y->length ? 1 : -1;
	return x->index < y->index ? -1 : 1;
}

size_t
plan_pack(const uint32_t *lengths, size_t n, uint64_t capacity, uint32_t *bin)
{
	if (capacity == 0) {
		memset(bin, 0, n * sizeof *bin);
		return n > 0;
	}
	struct item *items = xreallocarray(NULL, n, sizeof *items);
	uint64_t *room = xreallocarray(NULL, n, sizeof *room);
	size_t bins = 0;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct item){lengths[i], (uint32_t)i};
	qsort(items, n, sizeof *items, longer_first);
	for (size_t i = 0; i < n; i++) {
		size_t b = 0;
		while (b < bins && room[b] < items[i].length)
			b++;
		if (b == bins)
			room[bins++] = capacity > items[i].length ? capacity : items[i].length;
		room[b] -= items[i].length;
		bin[items[i].index] = (uint32_t)b;
	}
	free(room);
	free(items);
	return bins;
}

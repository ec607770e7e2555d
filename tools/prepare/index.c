#include "index.h"

#include <stdlib.h>

#include "base/mem.h"

static struct index_slot *
find(const struct index *x, XXH128_hash_t key)
{
	size_t i = (size_t)key.low64 & (x->cap - 1);
	while (x->slot[i].used && !XXH128_isEqual(x->slot[i].key, key))
		i = (i + 1) & (x->cap - 1);
	return &x->slot[i];
}

static void
grow(struct index *x)
{
	struct index old = *x;
	x->cap = old.cap ? 2 * old.cap : 1024;
	x->slot = xcalloc(x->cap, sizeof *x->slot);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slot[i].used)
			*find(x, old.slot[i].key) = old.slot[i];
	free(old.slot);
}

uint32_t
index_put(struct index *x, XXH128_hash_t key, uint32_t value)
{
	if (3 * x->cap <= 4 * x->n)
		grow(x);
	struct index_slot *s = find(x, key);
	if (!s->used) {
		*s = (struct index_slot){key, value, 1};
		x->n++;
	}
	return s->value;
}

void
index_release(struct index *x)
{
	free(x->slot);
	*x = (struct index){0};
}

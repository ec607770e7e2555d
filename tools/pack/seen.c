#include "seen.h"

#include <stdlib.h>

#include "base/mem.h"

static bool
is_free(XXH128_hash_t h)
{
	return (h.low64 | h.high64) == 0;
}

/* The slot that holds h, or the free one where it belongs. */
static XXH128_hash_t *
slot(const struct seen_table *t, XXH128_hash_t h)
{
	size_t i = (size_t)h.low64 & (t->cap - 1);
	while (!is_free(t->slots[i]) && !XXH128_isEqual(t->slots[i], h))
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static void
grow(struct seen_table *t)
{
	struct seen_table old = *t;
	t->cap = old.cap ? 2 * old.cap : 16;
	t->slots = xcalloc(t->cap, sizeof *t->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (!is_free(old.slots[i]))
			*slot(t, old.slots[i]) = old.slots[i];
	free(old.slots);
}

bool
seen_add(struct seen *s, XXH128_hash_t h)
{
	if (is_free(h))
		h.low64 = 1;
	struct seen_table *t = &s->table[h.high64 >> 56];
	if (3 * t->cap <= 4 * t->n)
		grow(t);
	XXH128_hash_t *at = slot(t, h);
	if (!is_free(*at))
		return true;
	*at = h;
	t->n++;
	return false;
}

void
seen_release(struct seen *s)
{
	for (int i = 0; i < SEEN_TABLES; i++)
		free(s->table[i].slots);
	*s = (struct seen){0};
}

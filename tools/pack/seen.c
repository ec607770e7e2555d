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
slot(const struct seen *s, XXH128_hash_t h)
{
	size_t i = (size_t)h.low64 & (s->cap - 1);
	while (!is_free(s->slots[i]) && !XXH128_isEqual(s->slots[i], h))
		i = (i + 1) & (s->cap - 1);
	return &s->slots[i];
}

static void
grow(struct seen *s)
{
	struct seen old = *s;
	s->cap = old.cap ? 2 * old.cap : 1024;
	s->slots = xcalloc(s->cap, sizeof *s->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (!is_free(old.slots[i]))
			*slot(s, old.slots[i]) = old.slots[i];
	free(old.slots);
}

bool
seen_add(struct seen *s, XXH128_hash_t h)
{
	if (is_free(h))
		h.low64 = 1;
	if (3 * s->cap <= 4 * s->n)
		grow(s);
	XXH128_hash_t *at = slot(s, h);
	if (!is_free(*at))
		return true;
	*at = h;
	s->n++;
	return false;
}

void
seen_release(struct seen *s)
{
	free(s->slots);
	*s = (struct seen){0};
}

#include "text/wordcache.h"

#include "base/mem.h"

_Static_assert(sizeof(struct wordcache_slot) == 64, "an entry is a cache line");
_Static_assert(WORDCACHE_SLOTS <= 1 << 16, "an index is 16 bits of the hash");

void
wordcache_init(struct wordcache *c)
{
	c->slot = mem_map(WORDCACHE_SLOTS, sizeof *c->slot);
}

void
wordcache_release(struct wordcache *c)
{
	mem_unmap(c->slot, WORDCACHE_SLOTS, sizeof *c->slot);
}

/* The new entry takes the first place, and what was there the second. */
void
wordcache_put(struct wordcache *c, const struct wordcache_key *k, const int32_t *ids, size_t n)
{
	struct wordcache_slot *s = &c->slot[k->index];
	if (n > WORDCACHE_IDS)
		return;
	if (s->key_n)
		c->slot[k->index ^ 1] = *s;
	*s = (struct wordcache_slot){.head = k->head, .tail = k->tail};
	s->key_n = (uint8_t)k->n;
	s->ids_n = (uint8_t)n;
	if (k->n > 16)
		memcpy(s->middle, k->p + 8, k->n - 16);
	if (n)
		memcpy(s->ids, ids, n * sizeof *ids);
}

/* A bounded cache from the bytes of a word to its ids: one thread's, 64 bytes (a cache line) an entry, two
 * places for each word. */
#ifndef HONE_TEXT_WORDCACHE_H
#define HONE_TEXT_WORDCACHE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WORDCACHE_KEY = 32, WORDCACHE_IDS = 7, WORDCACHE_SLOTS = 1 << 16 };

struct wordcache_slot {
	uint64_t head, tail;                /* the first and the last 8 bytes, which may overlap */
	char middle[WORDCACHE_KEY - 16];
	uint8_t key_n;                      /* 0: a free slot */
	uint8_t ids_n;
	uint8_t pad[2];
	int32_t ids[WORDCACHE_IDS];
};

struct wordcache {
	struct wordcache_slot *slot;  /* [WORDCACHE_SLOTS], aligned to 64 */
};

/* What a key is found by; wordcache_put takes what wordcache_get worked out. */
struct wordcache_key {
	const char *p;
	size_t n;  /* from 1; more than WORDCACHE_KEY: it is not looked up, and the rest is not set */
	uint64_t head, tail;
	size_t index;
};

void wordcache_init(struct wordcache *c);
void wordcache_release(struct wordcache *c);
void wordcache_put(struct wordcache *c, const struct wordcache_key *k, const int32_t *ids, size_t n);

static inline uint64_t
wordcache_load(const char *p, size_t n)
{
	uint64_t x = 0;
	memcpy(&x, p, n);
	return x;
}

/* head and tail and n determine a key of up to 16 bytes. */
static inline void
wordcache_make_key(struct wordcache_key *k, const char *p, size_t n)
{
	k->p = p;
	k->n = n;
	if (n >= 8) {
		k->head = wordcache_load(p, 8);
		k->tail = wordcache_load(p + n - 8, 8);
	} else if (n >= 4) {
		k->head = wordcache_load(p, 4);
		k->tail = wordcache_load(p + n - 4, 4);
	} else {
		k->head = (uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8;
		k->tail = (uint8_t)p[n - 1];
	}
	uint64_t h = (k->head ^ (uint64_t)n << 56) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29 ^ k->tail) * 0xbf58476d1ce4e5b9u;
	if (n > 16)
		for (size_t i = 8; i < n - 8; i += 8)
			h = (h ^ h >> 31 ^ wordcache_load(p + i, 8)) * 0x94d049bb133111ebu;
	k->index = h >> 48 & (WORDCACHE_SLOTS - 1);
}

/* Asks for the memory that looking a key up needs. */
static inline void
wordcache_expect(const struct wordcache *c, const struct wordcache_key *k)
{
	__builtin_prefetch(&c->slot[k->index]);
}

/* The entry of a key, or NULL. */
static inline const struct wordcache_slot *
wordcache_get(const struct wordcache *c, const struct wordcache_key *k)
{
	for (size_t i = 0; i < 2; i++) {
		const struct wordcache_slot *s = &c->slot[k->index ^ i];
		if (s->key_n == k->n && s->head == k->head && s->tail == k->tail &&
			(k->n <= 16 || !memcmp(s->middle, k->p + 8, k->n - 16)))
			return s;
	}
	return NULL;
}

#endif

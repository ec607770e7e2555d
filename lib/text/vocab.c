#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { BLOCK = 1 << 18 };

static inline uint64_t
load(const char *p, size_t n)
{
	uint64_t x = 0;
	memcpy(&x, p, n);
	return x;
}

/* Most tokens are short: first and last bytes, which may overlap, and the length tell them apart. */
static inline uint64_t
hash_of(const char *p, size_t n)
{
	uint64_t a, b;
	if (n > 16)
		return XXH3_64bits(p, n);
	if (n >= 8) {
		a = load(p, 8);
		b = load(p + n - 8, 8);
	} else if (n >= 4) {
		a = load(p, 4);
		b = load(p + n - 4, 4);
	} else {
		a = n ? (uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 : 0;
		b = n ? (uint8_t)p[n - 1] : 0;
	}
	uint64_t h = (a ^ (uint64_t)n << 56) * 0x9e3779b97f4a7c15u;
	h = (h ^ h >> 29 ^ b) * 0xbf58476d1ce4e5b9u;
	return h ^ h >> 32;
}

#define SHOWN(n) (int)((n) < 64 ? (n) : 64)  /* bytes of a token in a message */

struct vocab_block {
	struct vocab_block *next;
	size_t used, size;
	char data[];
};

static void
make_slots(struct vocab *v, size_t slots)
{
	if (v->slot)
		mem_unmap(v->slot, v->mask + 1, sizeof *v->slot);
	v->slot = mem_map(slots, sizeof *v->slot);
	memset(v->slot, 0xff, slots * sizeof *v->slot);
	v->mask = slots - 1;
}

void
vocab_init(struct vocab *v, size_t expected)
{
	*v = (struct vocab){0};
	size_t slots = 64;
	while (slots < 2 * expected)
		slots *= 2;
	make_slots(v, slots);
}

void
vocab_release(struct vocab *v)
{
	for (struct vocab_block *b = v->block, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(v->token);
	if (v->slot)
		mem_unmap(v->slot, v->mask + 1, sizeof *v->slot);
	*v = (struct vocab){0};
}

static const char *
keep(struct vocab *v, const char *text, size_t n)
{
	struct vocab_block *b = v->block;
	if (!b || b->size - b->used < n + 1) {
		size_t size = n + 1 > BLOCK ? n + 1 : BLOCK;
		b = xmalloc(sizeof *b + size);
		*b = (struct vocab_block){.next = v->block, .size = size};
		v->block = b;
	}
	char *p = b->data + b->used;
	memcpy(p, text, n);
	p[n] = '\0';
	b->used += n + 1;
	return p;
}

/* The slot that holds the token, or the free one where it would be. */
static struct vocab_slot *
find(const struct vocab *v, const char *text, size_t n, uint64_t hash)
{
	size_t i = hash & v->mask;
	for (; v->slot[i].id >= 0; i = (i + 1) & v->mask) {
		const struct vocab_token *t = &v->token[v->slot[i].id];
		if (v->slot[i].hash == hash >> 32 && t->n == n && !memcmp(t->text, text, n))
			break;
	}
	return &v->slot[i];
}

static void
rehash(struct vocab *v)
{
	make_slots(v, 2 * (v->mask + 1));
	for (size_t id = 0; id < v->size; id++) {
		const struct vocab_token *t = &v->token[id];
		if (!t->text)
			continue;
		uint64_t hash = hash_of(t->text, t->n);
		*find(v, t->text, t->n, hash) = (struct vocab_slot){(int32_t)id, (uint32_t)(hash >> 32)};
	}
}

int
vocab_add(struct vocab *v, const char *text, size_t n, int64_t id, struct err *e)
{
	if (id < 0 || id >= VOCAB_MAX_ID)
		return err_set(e, ERR_CONFIG, "token '%.*s' has id %lld, not within 0 and %d", SHOWN(n), text,
			(long long)id, VOCAB_MAX_ID - 1);
	if (n > UINT32_MAX / 2)
		return err_set(e, ERR_CONFIG, "token %lld is %zu bytes long", (long long)id, n);
	if ((size_t)id >= v->size) {
		GROW(v->token, v->cap, (size_t)id + 1);
		memset(v->token + v->size, 0, ((size_t)id + 1 - v->size) * sizeof *v->token);
		v->size = (size_t)id + 1;
	}
	if (v->token[id].text)
		return err_set(e, ERR_CONFIG, "tokens '%.64s' and '%.*s' have the same id %lld",
			v->token[id].text, SHOWN(n), text, (long long)id);
	if (2 * (v->count + 1) > v->mask)
		rehash(v);
	uint64_t hash = hash_of(text, n);
	struct vocab_slot *slot = find(v, text, n, hash);
	if (slot->id >= 0)
		return err_set(e, ERR_CONFIG, "token '%.*s' has two ids, %d and %lld", SHOWN(n), text, slot->id,
			(long long)id);
	v->token[id] = (struct vocab_token){keep(v, text, n), (uint32_t)n};
	*slot = (struct vocab_slot){(int32_t)id, (uint32_t)(hash >> 32)};
	v->count++;
	v->longest = n > v->longest ? n : v->longest;
	return 0;
}

int32_t
vocab_id(const struct vocab *v, const char *text, size_t n)
{
	return find(v, text, n, hash_of(text, n))->id;
}

void
vocab_ids(const struct vocab *v, const struct vocab_key *key, size_t n, int32_t *id)
{
	uint64_t hash[VOCAB_BATCH];
	for (size_t i = 0; i < n; i++) {
		hash[i] = hash_of(key[i].text, key[i].n);
		__builtin_prefetch(&v->slot[hash[i] & v->mask]);
	}
	for (size_t i = 0; i < n; i++) {
		int32_t first = v->slot[hash[i] & v->mask].id;
		__builtin_prefetch(&v->token[first < 0 ? 0 : first]);
	}
	for (size_t i = 0; i < n; i++) {
		int32_t first = v->slot[hash[i] & v->mask].id;
		__builtin_prefetch(first < 0 ? NULL : v->token[first].text);
	}
	for (size_t i = 0; i < n; i++)
		id[i] = find(v, key[i].text, key[i].n, hash[i])->id;
}

void
vocab_expect(const struct vocab *v, const struct vocab_key *key, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__builtin_prefetch(&v->slot[hash_of(key[i].text, key[i].n) & v->mask], 1);
}

const struct vocab_token *
vocab_token(const struct vocab *v, int64_t id)
{
	return id < 0 || (size_t)id >= v->size || !v->token[id].text ? NULL : &v->token[id];
}

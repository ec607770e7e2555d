#include "text/spm_trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void
make_slots(struct spm_trie *t, int shift)
{
	size_t slots = (size_t)1 << (64 - shift);
	t->shift = shift;
	t->edge = xreallocarray(NULL, slots, sizeof *t->edge);
	memset(t->edge, 0xff, slots * sizeof *t->edge);
}

static void
grow(struct spm_trie *t)
{
	struct spm_trie_edge *old = t->edge;
	size_t slots = (size_t)1 << (64 - t->shift);
	make_slots(t, t->shift - 1);
	for (size_t i = 0; i < slots; i++)
		if (old[i].from_byte != UINT32_MAX)
			*(struct spm_trie_edge *)spm_trie_slot(t, old[i].from_byte) = old[i];
	free(old);
}

static uint32_t
add_node(struct spm_trie *t)
{
	GROW(t->value, t->value_cap, t->n + 1);
	t->value[t->n] = -1;
	return (uint32_t)t->n++;
}

int
spm_trie_add(struct spm_trie *t, const char *key, size_t n, int32_t value)
{
	uint32_t at = 0;
	if (!t->n) {
		make_slots(t, 64 - 10);
		add_node(t);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t next = spm_trie_step(t, at, key[i]);
		if (!next) {
			if (t->n == SPM_TRIE_NODES)
				return -1;
			if (2 * t->n > UINT64_MAX >> t->shift)
				grow(t);
			next = add_node(t);
			uint32_t from_byte = at << 8 | (uint8_t)key[i];
			*(struct spm_trie_edge *)spm_trie_slot(t, from_byte) =
				(struct spm_trie_edge){from_byte, next};
		}
		at = next;
	}
	t->value[at] = value;
	return 0;
}

void
spm_trie_release(struct spm_trie *t)
{
	free(t->edge);
	free(t->value);
	*t = (struct spm_trie){0};
}

size_t
spm_trie_longest(const struct spm_trie *t, const char *p, size_t n, int32_t *value)
{
	size_t longest = 0;
	uint32_t at = 0;
	for (size_t i = 0; i < n && (at = spm_trie_step(t, at, p[i])); i++)
		if (t->value[at] >= 0) {
			longest = i + 1;
			*value = t->value[at];
		}
	return longest;
}

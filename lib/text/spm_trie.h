/* A trie over bytes that gives the value of every key that a text begins with. */
#ifndef HONE_TEXT_SPM_TRIE_H
#define HONE_TEXT_SPM_TRIE_H

#include <stddef.h>
#include <stdint.h>

/* The step from a node by a byte; hashed, open addressing. */
struct spm_trie_edge {
	uint32_t from_byte;  /* node << 8 | byte; UINT32_MAX: free */
	uint32_t to;
};

enum { SPM_TRIE_NODES = 1 << 23 };  /* so that node << 8 fits */

/* Zero-initialise. Node 0 is the root. */
struct spm_trie {
	struct spm_trie_edge *edge;
	int32_t *value;      /* [n], of the key that ends at a node; -1: none */
	size_t n, value_cap;
	int shift;           /* 64 - log2 of the slots */
};

/* Adds a key of n > 0 bytes with a value >= 0; -1 when the trie is full. The last value of a key counts. */
int spm_trie_add(struct spm_trie *t, const char *key, size_t n, int32_t value);
void spm_trie_release(struct spm_trie *t);

static inline const struct spm_trie_edge *
spm_trie_slot(const struct spm_trie *t, uint32_t from_byte)
{
	uint64_t mask = UINT64_MAX >> t->shift;
	uint64_t i = from_byte * 0x9e3779b97f4a7c15u >> t->shift;
	while (t->edge[i].from_byte != UINT32_MAX && t->edge[i].from_byte != from_byte)
		i = (i + 1) & mask;
	return &t->edge[i];
}

/* The node that a byte leads to, or 0 when there is none. */
static inline uint32_t
spm_trie_step(const struct spm_trie *t, uint32_t node, char byte)
{
	if (!t->n)
		return 0;
	const struct spm_trie_edge *x = spm_trie_slot(t, node << 8 | (uint8_t)byte);
	return x->from_byte == UINT32_MAX ? 0 : x->to;
}

/* The length of the longest key that n bytes begin with, and its value; 0 when there is none. */
size_t spm_trie_longest(const struct spm_trie *t, const char *p, size_t n, int32_t *value);

#endif

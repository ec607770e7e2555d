#include "eval/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct path {
	const int32_t *ids;
	int n, label;
};

/* By tokens: a path stands before those that it begins. */
static int
by_tokens(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	for (int i = 0; i < x->n && i < y->n; i++)
		if (x->ids[i] != y->ids[i])
			return x->ids[i] < y->ids[i] ? -1 : 1;
	return (x->n > y->n) - (x->n < y->n);
}

static int
common(const struct path *a, const struct path *b)
{
	int i = 0;
	while (i < a->n && i < b->n && a->ids[i] == b->ids[i])
		i++;
	return i;
}

static int
add_node(struct label_trie *t, int32_t token, int parent)
{
	t->token[t->n] = token;
	t->parent[t->n] = parent;
	t->depth[t->n] = parent < 0 ? 1 : t->depth[parent] + 1;
	return t->n++;
}

/* Paths in order: each adds what it does not share with the one before. */
static void
add_paths(struct label_trie *t, const struct path *path)
{
	for (int k = 0; k < t->K; k++) {
		int shared = k ? common(&path[k - 1], &path[k]) : 0, node = k ? t->end[path[k - 1].label] : -1;
		while (node >= 0 && t->depth[node] > shared)
			node = t->parent[node];
		for (int i = shared; i < path[k].n; i++)
			node = add_node(t, path[k].ids[i], node);
		t->end[path[k].label] = node;
	}
}

/* Which nodes have rows, and their chains; chain_of is 0 where there is one to be, before they are numbered. */
static void
add_chains(struct label_trie *t)
{
	for (int i = 0; i < t->n; i++)
		t->chain_of[i] = -1;
	for (int i = 0; i < t->n; i++)
		if (t->parent[i] >= 0)
			t->chain_of[t->parent[i]] = 0;
	for (int k = 0; t->with_end && k < t->K; k++)
		t->chain_of[t->end[k]] = 0;
	for (int i = 0; i < t->n; i++) {
		if (t->chain_of[i] < 0)
			continue;
		int parent = t->parent[i];
		bool goes_on = i > 0 && parent == i - 1;
		if (!goes_on)
			t->chain[t->n_chains++] = (struct label_chain){i, 0, parent < 0 ? -1 : t->chain_of[parent], t->depth[i] - 1};
		struct label_chain *c = &t->chain[t->n_chains - 1];
		c->n++;
		t->chain_of[i] = t->n_chains - 1;
		t->rows++;
	}
}

void
label_trie_init(struct label_trie *t, int32_t *const *ids, const int *n_ids, int K, bool first, bool with_end)
{
	size_t most = 0;
	*t = (struct label_trie){.K = K, .with_end = with_end && !first};
	struct path *path = xcalloc((size_t)K, sizeof *path);
	for (int k = 0; k < K; k++) {
		path[k] = (struct path){ids[k], first ? 1 : n_ids[k], k};
		most += (size_t)path[k].n;
	}
	qsort(path, (size_t)K, sizeof *path, by_tokens);
	t->token = xcalloc(most, sizeof *t->token);
	t->parent = xcalloc(most, sizeof *t->parent);
	t->depth = xcalloc(most, sizeof *t->depth);
	t->chain_of = xcalloc(most, sizeof *t->chain_of);
	t->chain = xcalloc(most, sizeof *t->chain);
	t->end = xcalloc((size_t)K, sizeof *t->end);
	add_paths(t, path);
	add_chains(t);
	free(path);
}

void
label_trie_release(struct label_trie *t)
{
	free(t->token);
	free(t->parent);
	free(t->depth);
	free(t->chain_of);
	free(t->chain);
	free(t->end);
	*t = (struct label_trie){0};
}

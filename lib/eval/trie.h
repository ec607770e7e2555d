/* The tokens of all labels as a trie below the prompt: what labels share is computed once. Nodes stand in depth-first
 * order, so that a node's first child follows it.
 *
 * A node has a row in the batch when something is predicted after it: another node, or the end-of-sequence token. Rows
 * are added in chains, each a run of nodes that follow one another downwards. */
#ifndef HONE_EVAL_TRIE_H
#define HONE_EVAL_TRIE_H

#include <stdbool.h>
#include <stdint.h>

struct label_chain {
	int first, n;   /* nodes first .. first+n-1 */
	int parent;     /* the chain that it branches off; -1: the prompt */
	int depth;      /* tokens between the prompt and the chain's first */
};

struct label_trie {
	int n, K;              /* nodes, labels */
	int32_t *token;        /* [n] */
	int *parent, *depth;   /* [n] a node, -1 for the prompt; tokens from the prompt to here, itself included */
	int *end;              /* [K] the node where a label ends */
	bool with_end;         /* the token behind a label is scored as well */
	struct label_chain *chain;
	int n_chains;
	int *chain_of;         /* [n] the chain that has the node's row; -1: it has none */
	int rows;              /* of all chains */
};

/* Builds the trie of K labels of n_ids[k] > 0 tokens each; `first` takes only the first token of each. */
void label_trie_init(struct label_trie *t, int32_t *const *ids, const int *n_ids, int K, bool first, bool with_end);
void label_trie_release(struct label_trie *t);

#endif

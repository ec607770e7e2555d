/* A micro-batch of examples and what is asked of it: log-probabilities of tokens at its rows.
 *
 * Only what these follow from has rows. An example's end with the last that something is asked of; what it begins with as
 * another of the micro-batch does is that one's, and it continues where they part; below its prompt are the labels as a
 * trie (eval/trie.h). So a row may be asked for several examples. */
#ifndef HONE_EVAL_MICRO_H
#define HONE_EVAL_MICRO_H

#include "eval/trie.h"
#include "fmt/example.h"
#include "model/batch.h"

/* A log-probability that is asked for: of token `id` at `row`. */
struct want {
	int row;
	int32_t id;
	int example;      /* of the micro-batch */
	int node;         /* of the trie; behind them the end of each label; -1: a target of the data */
	float weight;     /* of a target */
	bool counts;      /* a target within the completion */
};

struct micro_example {
	uint64_t line;
	int label;        /* true class, or -1 */
	bool scored;      /* it has a prompt that the labels can follow */
	bool counted;     /* the completion has targets */
	bool right;       /* all of them are the most probable token */
};

struct micro {
	const struct label_trie *trie;  /* NULL without labels */
	int32_t eos;                    /* that follows labels, where the trie has ends */
	bool apart;                     /* every example is whole and by itself, for models whose model_length_matters */
	int rows;                       /* at most, but for a single example */

	struct batch_builder batch;
	struct micro_example *example;
	struct want *want;              /* by row once micro_sort was called */
	int32_t *row, *first_want;      /* [n_rows] distinct rows in order; [n_rows+1] where their wants begin */
	size_t n_examples, n_wants;
	int n_rows;

	int *chain_row, *chain_doc;     /* [n_chains] of the example being added: first row, place among the documents */
	size_t example_cap, want_cap, row_cap, first_cap;
};

/* Empty. The caller has set what stands first in *m, all else is zero. */
void micro_init(struct micro *m);
void micro_release(struct micro *m);
void micro_clear(struct micro *m);    /* empties it and keeps its memory */

/* Adds an example of this class (-1: of none). False when there is no room left for it; an empty one has room for any. */
bool micro_add(struct micro *m, const struct example *x, int label);

/* Sorts the wants and lists the rows, when all examples are in. */
void micro_sort(struct micro *m);

#endif

/* The classes that a classification chooses from: the label tables of the training and the validation data. */
#ifndef HONE_EVAL_LABELS_H
#define HONE_EVAL_LABELS_H

#include <stdbool.h>

#include "base/mem.h"
#include "eval/trie.h"
#include "fmt/dataset.h"

struct label_set {
	char **name;         /* [K] in order of name */
	int32_t **ids;       /* [K] their tokens */
	int *n_ids;
	int K;
	bool prefix_free;    /* no label's tokens begin another's */
	int *same_first;     /* [K] the first label that begins with the same token; k itself when it is the first */
	bool *seen;          /* [K] in the table that was trained on, or in the list of labels */
	int unseen;          /* how many are not */
	struct label_trie trie, first;  /* of all their tokens; of the first of each */
};

/* The union of two tables, each in order of name: of what was trained on, if that is known (else `trained` is false, and
 * nothing counts as unseen), and of what is evaluated. A label without tokens, or with one that a vocabulary of V lacks, is
 * ERR_DATA. */
int label_set_init_tables(struct label_set *s, bool trained, const struct label *train, size_t n_train,
	const struct label *valid, size_t n_valid, int V, struct err *e);

/* The same of the label tables of datasets; each may be NULL. */
int label_set_init(struct label_set *s, const struct dataset *train, const struct dataset *valid, int V, struct err *e);
void label_set_release(struct label_set *s);

/* What is odd about the labels and should be known before hours are spent, one matter at each i from 0: labels that were
 * never trained on, labels that share their first token. False behind the last. */
bool label_set_complaint(const struct label_set *s, bool first_token, unsigned i, struct buf *text);

int label_set_find(const struct label_set *s, const char *name, size_t n);  /* -1 when absent */

#endif

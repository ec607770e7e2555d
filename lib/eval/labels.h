/* The classes that a classification chooses from: the label tables of the training and the validation data. */
#ifndef HONE_EVAL_LABELS_H
#define HONE_EVAL_LABELS_H

#include <stdbool.h>

#include "base/mem.h"
#include "fmt/dataset.h"

struct label_set {
	char **name;         /* [K] in order of name */
	int32_t **ids;       /* [K] their tokens */
	int *n_ids;
	int K;
	bool prefix_free;    /* no label's tokens begin another's */
	bool shared_first;   /* two labels begin with the same token */
	int unseen;          /* labels of `valid` that `train` lacks */
};

/* The union of two tables; train may be NULL. A label without tokens, or with one that a vocabulary of V lacks, is
 * ERR_DATA. */
int label_set_init(struct label_set *s, const struct dataset *train, const struct dataset *valid, int V, struct err *e);
void label_set_release(struct label_set *s);

int label_set_find(const struct label_set *s, const char *name, size_t n);  /* -1 when absent */

#endif

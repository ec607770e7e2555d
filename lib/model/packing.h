/* How the examples of a step are packed into micro-batches, and what they share there.
 *
 * What examples of a micro-batch begin with alike has rows once: forward gives the same for each of them, and backward the
 * sum of what all that follows gives there, so that nothing changes but the order of sums. An example's own rows begin, at
 * the latest, with the one from which its first target is predicted. */
#ifndef HONE_MODEL_PACKING_H
#define HONE_MODEL_PACKING_H

#include "model/batch.h"

enum packing_rows {
	ROWS_ALL,     /* every token of an example has a row, */
	ROWS_NEEDED,  /* or those up to the last from which a target is predicted, */
	ROWS_SHARED,  /* and what examples begin with alike has them once */
};

/* Fewer tokens than that are not shared: what others continue is a document of its own, with an attention of its own. */
enum { SHARED_LEAST = 8 };

struct packing {
	enum packing_rows kind;
	uint32_t *order;    /* [n] examples, micro-batch by micro-batch; in it, those that begin alike are neighbours */
	uint32_t *shared;   /* [n] tokens that each has in common with the one before it, whose rows it uses */
	uint32_t *rows;     /* [bins] of each micro-batch */
	size_t *first;      /* [bins+1] where each begins in the order */
	size_t bins;
	size_t order_cap, shared_cap, rows_cap, first_cap;
};

void packing_release(struct packing *p);

/* Packs n examples into micro-batches of at most `capacity` rows (0: one for all; an example that is longer is alone in
 * its own), as plan_pack does, where groups that share something stay together if there is room for them. */
void packing_make(struct packing *p, const struct example *x, size_t n, uint64_t capacity, enum packing_rows kind);

/* Fills b with a micro-batch. key[i], where key is not NULL, names example i within the run: its dropout masks follow from
 * it, however it is packed. Targets come example by example, in the packing's order. */
void packing_fill(const struct packing *p, size_t bin, const struct example *x, const uint64_t *key,
	struct batch_builder *b);

#endif

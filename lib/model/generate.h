/* Generation with a key-value cache, one sequence at a time. */
#ifndef HONE_MODEL_GENERATE_H
#define HONE_MODEL_GENERATE_H

#include "model/model.h"
#include "model/sampler.h"

struct generator {
	struct model *m;
	int length;           /* tokens in the cache */
	int capacity;         /* of the cache */
	int chunk;            /* rows of a prompt computed at once */
	int32_t *ids;         /* [capacity] the sequence */
};

/* Reserves the model's working memory for sequences of up to `capacity` tokens. A generator of another capacity, or all
 * zero, may be there before. */
void generator_init(struct generator *g, struct model *m, int capacity);
void generator_release(struct generator *g);

/* Forgets the sequence; the memory stays. */
void generator_reset(struct generator *g);

/* Appends n > 0 tokens (capacity allowing) and draws what follows them; -1 when the logits are not numbers. */
int32_t generator_next(struct generator *g, const int32_t *ids, int n, struct sampler *s);

#endif

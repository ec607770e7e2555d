/* Drawing the next token out of its logits. */
#ifndef HONE_MODEL_SAMPLER_H
#define HONE_MODEL_SAMPLER_H

#include <stdint.h>

#include "base/rng.h"

struct sampler {
	double temperature;   /* 0: the most probable token (greedy) */
	int top_k;            /* 0: all */
	double top_p;         /* 1: all */
	struct rng rng;
	struct candidate {
		float logit;
		int32_t id;
		double weight;    /* probability, but for a factor common to all */
	} *candidate;         /* [V]; made by the first draw, freed by sampler_release */
};

void sampler_init(struct sampler *s, double temperature, int top_k, double top_p, uint64_t seed);
void sampler_release(struct sampler *s);

/* The next token out of logits[V]: one of the top_k most probable; of these, one of the fewest that have top_p of the
 * probability between them. The lowest id wins a tie. */
int32_t sampler_choose(struct sampler *s, const float *logits, int V);

#endif

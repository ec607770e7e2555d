/* The batch plan: which examples make each optimiser step, and how they are packed into micro-batches. A pure
 * function of (seed, epoch, dataset, options), so that a run can be resumed without state. */
#ifndef HONE_MODEL_PLAN_H
#define HONE_MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plan {
	size_t examples;        /* of the dataset (or of the part that is used) */
	size_t batch_size;      /* examples a step; the last step of an epoch may have fewer */
	bool shuffle;
	uint64_t seed;
	uint32_t *order;        /* [examples] of the epoch last asked for */
	int64_t epoch;          /* of `order`; -1: none yet */
};

void plan_init(struct plan *p, size_t examples, size_t batch_size, bool shuffle, uint64_t seed);
void plan_release(struct plan *p);
int64_t plan_steps_per_epoch(const struct plan *p);

/* The examples of step `step` (from 0) of an epoch (from 0); returns how many, *first points into the plan. */
size_t plan_step(struct plan *p, int64_t epoch, int64_t step, const uint32_t **first);

/* First-fit decreasing: lengths[n] into bins of at most `capacity` (0: one bin for all; a longer example has a bin
 * of its own). bin[i] is example i's bin; returns the number of bins. Ties keep their order. */
size_t plan_pack(const uint32_t *lengths, size_t n, uint64_t capacity, uint32_t *bin);

#endif

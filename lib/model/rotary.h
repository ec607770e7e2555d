/* Tables of the rotary embeddings: by position where all documents turn alike; where how far depends on a document's
 * length, by row of the batch, so that each turns as it would by itself. */
#ifndef HONE_MODEL_ROTARY_H
#define HONE_MODEL_ROTARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "math/rope.h"

struct batch;

struct rotary {
	const struct rope *rope;
	bool varies;
	float *freq, *cos, *sin;   /* [rotary/2]; [max_len, or T when it varies, rotary/2] */
	int32_t *row;              /* [T] 0, 1, 2, ...: each row's own, when it varies */
};

/* Takes the memory for batches of T rows and documents of up to max_len tokens. */
void rotary_take(struct rotary *r, struct arena *a, const struct rope *rope, int T, int max_len);

/* Fills the tables that all batches share. */
void rotary_start(struct rotary *r, int T, int max_len);

/* Fills those of this batch. */
void rotary_batch(struct rotary *r, const struct batch *b);

/* Turns n heads of the batch's rows; sign as of rope_apply. */
void rotary_apply(const struct rotary *r, struct heads x, const struct batch *b, int n, float sign);

#endif

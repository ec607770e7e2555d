/* Linear layers that read the same rows and write their columns of one result side by side: queries, keys and values;
 * gate and up; or one layer by itself.
 *
 * With whole vectors in every dimension, plain adapters of one scale, and products that take parts, they are computed as one product, the
 * adapters' part included. The rows that go in are followed by room for x A^T, so that [x | x A^T] times [W | B]^T is
 * the result, and the gradients that come back by room for dy B, so that [dy | dy B] times [W ; A] is that at x. What is
 * added up is so in fp32, and nothing is read and rounded in between. Otherwise it is one layer after the other. */
#ifndef HONE_MODEL_PROJECTION_H
#define HONE_MODEL_PROJECTION_H

#include "base/arena.h"
#include "model/linear.h"

enum { MAX_PROJECTED = 3 };  /* layers in one */

struct projection {
	struct linear *first;  /* of n that lie together in a layer's `linear` */
	int n;
	bool fused;
	int rank;              /* of all adapters that are fused, together */
	struct rows xA;        /* [T,rank] scale x A^T, kept by forward for backward */
	void *kept[2];         /* the right sides of the products forward and backward, where frozen weights stay packed; or NULL */
};

/* Columns of room behind the rows in and the gradients: whole vectors, for all ranks together. */
static inline int
projection_room(int rank)
{
	return round_up(rank, 32);
}

/* Ranks of the adapters on its layers, together. */
int projection_rank(const struct projection *p);

/* Decides whether to fuse, for passes in this type, and takes memory for T rows. The adapters are in place. `shared`, of
 * n rows, empty at first: what layers with DoRA keep one after the other in the same place; NULL: each its own. With `keep`
 * there is memory for frozen weights to stay packed, projection_kept_bytes: none where they are quantised. */
void projection_take(struct projection *p, struct arena *a, enum num type, int T, struct rows *shared, bool keep);
size_t projection_kept_bytes(const struct projection *p, enum num type);

/* Packs what is to stay so, before the first pass. Pages of the checkpoint that had it are let go. */
void projection_pack(const struct projection *p, enum num type);

/* y[T,outs] = ... (beta 0) or += ... (beta 1) out of x[T,in]; the room behind x is written. */
void projection_forward(const struct projection *p, struct rows y, struct rows x, int T, float beta,
	const struct linear_pass *pass);

/* Backward in the two parts of linear.h; dx[T,in] is set unless its data is NULL; the room behind dy is written and kept
 * for the second. */
void projection_backward(const struct projection *p, struct rows dx, struct rows dy, int T, const struct linear_pass *pass);
void projection_weights(const struct projection *p, struct rows dy, struct rows x, int T, const struct linear_pass *pass);

/* Whether the second reads x. */
bool projection_reads_input(const struct projection *p);

#endif

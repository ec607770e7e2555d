/* The embeddings: the table, its adapter, and NEFTune's noise; used by model.c only. */
#ifndef HONE_MODEL_EMBED_H
#define HONE_MODEL_EMBED_H

#include "model/model.h"

/* work.x[T,C] = the rows of the table, adapted, with noise. */
void embed_forward(struct model *m, const struct batch *b);

/* Adds to the gradients of the table and of its adapter; work.dx holds the gradient at work.x. */
void embed_backward(struct model *m, const struct batch *b);

#endif

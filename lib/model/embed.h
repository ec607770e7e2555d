/* The embeddings: tables of tokens and of positions, their adapters, and NEFTune's noise; used by model.c only. */
#ifndef HONE_MODEL_EMBED_H
#define HONE_MODEL_EMBED_H

#include "model/model.h"

/* work.x[T,C] from the rows of the tables, adapted, with noise on those of tokens. */
void embed_forward(struct model *m, const struct batch *b);

/* Adds to the gradients of the tables and their adapters; work.dx holds the gradient at work.x, and is used up. */
void embed_backward(struct model *m, const struct batch *b);

#endif

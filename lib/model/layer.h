/* One transformer block over the rows of a batch; used by model.c only. */
#ifndef HONE_MODEL_LAYER_H
#define HONE_MODEL_LAYER_H

#include "model/model.h"

/* work.x[T,C] = block(work.x); keeps in layer->act what backward needs. */
void layer_forward(struct model *m, struct layer *l, const struct batch *b);

/* work.dx holds the gradient at the block's output and then that at its input (left unfinished when need_dx
 * is false: neither the norm before attention nor anything below is trained). */
void layer_backward(struct model *m, struct layer *l, const struct batch *b, bool need_dx);

#endif

/* The table of parameters of a model: which there are, by the facts of its configuration; used by load.c only. */
#ifndef HONE_MODEL_BUILD_H
#define HONE_MODEL_BUILD_H

#include "model/model.h"

/* Makes m->param, m->layer, m->head and what points into them, without values, from m->config. */
void model_build(struct model *m);

#endif

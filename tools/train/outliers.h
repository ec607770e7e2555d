/* Steps whose loss or gradient norm stands out from those before: by its z-score over a window of steps, as the
 * SkipStepOptimizer of OLMo-core judges. Only what is too large is an outlier. Every step goes into the window, outliers
 * too, so that a level that has changed for good is taken for normal in time. */
#ifndef HONE_TOOLS_TRAIN_OUTLIERS_H
#define HONE_TOOLS_TRAIN_OUTLIERS_H

#include <jansson.h>

#include "base/err.h"

struct outliers {
	int window, n;       /* room, and how many are there; nothing is judged before half of it is there */
	double *loss, *norm; /* [window] the oldest first */
};

void outliers_init(struct outliers *o, int window);
void outliers_release(struct outliers *o);

/* "loss" or "grad_norm" when it is more than zscore deviations above the mean, and how many; else NULL. */
const char *outliers_find(const struct outliers *o, double loss, double norm, double zscore, double *z);
void outliers_add(struct outliers *o, double loss, double norm);

/* The window for state.json; a new reference; and back. */
json_t *outliers_json(const struct outliers *o);
int outliers_load(struct outliers *o, const json_t *from, struct err *e);

#endif

/* AdamW (Loshchilov and Hutter 2019) as torch computes it, and the learning-rate schedules of transformers. */
#ifndef HONE_MODEL_OPTIMIZER_H
#define HONE_MODEL_OPTIMIZER_H

#include "base/arena.h"
#include "model/model.h"

struct adamw {
	double beta1, beta2, eps, weight_decay;
	int64_t step;            /* updates done */
	float **m, **v;          /* [n_trained] first and second moments, each as its parameter */
	struct arena memory;
};

/* Moments for every trained parameter of the model, zero. beta 0.9 and 0.999, eps 1e-8. */
void adamw_init(struct adamw *o, const struct model *m, double weight_decay);
void adamw_release(struct adamw *o);

/* One update with gradients multiplied by grad_scale (the clipping coefficient). */
void adamw_step(struct adamw *o, struct model *m, double learning_rate, double grad_scale);

enum schedule_type { SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_CONSTANT };

struct schedule {
	enum schedule_type type;
	double peak;             /* learning rate after warm-up */
	int64_t warmup, total;   /* steps */
};

/* The rate of the step that follows `done` completed steps: the first warm-up step has rate 0. */
double schedule_rate(const struct schedule *s, int64_t done);

#endif

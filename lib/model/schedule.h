/* The learning-rate schedules of transformers, by their names there. */
#ifndef HONE_MODEL_SCHEDULE_H
#define HONE_MODEL_SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_NAMES "linear|cosine|cosine_with_min_lr|constant|constant_with_warmup"

enum schedule_type { SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_CONSTANT };

struct schedule {
	enum schedule_type type;
	double peak;             /* learning rate after warm-up */
	int64_t warmup, total;   /* steps; `constant` of transformers has no warm-up: 0 */
	double floor;            /* the lowest rate after warm-up, as a share of the peak; not of a constant one */
};

/* The type of one of SCHEDULE_NAMES. */
enum schedule_type schedule_named(const char *name);

/* The rate of the step that follows `done` completed steps: the first warm-up step has rate 0. */
double schedule_rate(const struct schedule *s, int64_t done);

#endif

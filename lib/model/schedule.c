#include "model/schedule.h"

#include <math.h>
#include <string.h>

enum schedule_type
schedule_named(const char *name)
{
	if (strcmp(name, "linear") == 0)
		return SCHEDULE_LINEAR;
	return strncmp(name, "cosine", 6) == 0 ? SCHEDULE_COSINE : SCHEDULE_CONSTANT;
}

/* What is left of the peak, before the floor. */
static double
share(enum schedule_type type, double progress)
{
	if (type == SCHEDULE_COSINE)
		return fmax(0, 0.5 * (1 + cos(3.14159265358979323846 * progress)));
	return fmax(0, 1 - progress);
}

double
schedule_rate(const struct schedule *s, int64_t done)
{
	if (done < s->warmup)
		return s->peak * (double)done / (double)s->warmup;
	if (s->type == SCHEDULE_CONSTANT)
		return s->peak;
	int64_t span = s->total - s->warmup > 1 ? s->total - s->warmup : 1;
	double left = share(s->type, (double)(done - s->warmup) / (double)span);
	return s->peak * (s->floor + (1 - s->floor) * left);
}

#include "base/worktime.h"

#include "base/log.h"

static double spent[WORK_KINDS], since;
static enum work now = WORK_OTHER;

enum work
work_switch(enum work to)
{
	double t = clock_seconds();
	enum work from = now;
	spent[from] += since > 0 ? t - since : 0;
	since = t;
	now = to;
	return from;
}

double
work_seconds(enum work kind)
{
	work_switch(now);
	return spent[kind];
}

const char *
work_name(enum work kind)
{
	static const char *const names[WORK_KINDS] = {"other", "products", "attention", "elements", "loss", "optimizer", "data"};
	return names[kind];
}

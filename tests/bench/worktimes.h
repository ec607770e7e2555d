/* How the programs of the benchmarks end their line. */
#ifndef HONE_BENCH_WORKTIMES_H
#define HONE_BENCH_WORKTIMES_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/worktime.h"

/* Adds each kind of work's share of all `seconds`, prints the object, and releases it. */
static void
print_worktimes(json_t *o, const double spent[WORK_KINDS], double seconds)
{
	for (int k = 0; k < WORK_KINDS; k++)
		json_object_set_new(o, work_name(k), json_real(spent[k] / seconds));
	char *text = json_dumps(o, JSON_REAL_PRECISION(4));
	puts(text);
	free(text);
	json_decref(o);
}

#endif

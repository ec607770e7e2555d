/* The faults that the driver knows. */
#ifndef HONE_TESTS_KINDS_H
#define HONE_TESTS_KINDS_H

#include "faults.h"

enum { STATUSES = 6 };

struct fault {
	const char *name;
	uint32_t calls; /* the kinds of calls that have it */
	enum action action;
	int error;            /* errno, of ACT_FAIL */
	uint32_t times;       /* how many calls in a row have it, 0: all from there on */
	int status[STATUSES]; /* that may come of it, besides that of a clean run; -1: it must be survived */
};

/* Ends with one without a name. */
extern const struct fault fault_table[];

#endif

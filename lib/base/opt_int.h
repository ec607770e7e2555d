/* What opt.c (parsing) and opt_print.c share. */
#ifndef HONE_BASE_OPT_INT_H
#define HONE_BASE_OPT_INT_H

#include "base/opt.h"

extern const struct opt opt_common[];  /* the options that every tool has */

static inline bool
opt_is_end(const struct opt *o)
{
	return !o->name && o->type != OPT_SECTION;
}

/* By name, or by letter when it is not 0; NULL when the table has none such. */
const struct opt *opt_find(const struct opt *table, const char *name, char letter);

void opt_print_help(const struct opt_spec *spec);
void opt_print_version(const struct opt_spec *spec);

#endif

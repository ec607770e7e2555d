/* What opt.c (the command line), opt_value.c, opt_file.c and opt_print.c share. */
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

/* The same among the tool's options and those of every tool; and another name of one. */
const struct opt *opt_find_any(const struct opt_spec *spec, const char *name, char letter);
const struct opt_alias *opt_find_alias(const char *name);

enum { OPT_NAME_MAX = 64 };

/* An option's name with dashes for underscores, in out. */
void opt_normal_name(const char *name, size_t n, char out[OPT_NAME_MAX]);

/* Set what the option's type says, or end the process with a usage error. */
void opt_set_value(const struct opt *o, const char *value);
void opt_set_flag(const struct opt *o, bool on);

/* Takes text that settings may point to for as long as the process lives. */
const char *opt_keep(char *text);

/* "--name=value" as if it stood on the command line; kept by the caller. */
void opt_parse_one(const struct opt_spec *spec, char *arg);
void opt_read_config(const struct opt_spec *spec, const char *path);
struct opt_list opt_read_words(const char *path);  /* of an @FILE */

void opt_print_help(const struct opt_spec *spec);
void opt_print_version(const struct opt_spec *spec);

#endif

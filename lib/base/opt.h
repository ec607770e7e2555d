/* Command lines. A tool describes its options in one table; parsing, -h, the @FILE and --config forms and
 * the record of effective settings all come from that table. Long names, and the values of a choice, accept underscores
 * for dashes. */
#ifndef HONE_BASE_OPT_H
#define HONE_BASE_OPT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

enum opt_type {
	OPT_FLAG,    /* bool *: --name sets true, --no-name sets false */
	OPT_INT,     /* int *, within [min, max] */
	OPT_SIZE,    /* int64_t *, >= 0; suffixes K M G are powers of 1024 */
	OPT_DOUBLE,  /* double *, within [min, max] */
	OPT_STRING,  /* const char ** */
	OPT_ENUM,    /* const char **: one of `arg`, which is written "a|b|c" */
	OPT_LIST,    /* struct opt_list *: repeatable; each value is one item */
	OPT_SECTION, /* no option: `help` is a heading in -h */
};

struct opt {
	enum opt_type type;
	char letter;       /* short name, or 0 */
	const char *name;  /* long name, without dashes */
	void *value;       /* where it goes; what it holds before parsing is the default */
	const char *arg;   /* what -h calls the value: "DIR", "N"; for OPT_ENUM the choices */
	const char *help;  /* one line; a default is shown behind it */
	double min, max;   /* OPT_INT, OPT_DOUBLE; both 0 is no limit */
	bool *given;       /* set true when the command line names the option; may be NULL */
};

struct opt_list {
	const char **item;
	size_t n, cap;
};

/* What other programs call an option, or a value of one ("optimizer=adamw-torch"). Names are written with dashes. */
struct opt_alias {
	const char *name;
	const char *option;  /* ours; "dtype=float32": the name is a switch that stands for this; "": taken and passed over,
	                      * with a note; NULL: refused */
	const char *why;     /* what the note or the refusal says */
};

struct opt_spec {
	const char *tool;       /* "hone-pack" */
	const char *operands;   /* "[STREAM...]" */
	const char *summary;    /* one line under the usage */
	const char *epilog;     /* printed behind the options; examples; may be NULL */
	const struct opt *opts; /* ends with a zero entry (type 0, name NULL) */
	int min_operands, max_operands;  /* max -1: any number */
	const char *(*backend)(void);    /* what --version says of the kernels; NULL: the tool computes nothing */
	const struct opt_alias *aliases; /* ends with a zero entry; may be NULL */
};

/* Parses argv. Handles -h and --version itself (prints, exits 0), -q, -v and -j (base/log.h, threads), and
 * ends the process with status 64 and one line on any mistake, with the nearest name when one is near.
 * Operands are left in *operands (borrowed from argv or from the option file). Strings live as long as
 * the process. */
void opt_parse(const struct opt_spec *spec, int argc, char **argv, struct opt_list *operands);

/* The effective settings as an object, in the table's order; a new reference. */
json_t *opt_settings(const struct opt_spec *spec);

/* The same without some of them, named up to a NULL: those that make no difference to the result. */
json_t *opt_settings_but(const struct opt_spec *spec, const char *const *incidental);

/* Adds an item to a list. */
void opt_list_add(struct opt_list *l, const char *item);

/* The -j option: threads asked for, 0 when not given. */
extern int opt_threads;

#endif

#include "base/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/opt_int.h"

int opt_threads;

void
opt_list_add(struct opt_list *l, const char *item)
{
	GROW(l->item, l->cap, l->n + 1);
	l->item[l->n++] = item;
}

/* ---- options that every tool has ---- */

static bool quiet, verbose, want_help, want_version;
static const char *config_file;
static const struct opt_alias *aliases;  /* of the tool */
static struct opt_list notes;            /* for when -q has been seen or not */

const struct opt opt_common[] = {
	{OPT_SECTION, 0, NULL, NULL, NULL, "Every tool:", 0, 0, NULL},
	{OPT_INT, 'j', "threads", &opt_threads, "N", "threads (0: all processors)", 0, 1024, NULL},
	{OPT_STRING, 0, "config", &config_file, "FILE.json", "read options from a JSON object", 0, 0, NULL},
	{OPT_FLAG, 'q', "quiet", &quiet, NULL, "say nothing but errors", 0, 0, NULL},
	{OPT_FLAG, 'v', "verbose", &verbose, NULL, "say more", 0, 0, NULL},
	{OPT_FLAG, 'h', "help", &want_help, NULL, "print this and exit", 0, 0, NULL},
	{OPT_FLAG, 0, "version", &want_version, NULL, "print version and build, and exit", 0, 0, NULL},
	{0},
};

/* ---- finding an option by name ---- */

void
opt_normal_name(const char *name, size_t n, char out[OPT_NAME_MAX])
{
	if (n >= OPT_NAME_MAX)
		n = OPT_NAME_MAX - 1;
	for (size_t i = 0; i < n; i++)
		out[i] = name[i] == '_' ? '-' : name[i];
	out[n] = '\0';
}

const struct opt *
opt_find(const struct opt *table, const char *name, char letter)
{
	for (const struct opt *o = table; !opt_is_end(o); o++)
		if (o->type != OPT_SECTION && (letter ? o->letter == letter : strcmp(o->name, name) == 0))
			return o;
	return NULL;
}

const struct opt *
opt_find_any(const struct opt_spec *spec, const char *name, char letter)
{
	const struct opt *o = opt_find(spec->opts, name, letter);
	return o ? o : opt_find(opt_common, name, letter);
}

const struct opt_alias *
opt_find_alias(const char *name)
{
	for (const struct opt_alias *a = aliases; a && a->name; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

_Noreturn static void
unknown(const struct opt_spec *spec, const char *shown, const char *name)
{
	struct near near;
	near_init(&near, name);
	const struct opt *tables[] = {spec->opts, opt_common};
	for (int t = 0; t < 2; t++)
		for (const struct opt *o = tables[t]; !opt_is_end(o); o++)
			if (o->type != OPT_SECTION)
				near_try(&near, o->name, NULL);
	int n = (int)strcspn(shown, "=");
	if (*near.best)
		die_usage("unknown option '%.*s'; did you mean '--%s'?", n, shown, near.best);
	die_usage("unknown option '%.*s'", n, shown);
}

/* ---- the command line ---- */

struct args {
	char **v;
	int n, at;
};

static const char *
need_value(struct args *a, const char *shown)
{
	if (a->at >= a->n)
		die_usage("option '%s' needs a value", shown);
	return a->v[a->at++];
}

/* "true", "false" and the like: 1, 0, or -1 for anything else. */
static int
truth(const char *value)
{
	static const char *const words[2][4] = {{"false", "False", "no", "0"}, {"true", "True", "yes", "1"}};
	for (int i = 0; i < 8; i++)
		if (strcmp(value, words[i / 4][i % 4]) == 0)
			return i / 4;
	return -1;
}

static bool
flag_value(const char *name, const char *value)
{
	int yes = truth(value);
	if (yes < 0)
		die_usage("--%s: '%s' is neither true nor false", name, value);
	return yes;
}

/* A switch's value: behind its '=', or, as Trainer's command lines have it, the next word, where that cannot be an
 * operand. */
static bool
take_flag(const struct opt_spec *spec, struct args *a, const char *name, const char *eq)
{
	if (eq)
		return flag_value(name, eq + 1);
	if (spec->max_operands == 0 && a->at < a->n && truth(a->v[a->at]) >= 0)
		return flag_value(name, a->v[a->at++]);
	return true;
}

/* The option that another name stands for, with its value in *eq where the name has one; NULL when there is none left to
 * set. */
static const struct opt *
resolve_alias(const struct opt_spec *spec, const struct opt_alias *alias, struct args *a, const char *shown, const char **eq)
{
	if (!alias->option)
		die_usage("'%s': %s", shown, alias->why);
	if (!*alias->option) {
		if (!*eq && a->at < a->n && a->v[a->at][0] != '-')
			a->at++;
		opt_list_add(&notes, opt_keep(xasprintf("'%s' is passed over: %s", shown, alias->why)));
		return NULL;
	}
	const char *value = strchr(alias->option, '=');
	char name[OPT_NAME_MAX];
	opt_normal_name(alias->option, value ? (size_t)(value - alias->option) : strlen(alias->option), name);
	if (value && !take_flag(spec, a, alias->name, *eq))
		return NULL;
	*eq = value ? value : *eq;
	return opt_find_any(spec, name, 0);
}

static void
parse_long(const struct opt_spec *spec, struct args *a, char *arg)
{
	const char *eq = strchr(arg, '=');
	char name[OPT_NAME_MAX];
	opt_normal_name(arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2), name);
	const struct opt *o = opt_find_any(spec, name, 0);
	const struct opt_alias *alias = o ? NULL : opt_find_alias(name);
	if (alias) {
		char *shown = xstrndup(arg, eq ? (size_t)(eq - arg) : strlen(arg));
		o = resolve_alias(spec, alias, a, opt_keep(shown), &eq);
		if (!o)
			return;
	}
	if (!o && strncmp(name, "no-", 3) == 0 && !eq) {
		o = opt_find_any(spec, name + 3, 0);
		if (o && o->type == OPT_FLAG) {
			opt_set_flag(o, false);
			return;
		}
		o = NULL;
	}
	if (!o)
		unknown(spec, arg, name);
	if (o->type == OPT_FLAG)
		opt_set_flag(o, take_flag(spec, a, o->name, eq));
	else
		opt_set_value(o, eq ? eq + 1 : need_value(a, arg));
}

/* -qv, -j4, -j 4: letters may be joined; the first that takes a value takes the rest. */
static void
parse_letters(const struct opt_spec *spec, struct args *a, const char *arg)
{
	for (const char *p = arg + 1; *p; p++) {
		const struct opt *o = opt_find_any(spec, "", *p);
		char shown[] = {'-', *p, '\0'};
		if (!o)
			unknown(spec, arg, arg[1] && arg[2] ? arg + 1 : "");
		if (o->type != OPT_FLAG) {
			opt_set_value(o, p[1] ? p + 1 : need_value(a, shown));
			return;
		}
		opt_set_flag(o, true);
	}
}

static void
parse_args(const struct opt_spec *spec, struct args *a, struct opt_list *operands, int depth)
{
	bool only_operands = false;
	while (a->at < a->n) {
		char *arg = a->v[a->at++];
		if (only_operands || arg[0] != '-' || !arg[1]) {
			if (!only_operands && arg[0] == '@' && arg[1]) {
				if (depth > 8)
					die_usage("'%s': option files name each other too deeply", arg);
				struct opt_list words = opt_read_words(arg + 1);
				const char *from = usage_file;
				usage_file = arg + 1;
				parse_args(spec, &(struct args){(char **)words.item, (int)words.n, 0}, operands, depth + 1);
				usage_file = from;
			} else {
				opt_list_add(operands, arg);
			}
		} else if (strcmp(arg, "--") == 0) {
			only_operands = true;
		} else if (arg[1] == '-') {
			const char *before = config_file;
			parse_long(spec, a, arg);
			if (config_file != before)
				opt_read_config(spec, config_file);
		} else {
			parse_letters(spec, a, arg);
		}
	}
}

void
opt_parse_one(const struct opt_spec *spec, char *arg)
{
	parse_long(spec, &(struct args){0}, arg);
}

void
opt_parse(const struct opt_spec *spec, int argc, char **argv, struct opt_list *operands)
{
	/* Defaults are shown by -h, so it is answered before anything overwrites them. */
	log_tool = spec->tool;
	fd_hold_standard();
	json_use_xmalloc();
	aliases = spec->aliases;
	*operands = (struct opt_list){0};
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			opt_print_help(spec);
			tool_exit(0);
		}
	parse_args(spec, &(struct args){argv, argc, 1}, operands, 0);
	if (want_help)
		opt_print_help(spec);
	if (want_version)
		opt_print_version(spec);
	if (want_help || want_version)
		tool_exit(0);
	log_level = quiet ? 0 : verbose ? 2 : 1;
	for (size_t i = 0; i < notes.n; i++)
		log_note("%s", notes.item[i]);
	if ((int)operands->n < spec->min_operands)
		die_usage("%s is missing", spec->operands);
	if (spec->max_operands >= 0 && (int)operands->n > spec->max_operands)
		die_usage("'%s' is one argument too many", operands->item[spec->max_operands]);
}

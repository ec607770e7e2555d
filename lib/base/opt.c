#include "base/opt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/opt_int.h"

int opt_threads;

enum { OPTION_FILE_MAX = 1 << 20, NAME_MAX_ = 64 };

void
opt_list_add(struct opt_list *l, const char *item)
{
	GROW(l->item, l->cap, l->n + 1);
	l->item[l->n++] = item;
}

/* ---- options that every tool has ---- */

static bool quiet, verbose, want_help, want_version;
static const char *config_file;

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

/* The option's name with dashes for underscores, in out. */
static void
normal_name(const char *name, size_t n, char out[NAME_MAX_])
{
	if (n >= NAME_MAX_)
		n = NAME_MAX_ - 1;
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

static const struct opt *
find_any(const struct opt_spec *spec, const char *name, char letter)
{
	const struct opt *o = opt_find(spec->opts, name, letter);
	return o ? o : opt_find(opt_common, name, letter);
}

static const char *
nearest(const struct opt_spec *spec, const char *name)
{
	const char *best = NULL;
	int least = 4;
	const struct opt *tables[] = {spec->opts, opt_common};
	for (int t = 0; t < 2; t++)
		for (const struct opt *o = tables[t]; !opt_is_end(o); o++) {
			if (o->type == OPT_SECTION)
				continue;
			int d = near_distance(name, o->name);
			if (d < least && d < (int)strlen(name)) {
				least = d;
				best = o->name;
			}
		}
	return best;
}

_Noreturn static void
unknown(const struct opt_spec *spec, const char *shown, const char *name)
{
	const char *near = nearest(spec, name);
	if (near)
		die_usage("unknown option '%s'; did you mean '--%s'?", shown, near);
	die_usage("unknown option '%s'", shown);
}

/* ---- values ---- */

static bool
parse_number(const char *s, double *out)
{
	char *end;
	errno = 0;
	*out = strtod(s, &end);
	return end != s && !*end && !errno && isfinite(*out) && !isspace((unsigned char)*s);
}

static bool
parse_size(const char *s, int64_t *out)
{
	char *end;
	errno = 0;
	long long x = strtoll(s, &end, 10);
	static const char units[] = "KMG";
	int shift = 0;
	if (*end && end != s) {
		const char *u = strchr(units, toupper((unsigned char)*end));
		if (!u || end[1])
			return false;
		shift = 10 * (int)(u - units + 1);
	}
	if (end == s || errno || x < 0 || x > INT64_MAX >> shift)
		return false;
	*out = x << shift;
	return true;
}

static void
set_number(const struct opt *o, const char *value)
{
	double x;
	bool whole = o->type == OPT_INT;
	if (!parse_number(value, &x) || (whole && (x != floor(x) || fabs(x) > 2147483647)))
		die_usage("--%s: '%s' is not a %s", o->name, value, whole ? "whole number" : "number");
	if ((o->min != 0 || o->max != 0) && (x < o->min || x > o->max))
		die_usage("--%s: %s is not between %g and %g", o->name, value, o->min, o->max);
	if (whole)
		*(int *)o->value = (int)x;
	else
		*(double *)o->value = x;
}

static void
set_choice(const struct opt *o, const char *value)
{
	size_t n = strlen(value);
	for (const char *p = o->arg; p; p = strchr(p, '|'), p = p ? p + 1 : NULL)
		if (strncmp(p, value, n) == 0 && (p[n] == '|' || !p[n]) && n) {
			*(const char **)o->value = value;
			return;
		}
	die_usage("--%s: '%s' is not one of %s", o->name, value, o->arg);
}

static void
set_value(const struct opt *o, const char *value)
{
	switch (o->type) {
	case OPT_INT:
	case OPT_DOUBLE:
		set_number(o, value);
		break;
	case OPT_SIZE:
		if (!parse_size(value, o->value))
			die_usage("--%s: '%s' is not a size (a whole number, with K, M or G behind it if you like)",
				o->name, value);
		break;
	case OPT_STRING:
		*(const char **)o->value = value;
		break;
	case OPT_ENUM:
		set_choice(o, value);
		break;
	case OPT_LIST:
		opt_list_add(o->value, value);
		break;
	case OPT_FLAG:
	case OPT_SECTION:
		break;
	}
	if (o->given)
		*o->given = true;
}

static void
set_flag(const struct opt *o, bool on)
{
	*(bool *)o->value = on;
	if (o->given)
		*o->given = true;
}

/* ---- the command line ---- */

struct args {
	char **v;
	int n, at;
};

static void parse_args(const struct opt_spec *spec, struct args *a, struct opt_list *operands, int depth);

static const char *
need_value(struct args *a, const char *shown)
{
	if (a->at >= a->n)
		die_usage("option '%s' needs a value", shown);
	return a->v[a->at++];
}

/* "true", "false" and the like behind --flag=, as Trainer's command lines have them. */
static bool
flag_value(const char *name, const char *value)
{
	static const char *const yes[] = {"true", "True", "yes", "1"}, *const no[] = {"false", "False", "no", "0"};
	for (int i = 0; i < 4; i++) {
		if (strcmp(value, yes[i]) == 0)
			return true;
		if (strcmp(value, no[i]) == 0)
			return false;
	}
	die_usage("--%s: '%s' is neither true nor false", name, value);
}

static void
parse_long(const struct opt_spec *spec, struct args *a, char *arg)
{
	char *eq = strchr(arg, '='), name[NAME_MAX_];
	normal_name(arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2), name);
	const struct opt *o = find_any(spec, name, 0);
	if (o && o->type == OPT_FLAG) {
		set_flag(o, eq ? flag_value(name, eq + 1) : true);
		return;
	}
	if (!o && strncmp(name, "no-", 3) == 0 && !eq) {
		o = find_any(spec, name + 3, 0);
		if (o && o->type == OPT_FLAG) {
			set_flag(o, false);
			return;
		}
		o = NULL;
	}
	if (!o)
		unknown(spec, arg, name);
	set_value(o, eq ? eq + 1 : need_value(a, arg));
}

/* -qv, -j4, -j 4: letters may be joined; the first that takes a value takes the rest. */
static void
parse_letters(const struct opt_spec *spec, struct args *a, const char *arg)
{
	for (const char *p = arg + 1; *p; p++) {
		const struct opt *o = find_any(spec, "", *p);
		char shown[] = {'-', *p, '\0'};
		if (!o)
			unknown(spec, arg, arg[1] && arg[2] ? arg + 1 : "");
		if (o->type != OPT_FLAG) {
			set_value(o, p[1] ? p + 1 : need_value(a, shown));
			return;
		}
		set_flag(o, true);
	}
}

/* The words of an @FILE: separated by white space, quoted with ' or ", # to the end of the line ignored. */
static void
split_words(const char *path, char *text, struct opt_list *words)
{
	char *p = text;
	for (;;) {
		p += strspn(p, " \t\r\n");
		if (!*p)
			return;
		if (*p == '#') {
			p += strcspn(p, "\n");
			continue;
		}
		char *w = p, *to = p, quote = 0;
		for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
			if (quote ? *p == quote : *p == '\'' || *p == '"')
				quote = quote ? 0 : *p;
			else
				*to++ = *p;
		}
		if (quote)
			die_usage("'%s': a quote is not closed", path);
		bool more = *p;
		*to = '\0';
		p += more;
		opt_list_add(words, w);
	}
}

static void
parse_option_file(const struct opt_spec *spec, const char *path, struct opt_list *operands, int depth)
{
	struct buf b = {0};
	struct err e;
	if (file_read(path, OPTION_FILE_MAX, &b, &e) < 0)
		die(&e);
	struct opt_list words = {0};
	split_words(path, b.data, &words);  /* b is kept: the words point into it */
	parse_args(spec, &(struct args){(char **)words.item, (int)words.n, 0}, operands, depth + 1);
}

/* One member of a --config object, as if it stood on the command line. */
/* Text that settings may point to for as long as the process lives. */
static const char *
keep(char *text)
{
	static struct opt_list kept;
	opt_list_add(&kept, text);
	return text;
}

static void
set_from_json(const struct opt_spec *spec, const char *key, const json_t *v)
{
	char name[NAME_MAX_];
	normal_name(key, strlen(key), name);
	const struct opt *o = find_any(spec, name, 0);
	if (!o)
		unknown(spec, key, name);
	if (json_is_boolean(v) && o->type == OPT_FLAG)
		set_flag(o, json_is_true(v));
	else if (json_is_string(v))
		set_value(o, keep(xstrdup(json_string_value(v))));
	else if (json_is_number(v))
		set_value(o, keep(xasprintf("%.17g", json_number_value(v))));
	else if (!json_is_null(v))
		die_usage("'%s': '%s' cannot be %s", config_file, key,
			json_is_array(v) ? "a list" : json_is_object(v) ? "an object" : "true or false");
}

static void
parse_config(const struct opt_spec *spec, const char *path)
{
	struct err e;
	json_t *root = json_read_file(path, OPTION_FILE_MAX, &e), *v, *item;
	const char *key;
	size_t i;
	if (!root)
		die(&e);
	config_file = path;
	if (!json_is_object(root))
		die_usage("'%s': not a JSON object of options", path);
	json_object_foreach(root, key, v) {
		if (json_is_array(v)) {
			json_array_foreach(v, i, item)
				set_from_json(spec, key, item);
		} else {
			set_from_json(spec, key, v);
		}
	}
	json_decref(root);
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
				parse_option_file(spec, arg + 1, operands, depth);
			} else {
				opt_list_add(operands, arg);
			}
		} else if (strcmp(arg, "--") == 0) {
			only_operands = true;
		} else if (arg[1] == '-') {
			const char *before = config_file;
			parse_long(spec, a, arg);
			if (config_file != before)
				parse_config(spec, config_file);
		} else {
			parse_letters(spec, a, arg);
		}
	}
}

void
opt_parse(const struct opt_spec *spec, int argc, char **argv, struct opt_list *operands)
{
	/* Defaults are shown by -h, so it is answered before anything overwrites them. */
	log_tool = spec->tool;
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
	if ((int)operands->n < spec->min_operands)
		die_usage("%s is missing", spec->operands);
	if (spec->max_operands >= 0 && (int)operands->n > spec->max_operands)
		die_usage("'%s' is one argument too many", operands->item[spec->max_operands]);
}

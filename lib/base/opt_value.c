/* The values of options. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/opt_int.h"

const char *
opt_keep(char *text)
{
	static struct opt_list kept;
	opt_list_add(&kept, text);
	return text;
}

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

/* Whether the first n bytes of a are b, dashes and underscores alike. */
static bool
same_word(const char *a, size_t n, const char *b)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && !(strchr("-_", a[i]) && strchr("-_", b[i] ? b[i] : 'x')))
			return false;
	return n > 0 && !b[n];
}

/* The one of "a|b|c" that is meant, as it is written there; NULL when none is. */
static const char *
find_choice(const char *choices, const char *value)
{
	for (const char *p = choices; *p; p += strcspn(p, "|"), p += *p == '|') {
		size_t n = strcspn(p, "|");
		if (same_word(p, n, value))
			return opt_keep(xstrndup(p, n));
	}
	return NULL;
}

static void
set_choice(const struct opt *o, const char *value)
{
	const char *found = find_choice(o->arg, value);
	if (!found) {
		char *full = xasprintf("%s=%s", o->name, value), name[OPT_NAME_MAX];
		opt_normal_name(full, strlen(full), name);
		const struct opt_alias *a = opt_find_alias(name);
		found = a ? a->option : NULL;
		free(full);
	}
	if (!found)
		die_usage("--%s: '%s' is not one of %s", o->name, value, o->arg);
	*(const char **)o->value = found;
}

void
opt_set_value(const struct opt *o, const char *value)
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

void
opt_set_flag(const struct opt *o, bool on)
{
	*(bool *)o->value = on;
	if (o->given)
		*o->given = true;
}

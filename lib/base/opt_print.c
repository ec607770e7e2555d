/* What an option table says of itself: -h, --version, and the record of effective settings. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/isa.h"
#include "base/opt_int.h"
#include "base/version.h"

/* ---- -h and --version ---- */

/* As it may be written: 268435456 is 256M. */
static void
print_size(int64_t size)
{
	int i = 0;
	for (; size && size % 1024 == 0 && i < 3; i++)
		size /= 1024;
	if (size)
		printf(" [%lld%.*s]", (long long)size, i > 0, &" KMG"[i]);
}

static void
print_default(const struct opt *o)
{
	const char *s;
	switch (o->type) {
	case OPT_INT:
		if (*(int *)o->value)
			printf(" [%d]", *(int *)o->value);
		break;
	case OPT_SIZE:
		print_size(*(int64_t *)o->value);
		break;
	case OPT_DOUBLE:
		if (isfinite(*(double *)o->value) && *(double *)o->value != 0)
			printf(" [%g]", *(double *)o->value);
		break;
	case OPT_STRING:
	case OPT_ENUM:
		s = *(const char **)o->value;
		if (s)
			printf(" [%s]", s);
		break;
	case OPT_FLAG:
		if (*(bool *)o->value)
			printf(" [on; --no-%s]", o->name);
		break;
	case OPT_LIST:
	case OPT_SECTION:
		break;
	}
}

static void
print_options(const struct opt *table, const struct opt *before)
{
	for (const struct opt *o = table; !opt_is_end(o); o++) {
		if (o->type == OPT_SECTION) {
			printf("\n%s\n", o->help);
			continue;
		}
		char left[128], letter[8] = "    ";
		if (o->letter && !(before && opt_find(before, "", o->letter)))  /* a tool's own letter goes first */
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
		if (strlen(left) > 38)
			printf("%s\n%-40s%s", left, "", o->help);
		else
			printf("%-40s%s", left, o->help);
		print_default(o);
		putchar('\n');
	}
}

void
opt_print_help(const struct opt_spec *spec)
{
	printf("usage: %s [OPTION...]%s%s\n%s\n", spec->tool, *spec->operands ? " " : "", spec->operands, spec->summary);
	if (spec->opts[0].type != OPT_SECTION)
		puts("\nOptions:");
	print_options(spec->opts, NULL);
	print_options(opt_common, spec->opts);
	if (spec->epilog)
		printf("\n%s", spec->epilog);
}

void
opt_print_version(const struct opt_spec *spec)
{
	printf("%s %s (commit %s, %s %s)\n", spec->tool, hone_version, hone_commit,
#ifdef __clang__
		"clang",
#else
		"gcc",
#endif
		__VERSION__);
	printf("libraries: %s\n", hone_libraries());
	if (spec->backend)
		printf("kernels: %s\n", spec->backend());
	else
		printf("kernels: bf16 on %s\n", isa_name(isa_best()));
}

/* ---- settings ---- */

json_t *
opt_settings(const struct opt_spec *spec)
{
	json_t *s = json_object();
	for (const struct opt *o = spec->opts; !opt_is_end(o); o++) {
		json_t *v = NULL;
		switch (o->type) {
		case OPT_FLAG:
			v = json_boolean(*(bool *)o->value);
			break;
		case OPT_INT:
			v = json_integer(*(int *)o->value);
			break;
		case OPT_SIZE:
			v = json_integer(*(int64_t *)o->value);
			break;
		case OPT_DOUBLE:
			v = isfinite(*(double *)o->value) ? json_real(*(double *)o->value) : json_null();
			break;
		case OPT_STRING:
		case OPT_ENUM:
			v = *(const char **)o->value ? json_string(*(const char **)o->value) : json_null();
			break;
		case OPT_LIST: {
			const struct opt_list *l = o->value;
			v = json_array();
			for (size_t i = 0; i < l->n; i++)
				json_array_append_new(v, json_string(l->item[i]));
			break;
		}
		case OPT_SECTION:
			continue;
		}
		json_object_set_new(s, o->name, v ? v : json_null());
	}
	return s;
}

json_t *
opt_settings_but(const struct opt_spec *spec, const char *const *incidental)
{
	json_t *s = opt_settings(spec);
	for (; *incidental; incidental++)
		json_object_del(s, *incidental);
	return s;
}

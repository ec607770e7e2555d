#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "pack.h"

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether `file` is `dir`, or stands in it or below it. */
static bool
is_within(const char *file, const char *dir)
{
	struct stat top, at, above;
	if (stat(dir, &top) < 0 || stat(file, &at) < 0)
		return false;
	if (same(&at, &top))
		return true;
	char *copy = xstrdup(file), *p = xstrdup(dirname(copy));
	bool within = false;
	while (stat(p, &at) == 0 && !(within = same(&at, &top))) {
		char *up = path_join(p, "..");
		free(p);
		p = up;
		if (stat(p, &above) < 0 || same(&at, &above))
			break;
	}
	free(p);
	free(copy);
	return within;
}

int
pack_check_paths(const struct pack_options *opt, const struct opt_list *streams, struct err *e)
{
	const char *outputs[] = {opt->output, opt->validation_output};
	if (outputs[1] && (strcmp(outputs[0], outputs[1]) == 0 || is_within(outputs[0], outputs[1]) ||
		is_within(outputs[1], outputs[0])))
		return err_set(e, ERR_USAGE, "'%s' and '%s' are one output, or one holds the other", outputs[0],
			outputs[1]);
	for (size_t i = 0; i < streams->n; i++)
		for (int k = 0; k < 2; k++)
			if (outputs[k] && strcmp(streams->item[i], "-") != 0 && is_within(streams->item[i], outputs[k]))
				return err_set(e, ERR_CANTCREAT, "'%s' holds the input '%s'; name another output",
					outputs[k], streams->item[i]);
	return 0;
}

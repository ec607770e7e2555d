#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool
path_is_within(const char *path, const char *dir)
{
	struct stat top, at, above;
	if (stat(dir, &top) < 0 || stat(path, &at) < 0)
		return false;
	if (same(&at, &top))
		return true;
	char *copy = xstrdup(path), *p = xstrdup(dirname(copy));
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
out_check_input(const char *output, const char *input, struct err *e)
{
	struct stat st;
	if (!output || !input || strcmp(output, "-") == 0 || strcmp(input, "-") == 0)
		return 0;
	if (stat(output, &st) < 0 || S_ISCHR(st.st_mode) || !path_is_within(output, input))
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' is input and output; name another output", output);
}

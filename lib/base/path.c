/* Names, and what is there. */
#define _DEFAULT_SOURCE  /* realpath */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

static _Thread_local struct err unseen;  /* code 0: every name could be looked at */

/* Whether errno, after a name could not be looked at, says that nothing is there. */
static bool
is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP;
}

typedef int look_fn(const char *path, struct stat *st);

/* What is there; without it 0 or an errno, which is kept for path_unseen. */
static int
look(look_fn *f, const char *path, struct stat *st)
{
	if (f(path, st) == 0)
		return 0;
	int error = errno;
	if (error == ENOMEM)
		mem_die(PATH_MAX);
	if (!is_absent(error) && !unseen.code)
		err_sys(&unseen, ERR_NOINPUT, "cannot look at '%s'", path);
	return error;
}

int
path_unseen(struct err *e)
{
	if (!unseen.code)
		return 0;
	*e = unseen;
	unseen.code = 0;
	return -1;
}

bool
path_exists(const char *path)
{
	struct stat st;
	return !is_absent(look(lstat, path, &st));
}

bool
path_is_dir(const char *path)
{
	struct stat st;
	return look(stat, path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
path_is_file(const char *path)
{
	struct stat st;
	return look(stat, path, &st) == 0 && S_ISREG(st.st_mode);
}

bool
dir_has(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool there = path_exists(path);
	free(path);
	return there;
}

char *
path_real(const char *path)
{
	char *real = realpath(path, NULL);
	if (!real && errno == ENOMEM)
		mem_die(PATH_MAX);
	return real;
}

char *
path_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	return xasprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

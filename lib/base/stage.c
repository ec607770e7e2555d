#define _GNU_SOURCE  /* renameat2 */
#include "base/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static const char mark[] = ".hone-";

static char *
parent_of(const char *path)
{
	char *a = xstrdup(path), *dir = xstrdup(dirname(a));
	free(a);
	return dir;
}

static char *
name_of(const char *path)
{
	char *a = xstrdup(path), *name = xstrdup(basename(a));
	free(a);
	return name;
}

char *
stage_name(const char *path)
{
	char *dir = parent_of(path), *name = name_of(path);
	char *staged = xasprintf("%s/.%s%s%ld", dir, name, mark, (long)getpid());
	free(name);
	free(dir);
	return staged;
}

char *
stage_target(const char *path)
{
	struct stat st;
	char *end = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? path_real(path) : NULL;
	return end ? end : xstrdup(path);
}

/* ---- leftovers ---- */

/* The name that `entry` was staged for, new; NULL when it is no staging name. */
static char *
staged_for(const char *entry, long *pid, bool *old)
{
	const char *at = NULL;
	for (const char *p = entry; (p = strstr(p, mark)); p++)
		at = p;
	if (entry[0] != '.' || !at || at == entry)
		return NULL;
	const char *digits = at + strlen(mark);
	size_t n = strspn(digits, "0123456789");
	*old = strcmp(digits + n, ".old") == 0;
	if (n == 0 || n > 9 || digits[0] == '0' || (digits[n] && !*old))
		return NULL;
	*pid = strtol(digits, NULL, 10);
	return xstrndup(entry + 1, (size_t)(at - entry - 1));
}

/* Whether another process may still be at work on it. What bears our own number was left by one before us. */
static bool
stager_lives(long pid)
{
	return pid != (long)getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

/* Removes a leftover; but what was moved aside for a successor that never came gets its name back. */
static void
settle(const char *dir, const char *entry, const char *name, bool old)
{
	struct err ignored;
	char *stale = path_join(dir, entry), *path = path_join(dir, name);
	if (!old || (stage_place(stale, path) < 0 && errno == EEXIST))
		path_remove(stale, &ignored);
	free(path);
	free(stale);
}

/* Settles what dead processes staged for `name`; or, when it is NULL, all that is staged, whoever did. */
static void
sweep(const char *dir, const char *name)
{
	struct err ignored;
	char **entries = dir_names(dir, NULL, &ignored);
	for (size_t i = 0; entries && entries[i]; i++) {
		long pid;
		bool old;
		char *of = staged_for(entries[i], &pid, &old);
		if (of && (!name || (strcmp(of, name) == 0 && !stager_lives(pid))))
			settle(dir, entries[i], of, old);
		free(of);
	}
	names_free(entries);
}

void
stage_sweep(const char *path)
{
	char *dir = parent_of(path), *name = name_of(path);
	sweep(dir, name);
	free(name);
	free(dir);
}

void
dir_sweep(const char *dir)
{
	sweep(dir, NULL);
}

/* ---- names ---- */

/* Whether renameat2 failed because kernel or file system does not know the flag. */
static bool
unsupported(void)
{
	return errno == ENOSYS || errno == EINVAL;
}

int
stage_place(const char *tmp, const char *path)
{
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (!unsupported())
		return -1;
	if (link(tmp, path) == 0) {
		unlink(tmp);
		return 0;
	}
	/* A directory, or a file system without links: looking first is all that is left. */
	if (path_exists(path))
		errno = EEXIST;
	return errno == EEXIST ? -1 : rename(tmp, path);
}

int
stage_swap(const char *tmp, const char *path, const char *old)
{
	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return 0;
	if (!unsupported() && errno != ENOENT)
		return -1;
	/* Killed between the two, this leaves `old`, to which sweep gives its name back. */
	if (rename(path, old) < 0 && errno != ENOENT)
		return -1;
	if (rename(tmp, path) == 0)
		return 0;
	int error = errno;
	rename(old, path);
	errno = error;
	return -1;
}

void
stage_sync(const char *path)
{
	struct err ignored;
	char *dir = parent_of(path);
	dir_sync(dir, &ignored);
	free(dir);
}

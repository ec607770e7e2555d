#define _GNU_SOURCE  /* renameat2 */
#include "base/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
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

/* Whether another process may still be at work on it, where no lock tells. What bears our own number was left by one
 * before us. */
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

enum lock { LOCK_FREE, LOCK_HELD, LOCK_UNKNOWN };

/* Whether a process holds what is staged. The number in its name alone may be that of another process by now, of one on
 * another machine, or of one that was killed and that nobody has waited for. Where the file system knows no locks, that is
 * UNKNOWN. */
static enum lock
probe(const char *dir, const char *entry)
{
	char *path = path_join(dir, entry);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum lock lock = LOCK_UNKNOWN;
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0)
		lock = LOCK_FREE;
	else if (fd >= 0 && errno == EWOULDBLOCK)
		lock = LOCK_HELD;
	if (fd >= 0)
		close(fd);
	free(path);
	return lock;
}

/* Settles what dead processes staged for `name`; or, when it is NULL, all that is staged, whoever did. Whether something
 * staged for `name` is being worked on. */
static bool
sweep(const char *dir, const char *name)
{
	bool busy = false;
	struct err ignored;
	char **entries = dir_names(dir, NULL, &ignored);
	for (size_t i = 0; entries && entries[i]; i++) {
		long pid;
		bool old;
		char *of = staged_for(entries[i], &pid, &old);
		bool ours = of && (!name || strcmp(of, name) == 0);
		/* What was moved aside has no lock. */
		enum lock lock = ours && name && !old ? probe(dir, entries[i]) : LOCK_UNKNOWN;
		if (ours && (!name || lock == LOCK_FREE || (lock == LOCK_UNKNOWN && !stager_lives(pid))))
			settle(dir, entries[i], of, old);
		busy = busy || lock == LOCK_HELD;
		free(of);
	}
	names_free(entries);
	return busy;
}

void
dir_sweep(const char *dir)
{
	sweep(dir, NULL);
}

/* ---- beginning ---- */

/* What lies there was left by one before us that had our number. */
static int
create(const char *tmp, bool directory)
{
	struct err e;
	if (!directory)
		unlink(tmp);
	else if (path_remove(tmp, &e) < 0 || mkdir(tmp, 0777) < 0)
		return -1;
	int fd = directory ? open(tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			   : open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	/* Where the file system knows no locks, the first to be done wins, as against programs that take none. */
	if (fd >= 0)
		flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

/* Whether a directory is itself staged: then it is ours, and locked, and nobody else stages anything in it. */
static bool
is_staged(const char *dir)
{
	long pid;
	bool old;
	char *entry = name_of(dir), *of = staged_for(entry, &pid, &old);
	bool yes = of != NULL;
	free(of);
	free(entry);
	return yes;
}

/* A descriptor that locks the directory, which makes one of looking and creating; held for no longer than that. Another
 * may hold it for reasons of its own (`flock . hone-pack ...`), so after a second of waiting we go on without. */
static int
lock_directory(const char *dir)
{
	enum { TRIES = 1000 };
	const struct timespec pause = {.tv_nsec = 1000000};
	int fd = is_staged(dir) ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			break;
		nanosleep(&pause, NULL);
	}
	return fd;
}

int
stage_begin(const char *path, const char *tmp, bool directory)
{
	char *dir = parent_of(path), *name = name_of(path);
	int above = lock_directory(dir), fd = -1;
	if (sweep(dir, name))
		errno = EBUSY;
	else
		fd = create(tmp, directory);
	int error = errno;
	if (above >= 0)
		close(above);
	free(name);
	free(dir);
	errno = error;
	return fd;
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

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/stage.h"

int
dir_sync(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Some file systems cannot sync a directory and say EINVAL: nothing more can be done there. */
	int rc = fd < 0 || (fd_sync(fd) < 0 && errno != EINVAL) ? err_sys(e, ERR_IO, "cannot sync '%s'", path) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int
dir_make(const char *path, struct err *e)
{
	if (path_is_dir(path))
		return 0;
	char *copy = xstrdup(path), *parent = dirname(copy);
	int rc = strcmp(parent, path) == 0 ? 0 : dir_make(parent, e);
	free(copy);
	if (rc == 0 && mkdir(path, 0777) < 0 && errno != EEXIST)
		rc = err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	return rc;
}

/* ---- names ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
dir_names(const char *path, size_t *n, struct err *e)
{
	char **names = NULL;
	size_t cap = 0, k = 0;
	DIR *d = opendir(path);
	if (!d) {
		err_sys(e, ERR_NOINPUT, "cannot read '%s'", path);
		return NULL;
	}
	GROW(names, cap, 1);
	/* The end and an error look alike but for errno. */
	for (struct dirent *ent; errno = 0, (ent = readdir(d));) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		GROW(names, cap, k + 2);
		names[k++] = xstrdup(ent->d_name);
	}
	int error = errno;
	closedir(d);
	names[k] = NULL;
	if (error) {
		names_free(names);
		errno = error;
		err_sys(e, ERR_IO, "cannot read '%s'", path);
		return NULL;
	}
	qsort(names, k, sizeof *names, by_name);
	if (n)
		*n = k;
	return names;
}

void
names_free(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

/* ---- a staged directory ---- */

static void
dir_release(struct dir_out *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->tmp);
	*d = (struct dir_out){.fd = -1};
}

int
dir_open(struct dir_out *d, const char *path, bool force, struct err *e)
{
	char *name = xstrdup(path);
	size_t n = strlen(name);
	while (n > 1 && name[n - 1] == '/')
		name[--n] = '\0';
	*d = (struct dir_out){.path = stage_target(name), .force = force};
	free(name);
	d->tmp = stage_name(d->path);
	d->fd = stage_begin(d->path, d->tmp, true);
	if (d->fd >= 0 && (force || !path_exists(d->path)))
		return 0;
	if (d->fd >= 0)
		out_exists(path, e);
	else
		out_not_begun(path, e);
	if (d->fd >= 0)
		dir_abort(d);
	else
		dir_release(d);
	return -1;
}

/* Puts the staged directory into the place of what stands at d->path. That it stays behind, hidden, is no error:
 * the new one is in its place, and the next that writes this name removes it. */
static int
replace_dir(struct dir_out *d, struct err *e)
{
	struct err ignored;
	char *old = xasprintf("%s.old", d->tmp);
	int rc = stage_swap(d->tmp, d->path, old);
	if (rc < 0) {
		err_sys(e, ERR_CANTCREAT, "cannot replace '%s'", d->path);
	} else {
		path_remove(d->tmp, &ignored);
		path_remove(old, &ignored);
	}
	free(old);
	return rc;
}

static int
place_dir(struct dir_out *d, struct err *e)
{
	if (stage_place(d->tmp, d->path) == 0)
		return 0;
	return errno == EEXIST ? out_exists(d->path, e) : err_sys(e, ERR_CANTCREAT, "cannot create '%s'", d->path);
}

int
dir_commit(struct dir_out *d, struct err *e)
{
	if (dir_sync(d->tmp, e) < 0 || (d->force ? replace_dir(d, e) : place_dir(d, e)) < 0) {
		dir_abort(d);
		return -1;
	}
	stage_sync(d->path);
	dir_release(d);
	return 0;
}

void
dir_abort(struct dir_out *d)
{
	struct err ignored;
	if (d->tmp)
		path_remove(d->tmp, &ignored);
	dir_release(d);
}

static int
remove_children(const char *path, struct err *e)
{
	char **names = dir_names(path, NULL, e);
	int rc = names ? 0 : -1;
	for (size_t i = 0; rc == 0 && names[i]; i++) {
		char *child = path_join(path, names[i]);
		rc = path_remove(child, e);
		free(child);
	}
	names_free(names);
	return rc;
}

int
path_remove(const char *path, struct err *e)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, ERR_IO, "cannot remove '%s'", path);
	if (S_ISDIR(st.st_mode)) {
		if (remove_children(path, e) < 0)
			return -1;
		return rmdir(path) < 0 ? err_sys(e, ERR_IO, "cannot remove '%s'", path) : 0;
	}
	return unlink(path) < 0 ? err_sys(e, ERR_IO, "cannot remove '%s'", path) : 0;
}

int
path_discard(const char *path, struct err *e)
{
	if (!path_exists(path))
		return 0;
	char *tmp = stage_name(path);
	int rc = path_remove(tmp, e);
	if (rc == 0 && rename(path, tmp) < 0)
		rc = err_sys(e, ERR_IO, "cannot remove '%s'", path);
	if (rc == 0)
		rc = path_remove(tmp, e);
	free(tmp);
	return rc;
}

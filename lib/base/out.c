#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { OUT_BUFFER = 1 << 18 };

/* The staging name of `path`: ".NAME.hone-PID" beside it, so that the rename stays within one file system
 * and leftovers of a killed process can be told by their name. */
static char *
staging_name(const char *path)
{
	char *a = xstrdup(path), *b = xstrdup(path);
	char *dir = xstrdup(dirname(a)), *base = basename(b);
	char *name = xasprintf("%s/.%s.hone-%ld", dir, base, (long)getpid());
	free(dir);
	free(a);
	free(b);
	return name;
}

static char *
parent_of(const char *path)
{
	char *a = xstrdup(path), *dir = xstrdup(dirname(a));
	free(a);
	return dir;
}

/* Whether the process that made the staging name still lives. */
static bool
stager_lives(const char *pid)
{
	char *proc = xasprintf("/proc/%s", pid);
	bool lives = path_exists(proc);
	free(proc);
	return lives;
}

/* Removes staging names of `path` whose process is gone. Best effort: a failure only leaves a temporary. */
static void
sweep(const char *path)
{
	char *dir = parent_of(path), *mine = staging_name(path);
	char *prefix = strrchr(mine, '/') + 1;
	size_t n = (size_t)(strrchr(prefix, '-') + 1 - prefix);
	DIR *d = opendir(dir);
	struct dirent *ent;
	while (d && (ent = readdir(d))) {
		const char *pid = ent->d_name + n;
		if (strncmp(ent->d_name, prefix, n) != 0 || !*pid || pid[strspn(pid, "0123456789")] || stager_lives(pid))
			continue;
		char *stale = path_join(dir, ent->d_name);
		struct err ignored;
		path_remove(stale, &ignored);
		free(stale);
	}
	if (d)
		closedir(d);
	free(mine);
	free(dir);
}

static int
refuse_existing(const char *path, bool force, struct err *e)
{
	if (force || !path_exists(path))
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' exists; remove it or name another output", path);
}

int
out_open(struct out *o, const char *path, bool force, struct err *e)
{
	*o = (struct out){.fd = STDOUT_FILENO, .force = force};
	if (strcmp(path, "-") != 0) {
		if (refuse_existing(path, force, e) < 0)
			return -1;
		sweep(path);
		o->tmp = staging_name(path);
		o->fd = open(o->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (o->fd < 0) {
			err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
			free(o->tmp);
			return -1;
		}
	}
	o->path = xstrdup(path);
	o->data = xmalloc(OUT_BUFFER);
	return 0;
}

static void
write_all(struct out *o, const uint8_t *p, size_t n)
{
	while (n && !o->error) {
		ssize_t k = write(o->fd, p, n);
		if (k < 0 && errno != EINTR)
			o->error = errno;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
}

void
out_write(struct out *o, const void *p, size_t n)
{
	o->written += n;
	if (o->len + n > OUT_BUFFER) {
		write_all(o, o->data, o->len);
		o->len = 0;
	}
	if (n > OUT_BUFFER) {
		write_all(o, p, n);
		return;
	}
	memcpy(o->data + o->len, p, n);
	o->len += n;
}

void
out_puts(struct out *o, const char *s)
{
	out_write(o, s, strlen(s));
}

static const char *
shown_name(const struct out *o)
{
	return o->tmp ? o->path : "standard output";
}

int
out_flush(struct out *o, struct err *e)
{
	write_all(o, o->data, o->len);
	o->len = 0;
	if (!o->error)
		return 0;
	errno = o->error;
	return err_sys(e, ERR_IO, "cannot write '%s'", shown_name(o));
}

static void
out_release(struct out *o)
{
	free(o->path);
	free(o->tmp);
	free(o->data);
	*o = (struct out){.fd = -1};
}

int
out_commit(struct out *o, struct err *e)
{
	int rc = out_flush(o, e);
	if (o->tmp) {
		if (rc == 0 && fsync(o->fd) < 0)
			rc = err_sys(e, ERR_IO, "cannot write '%s'", o->path);
		if (close(o->fd) < 0 && rc == 0)
			rc = err_sys(e, ERR_IO, "cannot write '%s'", o->path);
		if (rc == 0)
			rc = refuse_existing(o->path, o->force, e);
		if (rc == 0 && rename(o->tmp, o->path) < 0)
			rc = err_sys(e, ERR_CANTCREAT, "cannot create '%s'", o->path);
		if (rc < 0) {
			unlink(o->tmp);
		} else {
			char *dir = parent_of(o->path);
			rc = dir_sync(dir, e);
			free(dir);
		}
	}
	out_release(o);
	return rc;
}

void
out_abort(struct out *o)
{
	if (o->tmp) {
		close(o->fd);
		unlink(o->tmp);
	}
	out_release(o);
}

int
file_write(const char *path, bool force, const void *p, size_t n, struct err *e)
{
	struct out o;
	if (out_open(&o, path, force, e) < 0)
		return -1;
	out_write(&o, p, n);
	return out_commit(&o, e);
}

int
file_copy(const char *from, const char *to, bool force, struct err *e)
{
	struct map m;
	if (map_open(&m, from, e) < 0)
		return -1;
	int rc = file_write(to, force, m.data, m.size, e);
	map_close(&m);
	return rc;
}

int
dir_sync(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Some file systems cannot sync a directory and say EINVAL: nothing more can be done there. */
	int rc = fd < 0 || (fsync(fd) < 0 && errno != EINVAL) ? err_sys(e, ERR_IO, "cannot sync '%s'", path) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int
dir_make(const char *path, struct err *e)
{
	if (path_is_dir(path))
		return 0;
	char *parent = parent_of(path);
	int rc = strcmp(parent, path) == 0 ? 0 : dir_make(parent, e);
	free(parent);
	if (rc == 0 && mkdir(path, 0777) < 0 && errno != EEXIST)
		rc = err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	return rc;
}

int
dir_open(struct dir_out *d, const char *path, bool force, struct err *e)
{
	*d = (struct dir_out){.force = force};
	if (refuse_existing(path, force, e) < 0)
		return -1;
	sweep(path);
	d->path = xstrdup(path);
	size_t n = strlen(d->path);
	while (n > 1 && d->path[n - 1] == '/')
		d->path[--n] = '\0';
	d->tmp = staging_name(d->path);
	if (path_remove(d->tmp, e) == 0) {
		if (mkdir(d->tmp, 0777) == 0)
			return 0;
		err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	}
	free(d->path);
	free(d->tmp);
	return -1;
}

static void
dir_release(struct dir_out *d)
{
	free(d->path);
	free(d->tmp);
	*d = (struct dir_out){0};
}

/* Moves what stands at d->path aside, then the staged directory into its place. */
static int
replace_dir(struct dir_out *d, struct err *e)
{
	char *old = xasprintf("%s.old", d->tmp);
	int rc = 0;
	if (rename(d->path, old) < 0 && errno != ENOENT)
		rc = err_sys(e, ERR_CANTCREAT, "cannot replace '%s'", d->path);
	if (rc == 0 && rename(d->tmp, d->path) < 0) {
		rc = err_sys(e, ERR_CANTCREAT, "cannot create '%s'", d->path);
		rename(old, d->path);
	}
	if (rc == 0)
		rc = path_remove(old, e);
	free(old);
	return rc;
}

int
dir_commit(struct dir_out *d, struct err *e)
{
	int rc = dir_sync(d->tmp, e);
	if (rc == 0)
		rc = refuse_existing(d->path, d->force, e);
	if (rc == 0)
		rc = replace_dir(d, e);
	if (rc == 0) {
		char *parent = parent_of(d->path);
		rc = dir_sync(parent, e);
		free(parent);
	}
	if (rc < 0)
		dir_abort(d);
	else
		dir_release(d);
	return rc;
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
	DIR *d = opendir(path);
	if (!d)
		return err_sys(e, ERR_IO, "cannot read '%s'", path);
	int rc = 0;
	struct dirent *ent;
	while (rc == 0 && (ent = readdir(d))) {
		if (strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0)
			continue;
		char *child = path_join(path, ent->d_name);
		rc = path_remove(child, e);
		free(child);
	}
	closedir(d);
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
file_lock(const char *path, int *fd, struct err *e)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (*fd < 0)
		return err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		err_set(e, ERR_TEMPFAIL, "'%s' is locked by another process", path);
	else
		err_sys(e, ERR_IO, "cannot lock '%s'", path);
	close(*fd);
	return -1;
}

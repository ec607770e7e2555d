#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/stage.h"

enum { OUT_BUFFER = 1 << 18 };

int
fd_write_all(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n) {
		ssize_t k = write(fd, at, n);
		if (k < 0 && errno == EFAULT)
			map_touch(at, n);
		if (k < 0 && errno != EINTR)
			return -1;
		if (k > 0) {
			at += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

void
fd_hold_standard(void)
{
	/* What cannot be read, and what cannot be written, even where /dev/stdout is opened. */
	static const char *const path[] = {"/dev/null", "/", "/"};
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open(path[fd], fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int
fd_sync(int fd)
{
	int rc;
	do
		rc = fsync(fd);
	while (rc < 0 && errno == EINTR);
	return rc;
}

int
fd_close(int fd)
{
	return close(fd) < 0 && errno != EINTR ? -1 : 0;
}

int
out_exists(const char *path, struct err *e)
{
	return err_set(e, ERR_CANTCREAT, "'%s' exists; remove it or name another output", path);
}

int
out_not_begun(const char *path, struct err *e)
{
	if (errno == EBUSY)
		return err_set(e, ERR_TEMPFAIL, "'%s' is being written by another process; try again when that is done", path);
	return err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
}

/* Pipes, terminals and devices are written as they are: a rename would put a file in their place. */
static bool
is_direct(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int
open_staged(struct out *o, struct err *e)
{
	o->target = stage_target(o->path);
	o->tmp = stage_name(o->target);
	/* A rename over a directory would fail as well, but only when all has been written. */
	if (path_is_dir(o->target)) {
		errno = EISDIR;
		return err_sys(e, ERR_CANTCREAT, "cannot create '%s'", o->path);
	}
	o->fd = stage_begin(o->target, o->tmp, false);
	if (o->fd < 0)
		return out_not_begun(o->path, e);
	if (o->force || !path_exists(o->target))
		return 0;
	unlink(o->tmp);
	close(o->fd);
	return out_exists(o->path, e);
}

static int
open_direct(struct out *o, struct err *e)
{
	o->fd = open(o->path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	return o->fd < 0 ? err_sys(e, ERR_CANTCREAT, "cannot open '%s'", o->path) : 0;
}

static void
out_release(struct out *o)
{
	free(o->path);
	free(o->target);
	free(o->tmp);
	free(o->data);
	*o = (struct out){.fd = -1};
}

int
out_open(struct out *o, const char *path, bool force, struct err *e)
{
	*o = (struct out){.fd = STDOUT_FILENO, .force = force};
	if (strcmp(path, "-") != 0) {
		o->path = xstrdup(path);
		if ((is_direct(path) ? open_direct(o, e) : open_staged(o, e)) < 0) {
			out_release(o);
			return -1;
		}
	}
	o->data = xmalloc(OUT_BUFFER);
	return 0;
}

static void
write_all(struct out *o, const uint8_t *p, size_t n)
{
	if (!o->error && fd_write_all(o->fd, p, n) < 0)
		o->error = errno;
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
	return o->path ? o->path : "standard output";
}

int
out_check(const struct out *o, struct err *e)
{
	if (!o->error)
		return 0;
	errno = o->error;
	return err_sys(e, ERR_IO, "cannot write '%s'", shown_name(o));
}

int
out_flush(struct out *o, struct err *e)
{
	write_all(o, o->data, o->len);
	o->len = 0;
	return out_check(o, e);
}

/* Writes what is left and closes, stdout excepted. */
static int
finish(struct out *o, struct err *e)
{
	int rc = out_flush(o, e);
	if (rc == 0 && o->tmp && fd_sync(o->fd) < 0)
		rc = err_sys(e, ERR_IO, "cannot write '%s'", o->path);
	if (o->path && fd_close(o->fd) < 0 && rc == 0)
		rc = err_sys(e, ERR_IO, "cannot write '%s'", o->path);
	return rc;
}

static int
publish(struct out *o, struct err *e)
{
	if ((o->force ? rename(o->tmp, o->target) : stage_place(o->tmp, o->target)) == 0) {
		stage_sync(o->target);
		return 0;
	}
	return !o->force && errno == EEXIST ? out_exists(o->path, e)
					    : err_sys(e, ERR_CANTCREAT, "cannot create '%s'", o->path);
}

int
out_commit(struct out *o, struct err *e)
{
	int rc = finish(o, e);
	if (rc == 0 && o->tmp)
		rc = publish(o, e);
	if (rc < 0 && o->tmp)
		unlink(o->tmp);
	out_release(o);
	return rc;
}

void
out_abort(struct out *o)
{
	if (o->path)
		close(o->fd);
	if (o->tmp)
		unlink(o->tmp);
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
file_lock(const char *path, int *fd, struct err *e)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (*fd < 0)
		return err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	int rc;
	do
		rc = flock(*fd, LOCK_EX | LOCK_NB);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		err_set(e, ERR_TEMPFAIL, "'%s' is locked by another process", path);
	else
		err_sys(e, ERR_IO, "cannot lock '%s'", path);
	close(*fd);
	return -1;
}

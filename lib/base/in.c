#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/unpack.h"

enum { IN_BUFFER = 1 << 18 };

int
file_open(const char *path, int flags, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	if (fd < 0)
		return err_sys(e, ERR_NOINPUT, "cannot open '%s'", path);
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(e, ERR_NOINPUT, "'%s' is a directory, a file is wanted", path);
	}
	return fd;
}

int
file_read(const char *path, size_t max, struct buf *b, struct err *e)
{
	struct in in;
	struct stat st;
	size_t start = b->len;
	long n;
	if (in_open(&in, path, e) < 0)
		return -1;
	bool regular = fstat(in.fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
	size_t expected = regular && (uintmax_t)st.st_size <= max ? (size_t)st.st_size : 1 << 16;
	do {
		GROW(b->data, b->cap, b->len + expected + 2);  /* a byte to see that there are no more, and the NUL */
		n = unpack_read_plain(in.fd, in.name, (uint8_t *)b->data + b->len, b->cap - b->len - 1, e);
		b->len += n > 0 ? (size_t)n : 0;
		expected = 1;
	} while (n > 0 && b->len - start <= max);
	in_close(&in);
	b->data[b->len] = '\0';
	if (n > 0)
		return err_set(e, ERR_DATA, "'%s': larger than the %zu bytes that such a file may have", path, max);
	return n < 0 ? -1 : 0;
}

int
in_open(struct in *in, const char *path, struct err *e)
{
	*in = (struct in){.fd = STDIN_FILENO, .name = path};
	if (strcmp(path, "-") == 0)
		in->name = "standard input";
	else if ((in->fd = file_open(path, 0, e)) < 0)
		return -1;
	GROW(in->data, in->cap, IN_BUFFER);
	return 0;
}

int
in_open_unpacked(struct in *in, const char *path, struct err *e)
{
	int rc = in_open(in, path, e);
	in->sniff = rc == 0;
	return rc;
}

void
in_close(struct in *in)
{
	if (in->fd > STDERR_FILENO)
		close(in->fd);
	unpack_free(in->unpack);
	free(in->data);
	*in = (struct in){.fd = -1};
}

uint64_t
in_fetched(const struct in *in)
{
	return in->unpack ? unpack_fetched(in->unpack) : in->fetched;
}

uint64_t
in_size(const char *const *paths, size_t n)
{
	uint64_t total = 0;
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		int rc = strcmp(paths[i], "-") == 0 ? fstat(STDIN_FILENO, &st) : stat(paths[i], &st);
		if (rc < 0 || !S_ISREG(st.st_mode))
			return 0;
		total += (uint64_t)st.st_size;
	}
	return total;
}

/* Finds out whether the input is compressed, reading no further than that takes. */
static int
sniff(struct in *in, struct err *e)
{
	enum unpack_kind kind;
	in->sniff = false;
	while ((kind = unpack_detect(in->data, in->len)) == UNPACK_UNSURE && !in->eof) {
		long n = unpack_read_plain(in->fd, in->name, in->data + in->len, in->cap - in->len, e);
		if (n < 0)
			return -1;
		in->eof = n == 0;
		in->len += (size_t)n;
		in->fetched += (size_t)n;
	}
	if (kind == UNPACK_GZIP || kind == UNPACK_ZSTD) {
		in->unpack = unpack_new(kind, in->fd, in->name, in->data, in->len);
		in->len = 0;
	}
	return 0;
}

/* Reads once more behind what is buffered, making room first. */
static int
fill(struct in *in, struct err *e)
{
	if (in->sniff) {
		if (sniff(in, e) < 0)
			return -1;
		if (in->eof || in->len)
			return 0;
	}
	if (in->pos) {
		memmove(in->data, in->data + in->pos, in->len - in->pos);
		in->len -= in->pos;
		in->pos = 0;
	}
	GROW(in->data, in->cap, in->len + 1);
	uint8_t *to = in->data + in->len;
	size_t room = in->cap - in->len;
	long n = in->unpack ? unpack_read(in->unpack, to, room, e) : unpack_read_plain(in->fd, in->name, to, room, e);
	if (n < 0)
		return -1;
	in->eof = n == 0;
	in->len += (size_t)n;
	in->fetched += (size_t)n;
	return 0;
}

long
in_peek(struct in *in, const uint8_t **p, size_t n, struct err *e)
{
	while (in->len - in->pos < n && !in->eof)
		if (fill(in, e) < 0)
			return -1;
	*p = in->data + in->pos;
	size_t have = in->len - in->pos;
	return (long)(have < n ? have : n);
}

int
in_read(struct in *in, void *p, size_t n, struct err *e)
{
	size_t got = 0;
	while (got < n) {
		if (in->pos == in->len) {
			if (!in->eof && fill(in, e) < 0)
				return -1;
			if (in->pos == in->len && in->eof)
				break;
		}
		size_t take = in->len - in->pos;
		if (take > n - got)
			take = n - got;
		memcpy((char *)p + got, in->data + in->pos, take);
		in->pos += take;
		got += take;
	}
	in->taken += got;
	if (got < n && got > 0)
		return err_set(e, ERR_DATA, "'%s': ends within a record, at byte %llu", in->name,
			(unsigned long long)in->taken);
	return got == n ? 1 : 0;
}

int
in_line(struct in *in, size_t max, const char **line, size_t *n, struct err *e)
{
	size_t seen = 0;  /* bytes already searched, counted from pos */
	for (;;) {
		uint8_t *start = in->data + in->pos;
		size_t have = in->len - in->pos;
		uint8_t *lf = memchr(start + seen, '\n', have - seen);
		size_t length = lf ? (size_t)(lf - start) : have;
		if (length > max)
			return err_set(e, ERR_DATA, "'%s': a line is longer than %zu bytes", in->name, max);
		if (lf || (in->eof && have)) {
			*line = (const char *)start;
			*n = length;
			in->pos += length + (lf != NULL);
			in->taken += length + (lf != NULL);
			return 1;
		}
		if (in->eof)
			return 0;
		seen = have;
		if (fill(in, e) < 0)
			return -1;
	}
}

int
in_skip_line(struct in *in, struct err *e)
{
	for (;;) {
		uint8_t *start = in->data + in->pos, *lf = memchr(start, '\n', in->len - in->pos);
		size_t n = lf ? (size_t)(lf - start) + 1 : in->len - in->pos;
		in->pos += n;
		in->taken += n;
		if (lf || in->eof)
			return 0;
		if (fill(in, e) < 0)
			return -1;
	}
}

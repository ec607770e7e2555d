/* Files: inputs that are read whole, mapped or line by line, and outputs that appear whole or not at all. */
#ifndef HONE_BASE_FILE_H
#define HONE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

/* ---- input ---- */

/* Appends a whole file of at most `max` bytes to b. */
int file_read(const char *path, size_t max, struct buf *b, struct err *e);

/* A regular file mapped read-only. */
struct map {
	const uint8_t *data;
	size_t size;
};

int map_open(struct map *m, const char *path, struct err *e);
void map_close(struct map *m);

bool path_exists(const char *path);
bool path_is_dir(const char *path);
char *path_join(const char *dir, const char *name);  /* new; the caller frees */

/* A buffered byte source over a file, or stdin for "-". */
struct in {
	int fd;
	const char *name;  /* for messages; borrowed */
	uint8_t *data;
	size_t pos, len, cap;
	uint64_t taken;    /* bytes handed out so far */
	bool eof;
	bool sniff;             /* the first bytes are still to tell whether it is compressed */
	struct unpack *unpack;  /* NULL: not compressed */
};

int in_open(struct in *in, const char *path, struct err *e);

/* The same for what people hand in: gzip and zstd, by its first bytes, is decompressed (base/unpack.h), and all limits
 * and positions are of what it stands for. */
int in_open_unpacked(struct in *in, const char *path, struct err *e);
void in_close(struct in *in);

/* Reads exactly n bytes; 1 when done, 0 at a clean end (nothing read), −1 on an error or an end part-way
 * (ERR_DATA, "ends within ..."). */
int in_read(struct in *in, void *p, size_t n, struct err *e);

/* The next line without its line feed, in memory that the next call reuses; 1, 0 at the end, −1 on an error.
 * A line longer than `max` bytes is ERR_DATA. A last line without a line feed counts. */
int in_line(struct in *in, size_t max, const char **line, size_t *n, struct err *e);

/* Passes over the rest of a line, which may have any length; -1 on an error. */
int in_skip_line(struct in *in, struct err *e);

/* Looks at up to n bytes (at most 64 KiB) without taking them; how many there are, −1 on an error. */
long in_peek(struct in *in, const uint8_t **p, size_t n, struct err *e);

/* ---- output ---- */

/* A buffered sink: a file that is written beside its final name and renamed into place by out_commit, or
 * stdout for "-". Errors are kept and told by out_commit, so writers need not check each call. */
struct out {
	int fd;
	char *path, *tmp;  /* tmp NULL when writing to stdout */
	uint8_t *data;
	size_t len;
	uint64_t written;  /* bytes accepted so far */
	int error;         /* the first errno */
	bool force;
};

/* Creates the output. An existing final name is ERR_CANTCREAT unless `force`. */
int out_open(struct out *o, const char *path, bool force, struct err *e);
void out_write(struct out *o, const void *p, size_t n);
void out_puts(struct out *o, const char *s);

/* Flushes what is buffered now, for a reader that waits at the other end of a pipe. */
int out_flush(struct out *o, struct err *e);

/* Flushes, fsyncs and renames (a file) or flushes (stdout). After it, or out_abort, o is released. */
int out_commit(struct out *o, struct err *e);
void out_abort(struct out *o);

/* A whole small file at once: out_open, out_write, out_commit. */
int file_write(const char *path, bool force, const void *p, size_t n, struct err *e);

/* A directory that appears whole: files are made in `tmp`, and dir_commit fsyncs and renames it to `path`.
 * An existing final name is ERR_CANTCREAT, unless `force`, which replaces it. Temporaries that an earlier,
 * killed process left beside `path` are removed. */
struct dir_out {
	char *path, *tmp;
	bool force;
};

int dir_open(struct dir_out *d, const char *path, bool force, struct err *e);
int dir_commit(struct dir_out *d, struct err *e);
void dir_abort(struct dir_out *d);

/* Removes a file or a directory with all that is in it; a missing one is not an error. */
int path_remove(const char *path, struct err *e);

/* Copies a regular file byte for byte (out_open's rules). */
int file_copy(const char *from, const char *to, bool force, struct err *e);

/* fsync of a directory, so that a rename in it outlives a crash. */
int dir_sync(const char *path, struct err *e);

/* Makes a directory and the missing ones above it; an existing one is fine. */
int dir_make(const char *path, struct err *e);

/* Takes an exclusive lock on a file made for it; the descriptor holds it until closed. ERR_TEMPFAIL when
 * another process has it. */
int file_lock(const char *path, int *fd, struct err *e);

#endif

/* Files: inputs that are read whole, mapped or line by line, and outputs that appear whole or not at all. */
#ifndef HONE_BASE_FILE_H
#define HONE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

/* ---- input ---- */

/* A descriptor of a file to be read, with further flags of open; a directory is refused. −1 is an error. */
int file_open(const char *path, int flags, struct err *e);

/* Appends a whole file of at most `max` bytes to b. */
int file_read(const char *path, size_t max, struct buf *b, struct err *e);

/* A regular file mapped read-only. When it is cut short, or its disk fails, while it is used, the process ends with ERR_IO
 * and a message. */
struct map {
	const uint8_t *data;
	size_t size;
};

int map_open(struct map *m, const char *path, struct err *e);
void map_close(struct map *m);

/* Reads of all pages of at[n], for who has let the kernel read them and got EFAULT, which has not said of what file: when it
 * is one that was cut short, the process ends here, as told above. */
void map_touch(const void *at, size_t n);

/* Gives back the memory of at[n] in a mapping, and up to 2 MiB before and behind it, which the kernel may have brought in with
 * it. Pages are read anew when they are needed. */
void map_forget(const void *at, size_t n);

/* A name that cannot be looked at for another reason than that nothing is there counts as there: what is done with it then
 * tells why not, and nothing is left out or written over in silence. */
bool path_exists(const char *path);
bool path_is_dir(const char *path);
bool path_is_file(const char *path);  /* a regular one */
bool dir_has(const char *dir, const char *name);  /* path_exists of a name in a directory */
char *path_join(const char *dir, const char *name);  /* new; the caller frees */

/* Which name the thread could not look at in one of these for another reason than that nothing is there: the first since it
 * last asked, −1 and *e; 0: none. For who has to tell a name that is missing from one that could not be looked at. */
int path_unseen(struct err *e);

/* As realpath: the path without links, new, or NULL with errno when nothing is there. */
char *path_real(const char *path);

/* The names in a directory but "." and "..", sorted, NULL behind them, new; *n of them, unless n is NULL. NULL: an error,
 * so that a directory that cannot be read to its end is not taken for a smaller one. */
char **dir_names(const char *path, size_t *n, struct err *e);
void names_free(char **names); /* NULL is fine */

/* Whether a path that exists is `dir` itself, or in it or below it, by whatever names. */
bool path_is_within(const char *path, const char *dir);

/* A buffered byte source over a file, or stdin for "-". */
struct in {
	int fd;
	const char *name;  /* for messages; borrowed */
	uint8_t *data;
	size_t pos, len, cap;
	uint64_t taken;    /* bytes handed out so far */
	uint64_t fetched;  /* bytes read from fd, but by unpack */
	bool eof;
	bool sniff;             /* the first bytes are still to tell whether it is compressed */
	struct unpack *unpack;  /* NULL: not compressed */
};

int in_open(struct in *in, const char *path, struct err *e);

/* The same for what people hand in: gzip and zstd, by its first bytes, is decompressed (base/unpack.h), and all limits
 * and positions are of what it stands for. */
int in_open_unpacked(struct in *in, const char *path, struct err *e);
void in_close(struct in *in);

/* How far reading has come, as a share of in_size: bytes of the file as it lies there, compressed or not. */
uint64_t in_fetched(const struct in *in);

/* Bytes of all these files ("-": standard input); 0 where one is a pipe, or is not there: how many are to come cannot be
 * told. */
uint64_t in_size(const char *const *paths, size_t n);

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
 * stdout for "-". A name that is a pipe, a terminal or a device (/dev/null, /dev/stdout) is opened and written
 * directly; a symbolic link to a file stays, and the file that it leads to is replaced. Errors are kept and told
 * by out_commit, so writers need not check each call. */
struct out {
	int fd;
	char *path;         /* as given, for messages; NULL: stdout */
	char *target, *tmp; /* the final name and that of staging; NULL when written directly */
	uint8_t *data;
	size_t len;
	uint64_t written;  /* bytes accepted so far */
	int error;         /* the first errno */
	bool force;
};

/* Refuses (ERR_CANTCREAT) an output that is there and is the input, or in the directory that is. Either may be NULL or "-". */
int out_check_input(const char *output, const char *input, struct err *e);

/* Creates the output. An existing file is ERR_CANTCREAT unless `force`, also when it appears before out_commit; one that
 * another process of ours is writing is ERR_TEMPFAIL; what is written directly needs no force. Temporaries that an earlier, killed process left are removed. */
int out_open(struct out *o, const char *path, bool force, struct err *e);
void out_write(struct out *o, const void *p, size_t n);
void out_puts(struct out *o, const char *s);

/* Flushes what is buffered now, for a reader that waits at the other end of a pipe. */
int out_flush(struct out *o, struct err *e);

/* Whether a write has failed by now, for those who would go on for long; 0 or -1. */
int out_check(const struct out *o, struct err *e);

/* Flushes, fsyncs and renames (a file) or flushes (stdout, what is written directly). After it, or out_abort, o is
 * released. */
int out_commit(struct out *o, struct err *e);
void out_abort(struct out *o);

/* The refusal of a name that exists: fills *e (ERR_CANTCREAT) and returns -1. And that of errno where nothing could be
 * begun under a name: EBUSY, as another process is at it, is ERR_TEMPFAIL. */
int out_exists(const char *path, struct err *e);
int out_not_begun(const char *path, struct err *e);

/* Writes all n bytes, over signals and short writes; 0, or -1 with errno. */
int fd_write_all(int fd, const void *p, size_t n);

/* Takes up descriptors 0, 1 and 2 where they are closed, so that no file of ours gets the number and messages end up in
 * it. Reading or writing them fails as before. Every tool does this first (opt_parse). */
void fd_hold_standard(void);

/* fsync and close, over signals: a descriptor that close was interrupted on is gone all the same. 0, or -1 with errno. */
int fd_sync(int fd);
int fd_close(int fd);

/* A whole small file at once: out_open, out_write, out_commit. */
int file_write(const char *path, bool force, const void *p, size_t n, struct err *e);

/* A directory that appears whole: files are made in `tmp`, and dir_commit fsyncs and renames it to `path`.
 * An existing final name is ERR_CANTCREAT, unless `force`, which exchanges the two and then removes the old one; the
 * name is never absent, where kernel and file system can exchange. One that another process is making is ERR_TEMPFAIL.
 * Once the new directory has its name, nothing is an error any more. A symbolic link stays, and what it leads to is
 * replaced. Temporaries that an earlier, killed process left beside `path` are removed, and a directory that it had only
 * moved aside gets its name back. */
struct dir_out {
	char *path, *tmp;
	int fd;  /* of tmp: locked, for other processes to see */
	bool force;
};

int dir_open(struct dir_out *d, const char *path, bool force, struct err *e);
int dir_commit(struct dir_out *d, struct err *e);
void dir_abort(struct dir_out *d);

/* Settles in the same way all that is staged in `dir`, under whatever name and by whomever: for one that holds a lock, so
 * that no other process stages anything there, and that has not begun to itself. Best effort. */
void dir_sweep(const char *dir);

/* Removes a file or a directory with all that is in it; a missing one is not an error. */
int path_remove(const char *path, struct err *e);

/* As path_remove, but renamed to a staging name first: killed in the midst, it leaves the whole or nothing under
 * this name, and the rest to dir_sweep. */
int path_discard(const char *path, struct err *e);

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

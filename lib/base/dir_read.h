/* Several files of a directory, read as of one. Another process may put another directory in its place meanwhile (dir_commit in
 * base/file.h), and who opens by path has some files of the one then, and some of the other. Files that are put in the place of
 * others one by one are not seen. */
#ifndef HONE_BASE_DIR_READ_H
#define HONE_BASE_DIR_READ_H

#include <stdbool.h>

#include "base/err.h"

/* Calls read, and, when `dir` is another directory afterwards, once more, also when it failed: what it has brought goes to drop
 * first. So what read returns is of one directory; ERR_TEMPFAIL when it was replaced every time. What is no directory is read
 * once. read returns 0, or -1 with nothing to drop. */
int dir_read(const char *dir, int read(void *ctx, struct err *e), void drop(void *ctx), void *ctx, struct err *e);

/* The same by hand: what is to be a directory as it is now, and whether another has its name by now, when *e tells so
 * (ERR_TEMPFAIL). As long as it is held, no other gets its number. A hold of -1, of what is none, is never replaced. */
int dir_hold(const char *dir);
bool dir_replaced(int hold, const char *dir, struct err *e);
void dir_let_go(int hold);

#endif

/* Staging: what out.c and dir.c share to make a file or directory appear whole. Internal to base; others use
 * base/file.h. These tell failures by errno. */
#ifndef HONE_BASE_STAGE_H
#define HONE_BASE_STAGE_H

#include <stdbool.h>

/* The staging name of `path`: ".NAME.hone-PID" beside it, so that the rename stays within one file system and
 * leftovers of a killed process can be told by their name; new. */
char *stage_name(const char *path);

/* What is written when `path` is named: the end of a symbolic link that leads somewhere, else path itself; new. */
char *stage_target(const char *path);

/* Settles what earlier, killed processes staged for `path`, then creates `tmp`, its stage_name, as a file or a directory,
 * and returns a descriptor of it, which a lock marks as ours until it is closed. -1 and errno on failure; EBUSY: another
 * process is at work on `path`. One of several that ask at once gets it. */
int stage_begin(const char *path, const char *tmp, bool directory);

/* Gives the staged file or directory its name, unless something has that name: EEXIST. */
int stage_place(const char *tmp, const char *path);

/* Puts the staged directory in the place of what is at `path`, which may be nothing. What stood there is at `tmp`
 * or, where the kernel cannot exchange names, at `old`; both are the caller's to remove. */
int stage_swap(const char *tmp, const char *path, const char *old);

/* fsync of the directory that holds `path`, when the name is there already: a failure takes nothing back. */
void stage_sync(const char *path);

#endif

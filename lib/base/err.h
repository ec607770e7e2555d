/* Errors. A function that can fail takes a caller's `struct err`, fills it, and returns -1 (or NULL);
 * nothing below the tools prints. The code is the exit status that a tool ends with. */
#ifndef HONE_BASE_ERR_H
#define HONE_BASE_ERR_H

#include <stdarg.h>

/* Exit statuses; all but ERR_NO are those of sysexits.h, with the meanings of docs/architecture.md. */
enum {
	ERR_OK = 0,
	ERR_NO = 1,          /* the answer is no: a gate not passed, a difference found */
	ERR_USAGE = 64,      /* the command line is wrong */
	ERR_DATA = 65,       /* input data are wrong, or training diverged */
	ERR_NOINPUT = 66,    /* an input cannot be opened */
	ERR_BUG = 70,        /* a fault of ours */
	ERR_MEMORY = 71,     /* out of memory */
	ERR_CANTCREAT = 73,  /* an output cannot be created */
	ERR_IO = 74,         /* reading or writing failed part-way */
	ERR_TEMPFAIL = 75,   /* stopped but resumable, or locked by another run */
	ERR_CONFIG = 78,     /* the model or its configuration cannot be used */
};

struct err {
	int code;
	char msg[1024];  /* lower case, subject quoted, no full stop */
	int sys;         /* the errno that err_sys told, or 0 */
};

/* Fills *e and returns -1, so that a caller can `return err_set(e, ERR_DATA, "...")`. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the text of errno behind the message. What cannot be created for want of room is ERR_IO, want of
 * memory is ERR_MEMORY, whatever `code` says. */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts a context ("'FILE': line 3: ") before the message that *e already holds; returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

/* What tools say on stderr, each a line of its own, without what acts on a terminal (base/plain.h). The library below the
 * tools says nothing; it fills a struct err. */
#ifndef HONE_BASE_LOG_H
#define HONE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

extern const char *log_tool;  /* the program's name, before every message */
extern int log_level;         /* 0 quiet (-q): errors only; 1: warnings and notes; 2 (-v): detail */

/* Prints `tool: MESSAGE` and ends the process with e's code. */
_Noreturn void die(const struct err *e);
extern const char *usage_file;  /* that the options come from at the moment, for die_usage; NULL: the command line */
_Noreturn void die_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* also with -q, and goes on */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_detail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Warns that `file` has keys that are not known: comma-separated, or NULL when all are. */
void log_unknown_keys(const char *file, const char *keys);

enum { SIZE_TEXT = 16 };

/* Bytes as a person reads them, with three digits: "950 B", "10.4 kB", "268 MB". Returns out. */
char *size_text(char out[SIZE_TEXT], uint64_t bytes);

double clock_seconds(void);      /* monotonic */
uint64_t peak_rss_bytes(void);   /* the most memory this process has held */

/* Closes stdout and ends the process with `status`, or with 74 when stdout could not take all of it. */
_Noreturn void tool_exit(int status);

#endif

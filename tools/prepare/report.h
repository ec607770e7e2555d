/* What was found: one finding a check, in the order of the checks, for a person and as JSON. */
#ifndef HONE_PREPARE_REPORT_H
#define HONE_PREPARE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum level {
	LEVEL_UNSET,
	LEVEL_OK,
	LEVEL_NOTE,     /* nothing to do */
	LEVEL_WARNING,  /* left as it is; a person decides */
	LEVEL_REPAIRED, /* changed in what is written */
	LEVEL_ERROR,    /* the data cannot be used so */
};

/* In the order of the report: the file; the checks of the legacy service's tool, in its order; those of chat data; and
 * our own. */
enum check {
	CHECK_ENCODING,
	CHECK_BOM,
	CHECK_LINE_ENDS,
	CHECK_FORMAT,
	CHECK_MALFORMED,
	CHECK_EXAMPLES,
	CHECK_COLUMNS,
	CHECK_EXTRA_COLUMNS,
	CHECK_EMPTY,
	CHECK_TASK,
	CHECK_DUPLICATES,
	CHECK_LONG,
	CHECK_UPPER_CASE,
	CHECK_SEPARATOR,
	CHECK_PROMPT_PREFIX,
	CHECK_COMPLETION_PREFIX,
	CHECK_ENDING,
	CHECK_SPACE,
	CHECK_CHAT_MESSAGES,
	CHECK_CHAT_KEYS,
	CHECK_CHAT_UNKNOWN_KEYS,
	CHECK_CHAT_ROLES,
	CHECK_CHAT_EMPTY,
	CHECK_CHAT_ASSISTANT,
	CHECK_CHAT_WEIGHTS,
	CHECK_TEXT_VALUES,
	CHECK_LABEL_SPACE,
	CHECK_LABEL_SPELLING,
	CHECK_NEAR_EMPTY,
	CHECK_CONTRADICTIONS,
	CHECK_BALANCE,
	CHECK_TOKENS,
	CHECK_FIRST_TOKENS,
	CHECK_LEAKAGE,
	CHECK_SPLIT_LABELS,
	CHECKS,
};

enum { TALLY_LINES = 5, FILES = 2 };

/* Rows that a check is about: how many, and the lines of the first few, in the file and in the validation file. */
struct tally {
	uint64_t n;
	uint64_t line[FILES][TALLY_LINES];
	int lines[FILES];
};

void tally_add(struct tally *t, int file, uint64_t line);

struct finding {
	enum level level;
	struct tally rows;
	char *text;
};

struct report {
	struct finding of[CHECKS];
	const char *unit[FILES]; /* what a "line" of each file is: "line", or "record" */
	json_t *more;            /* members of the JSON report beside "checks" */
};

void report_init(struct report *r);
void report_release(struct report *r);

/* Sets a check's finding, in place of an earlier one. `rows` may be NULL. */
void report_set(struct report *r, enum check c, enum level level, const struct tally *rows, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* The gravest level of all, and the first finding of LEVEL_ERROR as an error. */
enum level report_level(const struct report *r);
void report_first_error(const struct report *r, const char *name, struct err *e);

/* A new text without control characters and without what is not UTF-8: what a file says may go to a terminal. */
char *plain_text(const char *p, size_t n);

/* The findings as lines of text; without `all`, those alone that are more than LEVEL_OK. */
void report_print(const struct report *r, bool all, FILE *f);

/* {"checks": [{"name", "level", "count", "lines", "text"}...], ...more}; a new reference. */
json_t *report_json(const struct report *r);

#endif

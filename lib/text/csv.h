/* Rows of separated values in memory, by RFC 4180: a field that begins with a quote goes on to the closing one, over
 * separators and line breaks, and two quotes in it are one. Rows end with LF or CR LF, the last one also without. */
#ifndef HONE_TEXT_CSV_H
#define HONE_TEXT_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum { CSV_ROW_MAX = 64 << 20, CSV_FIELDS_MAX = 4096 }; /* bytes and fields of one row */

struct csv_field {
	const char *p; /* not terminated */
	size_t n;
};

/* One row; what it points to lives until the next one is read. */
struct csv_row {
	uint64_t line;           /* where it begins, from 1 */
	struct csv_field *field; /* [n], n > 0 */
	size_t n;
};

struct csv {
	const char *p, *end; /* what is left; borrowed */
	char separator;
	bool quotes;   /* false: a quote is a character like others */
	uint64_t line; /* of p */
	uint64_t crlf; /* line breaks so far that were CR LF; those within quotes become LF */
	struct buf text;
	struct csv_field *field;
	size_t cap;
};

/* Starts at the first of n bytes, which csv borrows. csv_release frees what reading took. */
void csv_init(struct csv *c, const char *p, size_t n, char separator, bool quotes);
void csv_release(struct csv *c);

/* The next row; 1, 0 at the end, -1 on an error. Empty lines are no rows. ERR_DATA "line N: ..." when a quote is never
 * closed or a field goes on behind its closing quote, and when a row is larger than the limits. A quote within a field
 * that does not begin with one is a character. */
int csv_next(struct csv *c, struct csv_row *row, struct err *e);

#endif

#include "text/csv.h"

#include <stdlib.h>
#include <string.h>

void
csv_init(struct csv *c, const char *p, size_t n, char separator, bool quotes)
{
	*c = (struct csv){.p = p, .end = p + n, .separator = separator, .quotes = quotes, .line = 1};
}

void
csv_release(struct csv *c)
{
	buf_release(&c->text);
	free(c->field);
	*c = (struct csv){0};
}

static bool
at_crlf(const struct csv *c)
{
	return c->end - c->p >= 2 && c->p[0] == '\r' && c->p[1] == '\n';
}

static bool
at_break(const struct csv *c)
{
	return c->p < c->end && (*c->p == '\n' || at_crlf(c));
}

static void
skip_break(struct csv *c)
{
	c->crlf += *c->p == '\r';
	c->p += *c->p == '\r' ? 2 : 1;
	c->line++;
}

static int
fail(const struct csv_row *row, const char *what, uint64_t number, struct err *e)
{
	return err_set(e, ERR_DATA, "line %llu: field %llu %s", (unsigned long long)row->line,
		(unsigned long long)number, what);
}

/* The part of a quoted field up to its closing quote, behind which c->p is left. */
static int
read_quoted(struct csv *c, const struct csv_row *row, struct err *e)
{
	for (c->p++; c->p < c->end;) {
		if (c->text.len > CSV_ROW_MAX)
			return fail(row, "is longer than 64 MiB; is a quote not closed?", row->n + 1, e);
		if (at_break(c)) {
			skip_break(c);
			buf_putc(&c->text, '\n');
		} else if (*c->p != '"') {
			buf_putc(&c->text, *c->p++);
		} else if (c->end - c->p >= 2 && c->p[1] == '"') {
			buf_putc(&c->text, '"');
			c->p += 2;
		} else {
			c->p++;
			if (c->p < c->end && *c->p != c->separator && !at_break(c))
				return fail(row, "goes on behind its closing quote", row->n + 1, e);
			return 0;
		}
	}
	return fail(row, "begins with a quote that is never closed", row->n + 1, e);
}

static int
read_plain(struct csv *c, const struct csv_row *row, struct err *e)
{
	const char *start = c->p;
	while (c->p < c->end && *c->p != c->separator && !at_break(c))
		c->p++;
	if ((size_t)(c->p - start) + c->text.len > CSV_ROW_MAX)
		return fail(row, "is longer than 64 MiB", row->n + 1, e);
	buf_append(&c->text, start, (size_t)(c->p - start));
	return 0;
}

/* Fields are kept as offsets until the row is whole, for their text may move while it grows. */
static int
read_fields(struct csv *c, struct csv_row *row, struct err *e)
{
	for (;;) {
		if (row->n == CSV_FIELDS_MAX)
			return err_set(e, ERR_DATA, "line %llu: a row has more than %d fields",
				(unsigned long long)row->line, CSV_FIELDS_MAX);
		size_t at = c->text.len;
		bool quoted = c->quotes && c->p < c->end && *c->p == '"';
		if ((quoted ? read_quoted(c, row, e) : read_plain(c, row, e)) < 0)
			return -1;
		GROW(c->field, c->cap, row->n + 1);
		c->field[row->n++] = (struct csv_field){NULL, c->text.len - at};
		if (c->p == c->end || *c->p != c->separator)
			return 0;
		c->p++;
	}
}

int
csv_next(struct csv *c, struct csv_row *row, struct err *e)
{
	while (at_break(c))
		skip_break(c);
	*row = (struct csv_row){.line = c->line};
	if (c->p == c->end)
		return 0;
	buf_clear(&c->text);
	buf_append(&c->text, "", 0);
	if (read_fields(c, row, e) < 0)
		return -1;
	if (at_break(c))
		skip_break(c);
	size_t at = 0;
	for (size_t i = 0; i < row->n; i++) {
		c->field[i].p = c->text.data + at;
		at += c->field[i].n;
	}
	row->field = c->field;
	return 1;
}

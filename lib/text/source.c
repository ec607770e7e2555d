#include "text/source.h"

#include <string.h>

int
source_open(struct source *s, const char *path, struct err *e)
{
	*s = (struct source){.line = 1};
	return in_open_unpacked(&s->in, path, e);
}

void
source_close(struct source *s)
{
	in_close(&s->in);
	buf_release(&s->element);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
too_long(struct source *s, uint64_t line, struct err *e)
{
	s->can_go_on = true;
	return err_set(e, ERR_DATA, "'%s': line %llu: the record is longer than %d MiB", s->in.name,
		(unsigned long long)line, SOURCE_RECORD_MAX >> 20);
}

/* ---- characters ---- */

/* What is buffered, at least one byte; 0 at the end, -1 on an error. */
static long
look(struct source *s, const char **p, struct err *e)
{
	size_t have = s->in.len - s->in.pos;
	if (have) {
		*p = (const char *)s->in.data + s->in.pos;
		return (long)have;
	}
	const uint8_t *u;
	long n = in_peek(&s->in, &u, 1, e);
	*p = (const char *)u;
	return n;
}

static void
take(struct source *s, size_t n)
{
	s->in.pos += n;
}

/* The next character that is no white space, which stays; 0 at the end, -1 on an error. */
static int
next_sign(struct source *s, struct err *e)
{
	const char *p;
	long n;
	while ((n = look(s, &p, e)) > 0) {
		if (!is_blank(*p))
			return (unsigned char)*p ? (unsigned char)*p : 1;
		s->line += *p == '\n';
		take(s, 1);
	}
	return (int)n;
}

/* ---- JSON lines ---- */

static int
next_line(struct source *s, const char **text, size_t *n, uint64_t *line, struct err *e)
{
	int rc;
	while ((rc = in_line(&s->in, SOURCE_RECORD_MAX, text, n, e)) > 0) {
		size_t i = 0;
		*line = s->line++;
		while (i < *n && is_blank((*text)[i]))
			i++;
		if (i == *n)
			continue;
		*n -= (*text)[*n - 1] == '\r';
		return 1;
	}
	/* A line without end is what fails with so much buffered; all else is of the file. */
	if (rc == 0 || s->in.len - s->in.pos <= SOURCE_RECORD_MAX)
		return rc;
	if (in_skip_line(&s->in, e) < 0)
		return -1;
	return too_long(s, s->line++, e);
}

/* ---- one list ---- */

/* Where in an element the scan is. Brackets are counted and strings passed over; whether they match, the reader of the
 * record will see. */
struct scan {
	size_t depth;
	bool in_string, escaped, ended;
};

/* How many of n bytes belong to the element; scan->ended when it ends with them. */
static size_t
scan_element(struct scan *c, const char *p, size_t n, uint64_t *lines)
{
	for (size_t i = 0; i < n; i++) {
		char x = p[i];
		*lines += x == '\n';
		if (c->in_string) {
			c->in_string = c->escaped || x != '"';
			c->escaped = !c->escaped && x == '\\';
			c->ended = !c->in_string && c->depth == 0;
			if (c->ended)
				return i + 1;
		} else if (c->depth == 0 && (x == ',' || x == ']' || x == '}' || is_blank(x))) {
			*lines -= x == '\n';
			c->ended = true;
			return i;
		} else if (x == '"') {
			c->in_string = true;
		} else if (x == '{' || x == '[') {
			c->depth++;
		} else if ((x == '}' || x == ']') && --c->depth == 0) {
			c->ended = true;
			return i + 1;
		}
	}
	return n;
}

static int
no_list(struct source *s, const char *why, struct err *e)
{
	return err_set(e, ERR_DATA, "'%s': line %llu: %s", s->in.name, (unsigned long long)s->line, why);
}

static int
read_element(struct source *s, const char **text, size_t *n, uint64_t *line, struct err *e)
{
	struct scan c = {0};
	const char *p;
	long have = 0;
	bool over = false;
	*line = s->line;
	buf_clear(&s->element);
	while (!c.ended && (have = look(s, &p, e)) > 0) {
		size_t k = scan_element(&c, p, (size_t)have, &s->line);
		over = over || k > SOURCE_RECORD_MAX - s->element.len;
		if (!over)
			buf_append(&s->element, p, k);
		take(s, k);
	}
	if (have < 0)
		return -1;
	if (!c.ended)
		return no_list(s, "the list of records does not end", e);
	if (over)
		return too_long(s, *line, e);
	*text = s->element.data;
	*n = s->element.len;
	return 1;
}

static int
end_of_list(struct source *s, struct err *e)
{
	take(s, 1);
	int sign = next_sign(s, e);
	s->state = SOURCE_END;
	return sign > 0 ? no_list(s, "there is more behind the list of records", e) : sign;
}

static int
next_element(struct source *s, const char **text, size_t *n, uint64_t *line, struct err *e)
{
	int sign = next_sign(s, e);
	if (sign < 0)
		return -1;
	if (sign == ']')
		return end_of_list(s, e);
	if (s->state == SOURCE_LIST) {
		if (sign != ',')
			return no_list(s,
				sign ? "no ',' between two records of the list" : "the list of records does not end",
				e);
		take(s, 1);
		sign = next_sign(s, e);
	}
	s->state = SOURCE_LIST;
	if (sign == ',' || sign == ']' || sign == '}')
		return no_list(s, "a record is missing from the list", e);
	return sign < 0 ? -1 : read_element(s, text, n, line, e);
}

/* ---- either ---- */

static int
begin(struct source *s, struct err *e)
{
	const uint8_t *p;
	long n = in_peek(&s->in, &p, 3, e);
	if (n == 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		take(s, 3);
	int sign = n < 0 ? -1 : next_sign(s, e);
	if (sign < 0)
		return -1;
	s->state = sign == '[' ? SOURCE_FIRST : SOURCE_LINES;
	if (sign == '[')
		take(s, 1);
	return 0;
}

int
source_next(struct source *s, const char **text, size_t *n, uint64_t *line, struct err *e)
{
	s->can_go_on = false;
	if (s->state == SOURCE_NEW && begin(s, e) < 0)
		return -1;
	if (s->state == SOURCE_END)
		return 0;
	return s->state == SOURCE_LINES ? next_line(s, text, n, line, e) : next_element(s, text, n, line, e);
}

#include "text/json_cursor.h"

#include <string.h>

#include "text/unicode.h"

void
json_cursor_space(struct json_cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
		c->p++;
}

bool
json_cursor_take(struct json_cursor *c, char what)
{
	json_cursor_space(c);
	if (c->p == c->end || *c->p != what)
		return false;
	c->p++;
	return true;
}

static int
hex4(const char *p)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* \uXXXX, or two of them, behind the u. */
static bool
read_u(struct json_cursor *c, struct buf *out)
{
	char u[4];
	if (c->end - c->p < 4)
		return false;
	int v = hex4(c->p);
	c->p += 4;
	if (v <= 0 || (v >= 0xdc00 && v < 0xe000))
		return false;
	if (v >= 0xd800 && v < 0xdc00) {
		int low = c->end - c->p >= 6 && c->p[0] == '\\' && c->p[1] == 'u' ? hex4(c->p + 2) : -1;
		if (low < 0xdc00 || low >= 0xe000)
			return false;
		v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
		c->p += 6;
	}
	buf_append(out, u, uni_encode((uint32_t)v, u));
	return true;
}

/* What is no plain character of a string: control characters, the quote and the backslash. */
static const bool is_sign[256] = {
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, ['"'] = 1, ['\\'] = 1};

static void
run_of_plain(struct json_cursor *c)
{
	while (c->p < c->end && !is_sign[(unsigned char)*c->p])
		c->p++;
}

static bool
read_escapes(struct json_cursor *c, const char *start, struct buf *tmp)
{
	buf_clear(tmp);
	buf_append(tmp, start, (size_t)(c->p - start));
	while (c->p < c->end && *c->p != '"') {
		static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
		const char *at;
		if (*c->p != '\\') {
			const char *run = c->p;
			run_of_plain(c);
			if (c->p == run)
				return false;  /* a control character */
			buf_append(tmp, run, (size_t)(c->p - run));
			continue;
		}
		if (++c->p == c->end)
			return false;
		char k = *c->p++;
		if (k == 'u') {
			if (!read_u(c, tmp))
				return false;
		} else if (k && (at = strchr(names, k)))
			buf_putc(tmp, values[at - names]);
		else
			return false;
	}
	return c->p < c->end;
}

bool
json_cursor_string(struct json_cursor *c, struct buf *tmp, const char **s, size_t *n)
{
	if (!json_cursor_take(c, '"'))
		return false;
	const char *start = c->p;
	run_of_plain(c);
	*s = start;
	*n = (size_t)(c->p - start);
	if (c->p < c->end && *c->p == '\\') {
		if (!read_escapes(c, start, tmp))
			return false;
		*s = tmp->data;
		*n = tmp->len;
	}
	if (c->p == c->end || *c->p != '"')
		return false;
	c->p++;
	return true;
}

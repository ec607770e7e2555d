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
	if (v < 0 || (v >= 0xdc00 && v < 0xe000))
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

/* Whether any of 32 bytes is a sign. No early exit: the compiler makes vector code of it. */
static bool
block_has_sign(const char *p)
{
	unsigned char any = 0;
	for (int i = 0; i < 32; i++) {
		unsigned char c = (unsigned char)p[i];
		any |= (unsigned char)((c == '"') | (c == '\\') | (c < 0x20));
	}
	return any;
}

/* Most strings of a vocabulary are short, those of records are long. */
static void
run_of_plain(struct json_cursor *c)
{
	const char *p = c->p, *end = c->end, *near = end - p > 16 ? p + 16 : end;
	while (p < near && !is_sign[(unsigned char)*p])
		p++;
	if (p == near && p < end) {
		while (end - p >= 32 && !block_has_sign(p))
			p += 32;
		while (p < end && !is_sign[(unsigned char)*p])
			p++;
	}
	c->p = p;
}

/* What the escape at c->p stands for. */
static bool
read_escape(struct json_cursor *c, struct buf *out)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	if (++c->p == c->end)
		return false;
	char k = *c->p++;
	if (k == 'u')
		return read_u(c, out);
	const char *at = k ? strchr(names, k) : NULL;
	if (at)
		buf_putc(out, values[at - names]);
	return at != NULL;
}

/* The rest of a string of which `start` is the beginning, up to its closing quote. */
static bool
read_escaped(struct json_cursor *c, const char *start, struct buf *out)
{
	buf_append(out, start, (size_t)(c->p - start));
	while (c->p < c->end && *c->p == '\\') {
		if (!read_escape(c, out))
			return false;
		const char *run = c->p;
		run_of_plain(c);
		buf_append(out, run, (size_t)(c->p - run));
	}
	return true;
}

bool
json_cursor_string(struct json_cursor *c, struct buf *out, const char **s, size_t *n)
{
	if (!json_cursor_take(c, '"'))
		return false;
	const char *start = c->p;
	size_t from = out->len;
	run_of_plain(c);
	*s = start;
	*n = (size_t)(c->p - start);
	if (c->p < c->end && *c->p == '\\') {
		if (!read_escaped(c, start, out))
			return false;
		*s = out->data + from;
		*n = out->len - from;
	}
	if (c->p == c->end || *c->p != '"')
		return false;  /* a control character */
	c->p++;
	return true;
}

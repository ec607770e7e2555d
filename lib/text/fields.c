#include "text/fields.h"

#include <stdint.h>
#include <string.h>

#include "text/unicode.h"

struct cursor {
	const char *p, *end;
};

/* Whether any of 32 bytes ends a run of plain ones: a quote, a backslash or a control character. No early exit: the
 * compiler makes vector code of it. */
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

static const char *
skip_plain(const char *p, const char *end)
{
	while (end - p >= 32 && !block_has_sign(p))
		p += 32;
	while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

static void
skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

/* Takes one character behind white space. */
static bool
take(struct cursor *c, char want)
{
	skip_space(c);
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

/* The four hexadecimal digits of \u; -1 when they are none. */
static long
hex4(const char *p, const char *end)
{
	long v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* The character that \uXXXX (and a second one behind a high surrogate) at c->p, past the "u", stands for. */
static long
unicode_escape(struct cursor *c)
{
	long hi = hex4(c->p, c->end);
	if (hi < 0)
		return -1;
	c->p += 4;
	if (hi < 0xd800 || hi > 0xdfff)
		return hi;
	if (hi > 0xdbff || c->end - c->p < 6 || c->p[0] != '\\' || c->p[1] != 'u')
		return -1;
	long lo = hex4(c->p + 2, c->end);
	c->p += 6;
	return lo < 0xdc00 || lo > 0xdfff ? -1 : 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
}

/* Appends what the escape at c->p, past the backslash, stands for. */
static bool
unescape(struct cursor *c, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (c->p == c->end)
		return false;
	char sign = *c->p++;
	if (sign != 'u') {
		const char *at = sign ? strchr(from, sign) : NULL;
		if (at)
			buf_putc(out, to[at - from]);
		return at != NULL;
	}
	char utf8[4];
	long u = unicode_escape(c);
	if (u < 0)
		return false;
	buf_append(out, utf8, uni_encode((uint32_t)u, utf8));
	return true;
}

/* A string, past its opening quote: in place when it has no escapes, else put together in `text`, which has room for
 * it, since no escape is shorter than what it stands for. */
static bool
read_string(struct cursor *c, struct buf *text, const char **s, size_t *n)
{
	const char *start = c->p;
	size_t from = text->len;
	for (;;) {
		const char *run = c->p;
		c->p = skip_plain(run, c->end);
		if (c->p == c->end || (unsigned char)*c->p < 0x20)
			return false;
		bool end = *c->p == '"';
		if (end && run == start) {
			*s = start;
			*n = (size_t)(c->p - start);
			break;
		}
		buf_append(text, run, (size_t)(c->p - run));
		if (end) {
			*s = text->data + from;
			*n = text->len - from;
			break;
		}
		c->p++;
		if (!unescape(c, text))
			return false;
		start = NULL;
	}
	c->p++;
	return true;
}

static bool
add(struct fields *f, struct field x)
{
	if (f->n == FIELDS_MAX || memchr(x.key, '\0', x.key_n))
		return false;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].key_n == x.key_n && memcmp(f->v[i].key, x.key, x.key_n) == 0)
			return false;
	f->v[f->n++] = x;
	return true;
}

static bool
read_members(struct fields *f, struct cursor *c)
{
	do {
		struct field x;
		if (!take(c, '"') || !read_string(c, &f->text, &x.key, &x.key_n) || !take(c, ':') || !take(c, '"') ||
			!read_string(c, &f->text, &x.value, &x.n) || !add(f, x))
			return false;
	} while (take(c, ','));
	return take(c, '}');
}

bool
fields_read(struct fields *f, const char *line, size_t n)
{
	struct cursor c = {line, line + n};
	f->n = 0;
	buf_clear(&f->text);
	GROW(f->text.data, f->text.cap, n + 1);
	bool ok = take(&c, '{') && read_members(f, &c);
	skip_space(&c);
	ok = ok && c.p == c.end && uni_check(line, n) == n;
	if (!ok)
		f->n = 0;
	return ok;
}

const struct field *
fields_get(const struct fields *f, const char *key)
{
	size_t n = strlen(key);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].key_n == n && memcmp(f->v[i].key, key, n) == 0)
			return &f->v[i];
	return NULL;
}

void
fields_release(struct fields *f)
{
	buf_release(&f->text);
}

/* Strings of the template interpreter, with the meaning that Python's str gives each operation. */
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_int.h"

struct str
str_lit(const char *s)
{
	return (struct str){s, strlen(s)};
}

bool
str_is(struct str s, const char *lit)
{
	return s.n == strlen(lit) && memcmp(s.p, lit, s.n) == 0;
}

bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int
str_compare(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;  /* bytes of UTF-8 sort as code points do */
	return d ? d : (a.n > b.n) - (a.n < b.n);
}

long
str_find(struct str s, struct str what, size_t from)
{
	if (what.n == 0)
		return from <= s.n ? (long)from : -1;
	while (from + what.n <= s.n) {
		const char *p = memchr(s.p + from, what.p[0], s.n - from - what.n + 1);
		if (!p)
			return -1;
		if (memcmp(p, what.p, what.n) == 0)
			return p - s.p;
		from = (size_t)(p - s.p) + 1;
	}
	return -1;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t
str_length(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += !is_continuation(s.p[i]);
	return n;
}

size_t
str_offset(struct str s, size_t i)
{
	size_t at = 0;
	for (; i && at < s.n; i--)
		for (at++; at < s.n && is_continuation(s.p[at]); at++)
			;
	return at;
}

/* What str.isspace() of Python says. */
static bool
is_space(int32_t u)
{
	return (u >= 9 && u <= 13) || (u >= 0x1c && u <= 0x20) || u == 0x85 || u == 0xa0 || u == 0x1680 ||
		(u >= 0x2000 && u <= 0x200a) || u == 0x2028 || u == 0x2029 || u == 0x202f || u == 0x205f ||
		u == 0x3000;
}

/* The first code point of s; how many bytes it takes. */
static size_t
first_char(struct str s, int32_t *u)
{
	utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, u);
	if (n > 0)
		return (size_t)n;
	*u = (unsigned char)s.p[0];
	return 1;
}

static bool
strips(struct str one, int32_t u, const struct str *chars)
{
	return chars ? str_find(*chars, one, 0) >= 0 : is_space(u);
}

struct str
str_strip(struct str s, const struct str *chars, int sides)
{
	int32_t u;
	while (sides & STRIP_LEFT && s.n) {
		size_t n = first_char(s, &u);
		if (!strips((struct str){s.p, n}, u, chars))
			break;
		s.p += n;
		s.n -= n;
	}
	while (sides & STRIP_RIGHT && s.n) {
		size_t at = s.n - 1;
		while (at && is_continuation(s.p[at]))
			at--;
		struct str one = {s.p + at, s.n - at};
		first_char(one, &u);
		if (!strips(one, u, chars))
			break;
		s.n = at;
	}
	return s;
}

struct str
str_replace(struct jinja_ctx *c, struct str s, struct str old, struct str new, int64_t count)
{
	struct strbuf b = {.c = c};
	size_t done = 0, from = 0;
	for (; count != 0; count--) {
		long at = str_find(s, old, from);
		if (at < 0)
			break;
		strbuf_add(&b, s.p + done, (size_t)at - done);
		strbuf_str(&b, new);
		done = (size_t)at + old.n;
		from = done;
		if (old.n == 0) {  /* Python puts `new` before every character and at the end */
			if (done == s.n)
				break;
			from = done + str_offset((struct str){s.p + done, s.n - done}, 1);
		}
	}
	strbuf_add(&b, s.p + done, s.n - done);
	return strbuf_get(&b);
}

static int32_t
change_case(int32_t u, bool start, enum str_case how)
{
	if (how == CASE_UPPER)
		return utf8proc_toupper(u);
	if (how == CASE_LOWER || !start)
		return utf8proc_tolower(u);
	return utf8proc_totitle(u);
}

static bool
is_cased(int32_t u)
{
	utf8proc_category_t cat = utf8proc_category(u);
	return cat == UTF8PROC_CATEGORY_LU || cat == UTF8PROC_CATEGORY_LL || cat == UTF8PROC_CATEGORY_LT;
}

/* One to one mappings, and the sharp s; other letters that become several keep to their one. */
struct str
str_case(struct jinja_ctx *c, struct str s, enum str_case how)
{
	struct strbuf b = {.c = c};
	bool start = true;
	while (s.n) {
		int32_t u;
		utf8proc_uint8_t bytes[4];
		size_t n = first_char(s, &u);
		utf8proc_ssize_t m = utf8proc_encode_char(change_case(u, start, how), bytes);
		if (u == 0xdf && (how == CASE_UPPER || (how != CASE_LOWER && start)))
			strbuf_lit(&b, how == CASE_UPPER ? "SS" : "Ss");
		else
			strbuf_add(&b, (const char *)bytes, (size_t)m);
		start = how == CASE_TITLE && !is_cased(u);
		s.p += n;
		s.n -= n;
	}
	return strbuf_get(&b);
}

void
strbuf_add(struct strbuf *b, const char *p, size_t n)
{
	if (n > b->cap - b->n) {
		size_t cap = b->cap * 2 + n + 32;
		char *bigger = jinja_alloc(b->c, cap, 1);
		if (b->n)
			memcpy(bigger, b->p, b->n);
		b->p = bigger;
		b->cap = cap;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

void
strbuf_str(struct strbuf *b, struct str s)
{
	strbuf_add(b, s.p, s.n);
}

void
strbuf_lit(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

struct str
strbuf_get(const struct strbuf *b)
{
	return (struct str){b->p, b->n};
}

#include "text/fields.h"

#include <string.h>

#include "text/json_cursor.h"
#include "text/unicode.h"

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
read_members(struct fields *f, struct json_cursor *c)
{
	do {
		struct field x;
		if (!json_cursor_string(c, &f->text, &x.key, &x.key_n) || !json_cursor_take(c, ':') ||
			!json_cursor_string(c, &f->text, &x.value, &x.n) || !add(f, x))
			return false;
	} while (json_cursor_take(c, ','));
	return json_cursor_take(c, '}');
}

bool
fields_read(struct fields *f, const char *line, size_t n)
{
	struct json_cursor c = {line, line + n};
	f->n = 0;
	buf_clear(&f->text);
	GROW(f->text.data, f->text.cap, n + 1);  /* for all of it, so that strings stay where they are */
	bool ok = json_cursor_take(&c, '{') && read_members(f, &c);
	json_cursor_space(&c);
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

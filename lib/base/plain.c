#include "base/plain.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes the UTF-8 character at s, which a NUL ends, has; 0: it is none. */
static size_t
character(const unsigned char *s)
{
	size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Forms that are longer than they need be, halves of pairs, and what is beyond Unicode. */
	bool wrong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
		(s[0] == 0xf4 && s[1] >= 0x90);
	return wrong ? 0 : n;
}

static void
put_byte(struct buf *b, unsigned char c)
{
	static const char named[] = "\n\r\t", letters[] = "nrt";
	const char *at = strchr(named, c);
	if (at)
		buf_printf(b, "\\%c", letters[at - named]);
	else
		buf_printf(b, "\\x%02x", c);
}

void
buf_plain(struct buf *b, const char *text)
{
	buf_puts(b, "");
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t n = character(s);
		if (n == 0 || *s < 0x20 || *s == 0x7f)
			put_byte(b, *s);
		else if (*s == 0xc2 && s[1] < 0xa0)
			buf_printf(b, "\\u%04x", s[1]);
		else
			buf_append(b, s, n);
		s += n ? n : 1;
	}
}

void
plain_put(FILE *f, const char *text)
{
	struct buf b = {0};
	buf_plain(&b, text);
	fwrite(b.data, 1, b.len, f);
	buf_release(&b);
}

/* UTF-8 and the character classes that tokenizers ask about, in one table made from utf8proc's data. */
#ifndef HONE_TEXT_UNICODE_H
#define HONE_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum {
	UNI_LETTER = 1,    /* \p{L} */
	UNI_NUMBER = 2,    /* \p{N} */
	UNI_SPACE = 4,     /* White_Space, which leaves U+180E out */
	UNI_WORD = 8,      /* \w of UTS 18: Alphabetic, M, Nd, Pc, Join_Control */
	UNI_PUNCT = 16,    /* \p{P}, and all of ASCII's punctuation */
	UNI_MARK = 32,     /* \p{M} */
	UNI_NFC_RISK = 64, /* NFC may change it, or join it to what stands before it */
};

enum { UNI_MAX = 0x110000 };

extern uint8_t uni_class[UNI_MAX];  /* zero until uni_init */

/* Fills uni_class, the first time it is called; any thread. */
void uni_init(void);

/* Decodes the character at p, which starts one in valid UTF-8, and returns its length. */
static inline size_t
uni_decode(const char *s, uint32_t *c)
{
	const unsigned char *p = (const unsigned char *)s;
	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	if (p[0] < 0xe0) {
		*c = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
		return 2;
	}
	if (p[0] < 0xf0) {
		*c = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		return 3;
	}
	*c = (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
	return 4;
}

/* The start of the character that ends at p, in valid UTF-8. */
static inline const char *
uni_before(const char *p)
{
	do
		p--;
	while ((*p & 0xc0) == 0x80);
	return p;
}

/* The offset of the first byte that is not UTF-8 (RFC 3629), or n when all is. */
size_t uni_check(const char *s, size_t n);

/* How many bytes the malformed sequence at p is replaced by one U+FFFD for (the "maximal subpart" of the
 * Unicode standard, chapter 3.9); n > 0 bytes are there. */
size_t uni_bad_length(const char *p, size_t n);

/* Writes c (a scalar value) to out[4]; its length. */
size_t uni_encode(uint32_t c, char *out);

/* Appends n bytes with U+FFFD in place of what is not UTF-8. */
void uni_append_lossy(struct buf *out, const char *s, size_t n);

/* White space at the start, and at the end, of n bytes of UTF-8: how many bytes. */
size_t uni_leading_space(const char *s, size_t n);
size_t uni_trailing_space(const char *s, size_t n);

/* GPT-2's byte alphabet, a printable character for each byte: the character of a byte, and the byte of a
 * character or -1. */
uint32_t uni_from_byte(uint8_t b);
int uni_to_byte(uint32_t c);

#endif

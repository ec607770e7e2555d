#include "text/unicode.h"

#include <pthread.h>
#include <string.h>
#include <utf8proc.h>

uint8_t uni_class[UNI_MAX];

static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool
is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
		(c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
		c == 0x3000;
}

/* What \w has that the general categories do not tell: Join_Control, and the symbols that are Alphabetic. */
static bool
is_other_word(uint32_t c)
{
	return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
		(c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

static bool
is_ascii_punct(uint32_t c)
{
	return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
		(c >= '{' && c <= '~');
}

static uint8_t
category_class(utf8proc_category_t cat)
{
	switch (cat) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
		return UNI_LETTER | UNI_WORD;
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
		return UNI_MARK | UNI_WORD;
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
		return UNI_NUMBER | UNI_WORD;
	case UTF8PROC_CATEGORY_NO:
		return UNI_NUMBER;
	case UTF8PROC_CATEGORY_PC:
		return UNI_PUNCT | UNI_WORD;
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return UNI_PUNCT;
	default:
		return 0;
	}
}

/* A character is at risk under NFC when it is a mark that takes part in the canonical order, or does not come
 * back from decomposition and composition, or stands behind the first place of another's decomposition: it
 * could then join what precedes it. */
static void
mark_nfc_risk(uint32_t c, const utf8proc_property_t *prop)
{
	if (prop->combining_class)
		uni_class[c] |= UNI_NFC_RISK;
	if (prop->decomp_type || prop->decomp_seqindex == UINT16_MAX)
		return;
	utf8proc_int32_t d[32];
	int boundclass = 0;
	utf8proc_ssize_t n =
		utf8proc_decompose_char((utf8proc_int32_t)c, d, 32, UTF8PROC_DECOMPOSE, &boundclass);
	if (n < 1 || n > 32)
		return;
	for (utf8proc_ssize_t i = 1; i < n; i++)
		uni_class[d[i]] |= UNI_NFC_RISK;
	n = utf8proc_normalize_utf32(d, n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
	if (n != 1 || d[0] != (utf8proc_int32_t)c)
		uni_class[c] |= UNI_NFC_RISK;
}

/* Planes 4 to 13, most of 14, and 15 and 16 (of private use) have no letters, no marks and no forms: zero is right. */
static uint32_t
next_planned(uint32_t c)
{
	return c == 0x3ffff ? 0xe0000 : c == 0xe0fff ? UNI_MAX : c + 1;
}

static void
fill(void)
{
	for (uint32_t c = 0; c < UNI_MAX; c = next_planned(c)) {
		const utf8proc_property_t *prop = utf8proc_get_property((utf8proc_int32_t)c);
		uint8_t k = category_class((utf8proc_category_t)prop->category);
		if (is_space(c))
			k |= UNI_SPACE;
		if (is_other_word(c))
			k |= UNI_WORD;
		if (is_ascii_punct(c))
			k |= UNI_PUNCT;
		uni_class[c] |= k;
		mark_nfc_risk(c, prop);
	}
	/* Vowel and final jamo join a syllable by arithmetic, not by the tables. */
	for (uint32_t c = 0x1161; c <= 0x1175; c++)
		uni_class[c] |= UNI_NFC_RISK;
	for (uint32_t c = 0x11a8; c <= 0x11c2; c++)
		uni_class[c] |= UNI_NFC_RISK;
}

void
uni_init(void)
{
	pthread_once(&once, fill);
}

/* The length of the well-formed character at p, or 0. */
static size_t
char_length(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
		(p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* The same for most characters outside ASCII, in few steps; 0 when another look is wanted. */
static inline size_t
usual_length(const unsigned char *p, size_t n)
{
	if (p[0] < 0xe0)
		return n > 1 && p[0] >= 0xc2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	return n > 2 && p[0] > 0xe0 && p[0] < 0xed && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 ? 3 : 0;
}

size_t
uni_check(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	for (size_t i = 0, len; i < n;) {
		for (uint64_t w; n - i >= 8 && (memcpy(&w, p + i, 8), (w & 0x8080808080808080u) == 0);)
			i += 8;
		while (i < n && p[i] < 0x80)
			i++;
		for (; i < n && p[i] >= 0x80; i += len) {
			len = usual_length(p + i, n - i);
			if (!len)
				len = char_length(p + i, n - i);
			if (!len)
				return i;
		}
	}
	return n;
}

size_t
uni_bad_length(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t want = p[0] < 0xc2 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 1;
	if (want == 1 || n == 1)
		return 1;
	unsigned lo = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
	unsigned hi = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < lo || p[1] > hi)
		return 1;
	size_t i = 2;
	while (i < want && i < n && (p[i] & 0xc0) == 0x80)
		i++;
	return i;
}

size_t
uni_encode(uint32_t c, char *out)
{
	return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

void
uni_append_lossy(struct buf *out, const char *s, size_t n)
{
	while (n) {
		size_t good = uni_check(s, n);
		buf_append(out, s, good);
		s += good;
		n -= good;
		if (!n)
			return;
		size_t bad = uni_bad_length(s, n);
		buf_puts(out, "\xef\xbf\xbd");
		s += bad;
		n -= bad;
	}
}

size_t
uni_leading_space(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n) {
		uint32_t c;
		size_t len = uni_decode(s + i, &c);
		if (!(uni_class[c] & UNI_SPACE))
			break;
		i += len;
	}
	return i;
}

size_t
uni_trailing_space(const char *s, size_t n)
{
	const char *p = s + n;
	while (p > s) {
		uint32_t c;
		const char *q = uni_before(p);
		uni_decode(q, &c);
		if (!(uni_class[c] & UNI_SPACE))
			break;
		p = q;
	}
	return (size_t)(s + n - p);
}

/* Bytes that print in Latin-1 stand for themselves; the other 68 are numbered from U+0100 on. */
uint32_t
uni_from_byte(uint8_t b)
{
	if (b <= 0x20)
		return 0x100u + b;
	if (b >= 0x7f && b <= 0xa0)
		return 0x121u + b - 0x7f;
	return b == 0xad ? 0x143 : b;
}

int
uni_to_byte(uint32_t c)
{
	if (c >= 0x100 && c <= 0x120)
		return (int)(c - 0x100);
	if (c >= 0x121 && c <= 0x142)
		return (int)(c - 0x121 + 0x7f);
	if (c == 0x143)
		return 0xad;
	return c > 0xff || uni_from_byte((uint8_t)c) != c ? -1 : (int)c;
}

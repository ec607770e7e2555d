#include "text/scan.h"

#include <stdbool.h>
#include <string.h>

#include "text/unicode.h"

enum { LNS = UNI_LETTER | UNI_NUMBER | UNI_SPACE };

static const char gpt2[] =
	"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char llama3[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
	"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2[] =
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
	"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* The class of the character at p, among letter, number, space and 0 for all else; *next is behind it. */
static inline unsigned
class_at(const char *p, const char **next)
{
	uint32_t c;
	*next = p + uni_decode(p, &c);
	return uni_class[c] & LNS;
}

/* The end of the run of characters of class `want` that starts at p. */
static inline const char *
run_of(unsigned want, const char *p, const char *end)
{
	const char *next;
	while (p < end && class_at(p, &next) == want)
		p = next;
	return p;
}

static inline bool
is_newline(char c)
{
	return c == '\n' || c == '\r';
}

/* \s+(?!\S)|\s+ from p, where the run of white space ends at `stop`: the last character is left for the word
 * behind it, unless it is the only one or nothing follows. */
static const char *
cut_space(const char *p, const char *stop, const char *end)
{
	if (stop == end)
		return stop;
	const char *last = uni_before(stop);
	return last > p ? last : stop;
}

/* The length of 's 't 'm 'd 're 've 'll at p, which holds an apostrophe; 0 when there is none. */
static size_t
contraction(const char *p, const char *end)
{
	char a = p + 1 < end ? p[1] : 0, b = p + 2 < end ? p[2] : 0;
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return 2;
	return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* The same in either case; U+017F is a form of the letter s. */
static size_t
contraction_nocase(const char *p, const char *end)
{
	char low[3] = {'\''};
	if (end - p >= 3 && !memcmp(p + 1, "\xc5\xbf", 2))
		return 3;
	for (int i = 1; i < 3 && p + i < end; i++)
		low[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 'a' - 'A') : p[i];
	return contraction(low, low + (end - p < 3 ? end - p : 3));
}

const char *
scan_gpt2(const char *p, const char *end)
{
	if (*p == '\'') {
		size_t n = contraction(p, end);
		if (n)
			return p + n;
	}
	const char *q = p, *next;
	if (*p == ' ' && p + 1 < end)
		q++;
	unsigned k = class_at(q, &next);
	if (k != UNI_SPACE)
		return run_of(k, next, end);
	return cut_space(p, run_of(UNI_SPACE, next, end), end);
}

/* White space at p up to `stop`: \s*[\r\n]+ first, which ends behind the last line feed in it. */
static const char *
cut_lines(const char *p, const char *stop, const char *end)
{
	const char *q = stop;
	while (q > p && !is_newline(q[-1]))
		q--;
	return q > p ? q : cut_space(p, stop, end);
}

static inline const char *
scan_tiktoken(const char *p, const char *end, int digits)
{
	const char *next, *second;
	if (*p == '\'') {
		size_t n = contraction_nocase(p, end);
		if (n)
			return p + n;
	}
	unsigned k = class_at(p, &next);
	if (k == UNI_LETTER)
		return run_of(UNI_LETTER, next, end);
	if (k == UNI_NUMBER) {
		while (--digits && next < end && class_at(next, &second) == UNI_NUMBER)
			next = second;
		return next;
	}
	unsigned k2 = next < end ? class_at(next, &second) : UNI_SPACE;
	if (k2 == UNI_LETTER && !is_newline(*p))
		return run_of(UNI_LETTER, second, end);
	if (k == UNI_SPACE && !(*p == ' ' && k2 == 0))
		return cut_lines(p, run_of(UNI_SPACE, next, end), end);
	next = run_of(0, next, end);
	while (next < end && is_newline(*next))
		next++;
	return next;
}

static const char *
scan_llama3(const char *p, const char *end)
{
	return scan_tiktoken(p, end, 3);
}

static const char *
scan_qwen2(const char *p, const char *end)
{
	return scan_tiktoken(p, end, 1);
}

scan_fn *
scan_find(const char *regex)
{
	if (!strcmp(regex, gpt2))
		return scan_gpt2;
	if (!strcmp(regex, llama3))
		return scan_llama3;
	return strcmp(regex, qwen2) ? NULL : scan_qwen2;
}

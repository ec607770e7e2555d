#include "text/bpe_seams.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"
#include "text/unicode.h"

/* Up to four bytes of a character and how many, or NOTHING: such a token never ends, or begins, at a boundary. */
enum { NOTHING = 0 };

static inline uint64_t
key_of(const uint8_t *p, size_t n)
{
	switch (n) {
	case 1:
		return 1u << 8 | p[0];
	case 2:
		return 2u << 16 | (uint32_t)p[0] << 8 | p[1];
	case 3:
		return 3u << 24 | (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
	default:
		return (uint64_t)n << 32 | (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	}
}

static inline uint32_t
bit_of(uint64_t before, uint64_t after)
{
	return (uint32_t)((before * 0x9e3779b97f4a7c15u + after) * 0xbf58476d1ce4e5b9u >> (64 - BPE_SEAM_BITS));
}

static bool
is_continuation(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* How long a character is, by its first byte. */
static size_t
length_of(uint8_t c)
{
	return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* ---- what tokens show ---- */

/* The last bytes of a token, at most four, into out[4]; how many. 0 when it is no string of bytes. */
static size_t
last_bytes(const struct vocab_token *t, uint8_t *out)
{
	const char *p = t->text + t->n;
	uint8_t back[4];
	size_t n = 0;
	while (p > t->text && n < 4) {
		uint32_t c;
		p = uni_before(p);
		uni_decode(p, &c);
		int byte = uni_to_byte(c);
		if (byte < 0)
			return 0;
		back[n++] = (uint8_t)byte;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = back[n - 1 - i];
	return n;
}

static size_t
first_bytes(const struct vocab_token *t, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n && n < 4;) {
		uint32_t c;
		i += uni_decode(t->text + i, &c);
		int byte = uni_to_byte(c);
		if (byte < 0)
			return 0;
		out[n++] = (uint8_t)byte;
	}
	return n;
}

struct shown {
	uint64_t before, after;         /* keys, or NOTHING */
	bool before_part, after_part;   /* it is part of a character only */
	uint8_t last, first;            /* the bytes at the boundary */
};

static void
show_before(const struct vocab_token *t, struct shown *s)
{
	uint8_t b[4];
	size_t n = last_bytes(t, b), k = n;
	while (k && is_continuation(b[k - 1]))
		k--;
	s->last = n ? b[n - 1] : 0;
	if (k && length_of(b[k - 1]) == n - k + 1)
		s->before = key_of(b + k - 1, n - k + 1);
	else if (n && !k && n < 4) {
		s->before = key_of(b, n);
		s->before_part = true;
	}
}

static void
show_after(const struct vocab_token *t, struct shown *s)
{
	uint8_t b[4];
	size_t n = first_bytes(t, b), k = 1;
	if (!n || is_continuation(b[0]))
		return;
	while (k < n && k < length_of(b[0]) && is_continuation(b[k]))
		k++;
	s->first = b[0];
	s->after_part = k == n && n < length_of(b[0]);
	if (s->after_part || k == length_of(b[0]))
		s->after = key_of(b, k);
}

static void
note_merge(struct bpe_seams *s, const struct shown *left, const struct shown *right)
{
	if (left->before == NOTHING || right->after == NOTHING)
		return;
	uint32_t bit = bit_of(left->before, right->after);
	s->pair[bit / 64] |= (uint64_t)1 << bit % 64;
	s->parts[left->last][right->first] |= left->before_part || right->after_part;
}

/* Whether a token begins with the first byte of a character outside ASCII: such bytes stand for themselves in the byte
 * alphabet, as U+00C0 to U+00FF. Other boundaries are never asked for. */
static bool
begins_character(const struct vocab_token *t)
{
	return t->n && (uint8_t)t->text[0] == 0xc3;
}

/* Merges that are noted together, the memory of their tokens asked for ahead. */
struct noting {
	struct bpe_seams *seams;
	const struct vocab_token *left[64], *right[64];
	size_t n;
};

static void
flush_noted(struct noting *x)
{
	for (size_t i = 0; i < x->n; i++) {
		__builtin_prefetch(x->left[i]->text);
		__builtin_prefetch(x->right[i]->text);
	}
	for (size_t i = 0; i < x->n; i++) {
		struct shown left = {0}, right = {0};
		show_before(x->left[i], &left);
		show_after(x->right[i], &right);
		note_merge(x->seams, &left, &right);
	}
	x->n = 0;
}

struct bpe_seams *
bpe_seams_new(const struct bpe *b)
{
	struct bpe_seams *s = xcalloc(1, sizeof *s);
	struct noting x = {.seams = s};
	uint8_t *begins = xcalloc(b->vocab.size + 1, 1);
	size_t slots = (size_t)1 << (64 - b->merge_shift);
	for (size_t id = 0; id < b->vocab.size; id++)
		begins[id] = b->vocab.token[id].text && begins_character(&b->vocab.token[id]);
	for (size_t i = 0; i < slots; i++) {
		uint32_t right = (uint32_t)b->merge[i].pair;
		if (b->merge[i].rank == BPE_NO_RANK || !begins[right])
			continue;
		x.left[x.n] = &b->vocab.token[b->merge[i].pair >> 32];
		x.right[x.n] = &b->vocab.token[right];
		__builtin_prefetch(x.left[x.n]);
		__builtin_prefetch(x.right[x.n]);
		if (++x.n == sizeof x.left / sizeof *x.left)
			flush_noted(&x);
	}
	flush_noted(&x);
	free(begins);
	return s;
}

/* ---- use ---- */

static inline bool
are_joined(const struct bpe_seams *s, uint64_t before, uint64_t after)
{
	uint32_t bit = bit_of(before, after);
	return s->pair[bit / 64] >> bit % 64 & 1;
}

/* As bpe_is_seam, where merges may show parts of the characters: `left` bytes before p and `right` from there. */
static bool
is_seam_of_parts(const struct bpe_seams *s, const uint8_t *p, size_t left, size_t right)
{
	for (size_t k = 1; k <= left; k++) {
		uint64_t before = key_of(p - k, k);
		for (size_t m = 1; m <= right; m++)
			if (are_joined(s, before, key_of(p, m)))
				return false;
	}
	return true;
}

bool
bpe_is_seam(const struct bpe_seams *s, const char *text, size_t i, size_t n)
{
	const uint8_t *p = (const uint8_t *)text + i;
	size_t left = 1, right = length_of(p[0]);
	while (left < i && left <= 4 && is_continuation(p[-(ptrdiff_t)left]))
		left++;
	if (left > 4 || right > n - i)
		return false;
	if (s->parts[p[-1]][p[0]])
		return is_seam_of_parts(s, p, left, right);
	return !are_joined(s, key_of(p - left, left), key_of(p, right));
}

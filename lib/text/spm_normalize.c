#include "text/spm_normalize.h"

#include <string.h>

#include "text/unicode.h"

/* ---- rules ---- */

static uint32_t
le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int
damaged(const char *what, struct err *e)
{
	return err_set(e, ERR_CONFIG, "the precompiled_charsmap is damaged: %s", what);
}

static int
open_rules(struct spm_rules *r, struct spm_bytes map, struct err *e)
{
	*r = (struct spm_rules){0};
	if (!map.n)
		return 0;
	if (map.n < 4)
		return damaged("it is too short", e);
	size_t bytes = le32((const uint8_t *)map.p);
	if (bytes > map.n - 4 || bytes % 4 || !bytes)
		return damaged("its trie is larger than it is, or no array", e);
	r->unit = (const uint8_t *)map.p + 4;
	r->n_units = bytes / 4;
	r->strings = (struct spm_bytes){map.p + 4 + bytes, map.n - 4 - bytes};
	if (r->strings.n && r->strings.p[r->strings.n - 1])
		return damaged("its last string does not end", e);
	if (uni_check(r->strings.p, r->strings.n) < r->strings.n)
		return damaged("its strings are not UTF-8", e);
	return 0;
}

/* A unit of the double array: bits 0-7 the label, bit 8 whether a key ends here, bits 10-30 (shifted by 8 when
 * bit 9 is set) the way to the children, whose places are XORed with it and their labels. The unit of a value
 * has bit 31 set, so that it is no label. */
static uint32_t
offset_of(uint32_t unit)
{
	return unit >> 10 << ((unit & 1u << 9) >> 6);
}

/* The longest key that the text begins with, 0 when there is none; *at is where its replacement begins. */
static size_t
longest_rule(const struct spm_rules *r, const char *p, size_t n, uint32_t *at)
{
	size_t longest = 0;
	if (!r->n_units)
		return 0;
	uint32_t node = offset_of(le32(r->unit));
	for (size_t i = 0; i < n; i++) {
		node ^= (uint8_t)p[i];
		if (node >= r->n_units)
			break;
		uint32_t unit = le32(r->unit + (size_t)4 * node);
		if ((unit & (1u << 31 | 0xff)) != (uint8_t)p[i])
			break;
		node ^= offset_of(unit);
		if ((unit & 1u << 8) && node < r->n_units) {
			*at = le32(r->unit + (size_t)4 * node) & ~(1u << 31);
			longest = i + 1;
		}
	}
	return longest;
}

/* ---- text ---- */

int
spm_normalizer_init(
	struct spm_normalizer *z, const struct spm_model *m, const struct spm_trie *user, struct err *e)
{
	*z = (struct spm_normalizer){.user = user,
		.add_dummy_prefix = m->add_dummy_prefix,
		.remove_extra_whitespaces = m->remove_extra_whitespaces,
		.escape_whitespaces = m->escape_whitespaces};
	return open_rules(&z->rules, m->charsmap, e);
}

/* What the next bytes of the text become; how many were taken, 0 on an error. A key may end within a character:
 * the rest of it then becomes a U+FFFD a byte. */
static size_t
next_part(const struct spm_normalizer *z, const char *p, size_t n, struct spm_bytes *part, struct err *e)
{
	int32_t id;
	uint32_t at = 0, c;
	size_t len = spm_trie_longest(z->user, p, n, &id);
	if (len) {
		*part = (struct spm_bytes){p, len};
		return len;
	}
	len = longest_rule(&z->rules, p, n, &at);
	if (len) {
		const struct spm_bytes *s = &z->rules.strings;
		if (at >= s->n || ((uint8_t)s->p[at] & 0xc0) == 0x80) {
			damaged("a rule leads out of its strings", e);
			return 0;
		}
		*part = (struct spm_bytes){s->p + at, strlen(s->p + at)};
		return len;
	}
	if (((uint8_t)*p & 0xc0) == 0x80) {
		*part = (struct spm_bytes){"\xef\xbf\xbd", 3};
		return 1;
	}
	len = uni_decode(p, &c);
	*part = (struct spm_bytes){p, len};
	return len;
}

static bool
is_space(struct spm_bytes s)
{
	return s.n == 1 && *s.p == ' ';
}

static void
append(struct buf *out, struct spm_bytes s, bool escape)
{
	const char *space;
	while (escape && (space = memchr(s.p, ' ', s.n))) {
		size_t k = (size_t)(space - s.p);
		buf_append(out, s.p, k);
		buf_append(out, SPM_SPACE, 3);
		s.p += k + 1;
		s.n -= k + 1;
	}
	buf_append(out, s.p, s.n);
}

static void
remove_trailing(struct buf *out, size_t start, const char *space)
{
	size_t k = strlen(space);
	while (out->len - start >= k && !memcmp(out->data + out->len - k, space, k))
		out->len -= k;
	if (out->data)
		out->data[out->len] = '\0';
}

/* Most text has nothing to replace: rules, symbols and white space that goes all need a look at each character. */
static bool
is_plain(const struct spm_normalizer *z)
{
	return !z->rules.n_units && !z->user->n && !z->remove_extra_whitespaces;
}

int
spm_normalize(const struct spm_normalizer *z, bool prefix, const char *text, size_t n, struct buf *out,
	struct err *e)
{
	const char *space = z->escape_whitespaces ? SPM_SPACE : " ";
	struct spm_bytes part = {0};
	size_t i = 0, len = 0, start = out->len;
	if (z->remove_extra_whitespaces)
		while (i < n && (len = next_part(z, text + i, n - i, &part, e)) && is_space(part))
			i += len;
	if (i == n)
		return 0;
	if (prefix && z->add_dummy_prefix)
		buf_puts(out, space);
	if (is_plain(z)) {
		append(out, (struct spm_bytes){text, n}, z->escape_whitespaces);
		return 0;
	}
	bool after_space = z->remove_extra_whitespaces;
	for (; i < n; i += len) {
		len = next_part(z, text + i, n - i, &part, e);
		if (!len) {
			out->len = start;
			return -1;
		}
		for (; after_space && part.n && *part.p == ' '; part.p++)
			part.n--;
		append(out, part, z->escape_whitespaces);
		if (part.n)
			after_space = z->remove_extra_whitespaces && part.p[part.n - 1] == ' ';
	}
	if (z->remove_extra_whitespaces)
		remove_trailing(out, start, space);
	return 0;
}

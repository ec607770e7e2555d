#include "text/decode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/component.h"
#include "text/normalize.h"
#include "text/unicode.h"

enum step_type { BYTE_LEVEL, REPLACE, BYTE_FALLBACK, FUSE, STRIP, METASPACE, BPE_DECODER };

struct step {
	enum step_type type;
	struct pattern *pattern;  /* REPLACE */
	char *content; /* REPLACE: what to put; BPE_DECODER: the suffix; STRIP, METASPACE: the character */
	size_t content_n;
	int64_t start, stop;      /* STRIP */
	bool drop_first;          /* METASPACE: the first token loses its replacement characters */
};

struct decoder {
	struct step *step;
	size_t n, cap;
	bool join_with_spaces;
};

/* ---- loading ---- */

static int
keep_string(struct step *s, const json_t *j, const char *what, const char *key, struct err *e)
{
	const json_t *v = json_object_get(j, key);
	if (!json_is_string(v))
		return err_set(e, ERR_CONFIG, "decoder %s: '%s' is not a string", what, key);
	s->content_n = json_string_length(v);
	s->content = xmalloc(s->content_n + 1);
	memcpy(s->content, json_string_value(v), s->content_n + 1);
	return 0;
}

static int
keep_char(struct step *s, const json_t *j, const char *what, const char *key, struct err *e)
{
	char c[5];
	if (component_char(j, what, key, c, e) < 0)
		return -1;
	return keep_string(s, j, what, key, e);
}

static int
load_replace(struct step *s, const json_t *j, struct err *e)
{
	s->pattern = pattern_load(json_object_get(j, "pattern"), "decoder Replace", e);
	return s->pattern ? keep_string(s, j, "Replace", "content", e) : -1;
}

static int
load_strip(struct step *s, const json_t *j, struct err *e)
{
	return keep_char(s, j, "decoder Strip", "content", e) < 0 ||
		json_get_int(j, "start", 0, INT32_MAX, &s->start, e) < 0 ||
		json_get_int(j, "stop", 0, INT32_MAX, &s->stop, e) < 0 ? -1 : 0;
}

static int
load_metaspace(struct step *s, const json_t *j, struct err *e)
{
	const char *scheme = NULL;
	bool prefix = true;
	if (keep_char(s, j, "decoder Metaspace", "replacement", e) < 0 ||
		json_get_string(j, "prepend_scheme", &scheme, e) < 0 ||
		json_get_bool(j, "add_prefix_space", &prefix, e) < 0)
		return -1;
	if (!scheme)  /* files of before 2023 have add_prefix_space only */
		scheme = prefix ? "always" : "never";
	bool never = !strcmp(scheme, "never");
	if ((!never && strcmp(scheme, "always") && strcmp(scheme, "first")) || (!prefix && !never))
		return err_set(e, ERR_CONFIG, "decoder Metaspace: 'prepend_scheme' is '%.64s'%s", scheme,
			prefix ? "" : ", but 'add_prefix_space' is false");
	s->drop_first = !never;
	return 0;
}

static int
load_bpe(struct step *s, const json_t *j, struct err *e)
{
	return keep_string(s, j, "BPEDecoder", "suffix", e);
}

static int
load(void *ctx, const json_t *j, int depth, struct err *e)
{
	static const struct {
		const char *name;
		enum step_type type;
		int (*load)(struct step *s, const json_t *j, struct err *e);
	} known[] = {
		{"ByteLevel", BYTE_LEVEL, NULL},
		{"Replace", REPLACE, load_replace},
		{"ByteFallback", BYTE_FALLBACK, NULL},
		{"Fuse", FUSE, NULL},
		{"Strip", STRIP, load_strip},
		{"Metaspace", METASPACE, load_metaspace},
		{"BPEDecoder", BPE_DECODER, load_bpe},
	};
	struct decoder *d = ctx;
	const char *type = component_type(j, "decoder", e);
	if (!type)
		return -1;
	if (!strcmp(type, "Sequence"))
		return component_each(j, "decoder", "decoders", depth, load, d, e);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(type, known[i].name))
			continue;
		GROW(d->step, d->cap, d->n + 1);
		struct step *s = &d->step[d->n++];
		*s = (struct step){.type = known[i].type};
		return known[i].load ? known[i].load(s, j, e) : 0;
	}
	return component_unknown("decoder", type, e);
}

struct decoder *
decoder_load(const json_t *j, struct err *e)
{
	struct decoder *d = xcalloc(1, sizeof *d);
	d->join_with_spaces = !j || json_is_null(j);
	if (!d->join_with_spaces && load(d, j, 0, e) < 0) {
		decoder_free(d);
		return NULL;
	}
	return d;
}

void
decoder_free(struct decoder *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		pattern_free(d->step[i].pattern);
		free(d->step[i].content);
	}
	free(d->step);
	free(d);
}

/* ---- lists of strings ---- */

static void
end_string(struct strings *s)
{
	GROW(s->end, s->cap, s->n + 1);
	s->end[s->n++] = s->text.len;
}

void
strings_add(struct strings *s, const char *p, size_t n)
{
	buf_append(&s->text, p, n);
	end_string(s);
}

void
strings_release(struct strings *s)
{
	buf_release(&s->text);
	free(s->end);
	*s = (struct strings){0};
}

static const char *
string_at(const struct strings *s, size_t i, size_t *n)
{
	size_t start = i ? s->end[i - 1] : 0;
	*n = s->end[i] - start;
	return s->text.data + start;
}

/* ---- steps: from one list to the next ---- */

/* The bytes that a token's characters stand for, or the token's own when one of them stands for none. */
static void
append_bytes(struct buf *out, const char *p, size_t n)
{
	size_t before = out->len;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		i += uni_decode(p + i, &c);
		int byte = uni_to_byte(c);
		if (byte < 0) {
			out->len = before;
			buf_append(out, p, n);
			return;
		}
		buf_putc(out, (char)byte);
	}
}

static void
byte_level(const struct strings *in, struct strings *out)
{
	struct buf bytes = {0};
	for (size_t i = 0; i < in->n; i++) {
		size_t n;
		const char *p = string_at(in, i, &n);
		append_bytes(&bytes, p, n);
	}
	uni_append_lossy(&out->text, bytes.data, bytes.len);
	end_string(out);
	buf_release(&bytes);
}

/* The byte of a token "<0xXX>", or -1. A plus sign passes for the first digit, as it does in the reference. */
static int
fallback_byte(const char *p, size_t n)
{
	if (n != 6 || memcmp(p, "<0x", 3) || p[5] != '>')
		return -1;
	int v = 0;
	for (int i = 3; i < 5; i++) {
		const char *digits = "0123456789abcdef", *at;
		char c = p[i] >= 'A' && p[i] <= 'F' ? (char)(p[i] - 'A' + 'a') : p[i];
		if (i == 3 && c == '+')
			continue;
		at = c ? strchr(digits, c) : NULL;
		if (!at)
			return -1;
		v = v * 16 + (int)(at - digits);
	}
	return v;
}

/* A run of bytes becomes one string, or one U+FFFD a byte when it is not UTF-8. */
static void
flush_bytes(struct buf *run, struct strings *out)
{
	if (run->len && uni_check(run->data, run->len) == run->len)
		strings_add(out, run->data, run->len);
	else
		for (size_t i = 0; i < run->len; i++)
			strings_add(out, "\xef\xbf\xbd", 3);
	buf_clear(run);
}

static void
byte_fallback(const struct strings *in, struct strings *out)
{
	struct buf run = {0};
	for (size_t i = 0; i < in->n; i++) {
		size_t n;
		const char *p = string_at(in, i, &n);
		int byte = fallback_byte(p, n);
		if (byte >= 0) {
			buf_putc(&run, (char)byte);
			continue;
		}
		flush_bytes(&run, out);
		strings_add(out, p, n);
	}
	flush_bytes(&run, out);
	buf_release(&run);
}

/* Takes up to `start` of the character off the front, and up to `stop` off the end. */
static void
strip(const struct step *s, const char *p, size_t n, struct strings *out)
{
	for (int64_t i = 0; i < s->start && n >= s->content_n && !memcmp(p, s->content, s->content_n); i++) {
		p += s->content_n;
		n -= s->content_n;
	}
	for (int64_t i = 0; i < s->stop && n >= s->content_n; i++) {
		if (memcmp(p + n - s->content_n, s->content, s->content_n))
			break;
		n -= s->content_n;
	}
	strings_add(out, p, n);
}

/* Puts `with` in the place of each s->content. */
static void
substitute(const struct step *s, const char *with, const char *p, size_t n, struct strings *out)
{
	size_t done = 0, k = s->content_n;
	for (size_t i = 0; k && i + k <= n;) {
		if (memcmp(p + i, s->content, k)) {
			i++;
			continue;
		}
		buf_append(&out->text, p + done, i - done);
		buf_puts(&out->text, with);
		done = i += k;
	}
	strings_add(out, p + done, n - done);
}

/* A pattern that gives up leaves its token as it was: decoding has no errors. */
static void
replace(const struct step *s, struct matcher *m, const char *p, size_t n, struct strings *out)
{
	struct err e;
	size_t before = out->text.len;
	if (replace_all(s->pattern, m, s->content, s->content_n, p, n, &out->text, &e) < 0) {
		out->text.len = before;
		buf_append(&out->text, p, n);
	}
	end_string(out);
}

static void
each_token(const struct step *s, struct matcher *m, const struct strings *in, struct strings *out)
{
	for (size_t i = 0; i < in->n; i++) {
		size_t n;
		const char *p = string_at(in, i, &n);
		if (s->type == REPLACE)
			replace(s, m, p, n, out);
		else if (s->type == STRIP)
			strip(s, p, n, out);
		else if (s->type == METASPACE)
			substitute(s, i == 0 && s->drop_first ? "" : " ", p, n, out);
		else
			substitute(s, i + 1 == in->n ? "" : " ", p, n, out);
	}
}

static void
apply_step(const struct step *s, struct matcher *m, const struct strings *in, struct strings *out)
{
	buf_clear(&out->text);
	out->n = 0;
	switch (s->type) {
	case BYTE_LEVEL:
		byte_level(in, out);
		break;
	case BYTE_FALLBACK:
		byte_fallback(in, out);
		break;
	case FUSE:
		strings_add(out, in->text.data, in->text.len);
		break;
	default:
		each_token(s, m, in, out);
	}
}

void
decoder_apply(const struct decoder *d, struct strings *tokens, struct buf *out)
{
	struct strings other = {0};
	struct matcher *m = NULL;
	for (size_t i = 0; i < d->n; i++) {
		if (d->step[i].type == REPLACE && !m)
			m = matcher_new();
		apply_step(&d->step[i], m, tokens, &other);
		struct strings t = *tokens;
		*tokens = other;
		other = t;
	}
	matcher_free(m);
	strings_release(&other);
	for (size_t i = 0; i < tokens->n; i++) {
		size_t n;
		const char *p = string_at(tokens, i, &n);
		if (i && d->join_with_spaces)
			buf_putc(out, ' ');
		buf_append(out, p, n);
	}
}

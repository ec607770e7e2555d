#include "text/normalize.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/json.h"
#include "text/component.h"
#include "text/unicode.h"

enum step_type { NORMAL_FORM, LOWERCASE, PREPEND, REPLACE, STRIP, STRIP_ACCENTS };

struct step {
	enum step_type type;
	int form;  /* NORMAL_FORM: utf8proc's options */
	bool left, right;  /* STRIP */
	char *content;     /* PREPEND, REPLACE */
	size_t content_n;
	struct pattern *pattern;  /* REPLACE */
};

struct normalizer {
	struct step *step;
	size_t n, cap;
};

/* ---- loading ---- */

static int
load_content(struct step *s, const json_t *j, const char *type, const char *key, struct err *e)
{
	const json_t *v = json_object_get(j, key);
	if (!json_is_string(v))
		return err_set(e, ERR_CONFIG, "normalizer %s: '%s' is not a string", type, key);
	s->content_n = json_string_length(v);
	s->content = xmalloc(s->content_n + 1);
	memcpy(s->content, json_string_value(v), s->content_n + 1);
	return 0;
}

static int
load_simple(struct step *s, const json_t *j, const char *type, struct err *e)
{
	static const struct {
		const char *name;
		enum step_type type;
		int form;
	} simple[] = {
		{"NFC", NORMAL_FORM, UTF8PROC_COMPOSE},
		{"NFD", NORMAL_FORM, UTF8PROC_DECOMPOSE},
		{"NFKC", NORMAL_FORM, UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
		{"NFKD", NORMAL_FORM, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
		{"Lowercase", LOWERCASE, 0},
		{"Prepend", PREPEND, 0},
		{"Replace", REPLACE, 0},
		{"Strip", STRIP, 0},
		{"StripAccents", STRIP_ACCENTS, 0},
	};
	size_t i = 0, n = sizeof simple / sizeof *simple;
	while (i < n && strcmp(type, simple[i].name))
		i++;
	if (i == n)
		return component_unknown("normalizer", type, e);
	s->type = simple[i].type;
	s->form = simple[i].form;
	s->left = s->right = true;
	if (s->type == PREPEND)
		return load_content(s, j, type, "prepend", e);
	if (s->type == STRIP)
		return json_get_bool(j, "strip_left", &s->left, e) < 0 ? -1 :
			json_get_bool(j, "strip_right", &s->right, e);
	if (s->type != REPLACE)
		return 0;
	s->pattern = pattern_load(json_object_get(j, "pattern"), "normalizer Replace", e);
	return s->pattern ? load_content(s, j, type, "content", e) : -1;
}

static int
load(void *ctx, const json_t *j, int depth, struct err *e)
{
	struct normalizer *nz = ctx;
	const char *type = component_type(j, "normalizer", e);
	if (!type)
		return -1;
	if (!strcmp(type, "Sequence"))
		return component_each(j, "normalizer", "normalizers", depth, load, nz, e);
	GROW(nz->step, nz->cap, nz->n + 1);
	nz->step[nz->n] = (struct step){0};
	return load_simple(&nz->step[nz->n++], j, type, e);
}

struct normalizer *
normalizer_load(const json_t *j, struct err *e)
{
	struct normalizer *nz = xcalloc(1, sizeof *nz);
	if (j && !json_is_null(j) && load(nz, j, 0, e) < 0) {
		normalizer_free(nz);
		return NULL;
	}
	return nz;
}

void
normalizer_free(struct normalizer *nz)
{
	if (!nz)
		return;
	for (size_t i = 0; i < nz->n; i++) {
		free(nz->step[i].content);
		pattern_free(nz->step[i].pattern);
	}
	free(nz->step);
	free(nz);
}

void
normal_work_release(struct normal_work *w)
{
	buf_release(&w->text[0]);
	buf_release(&w->text[1]);
	free(w->chars);
	*w = (struct normal_work){0};
}

/* ---- normal forms ---- */

static int
combining_class(int32_t c)
{
	return utf8proc_get_property(c)->combining_class;
}

/* Orders a run of marks by combining class, equal ones as they stand. A counting sort for long runs: the text
 * may be megabytes of marks. */
static void
order_marks(int32_t *c, size_t n)
{
	if (n < 32) {
		for (size_t i = 1; i < n; i++) {
			int32_t x = c[i];
			int cc = combining_class(x);
			size_t k = i;
			for (; k && combining_class(c[k - 1]) > cc; k--)
				c[k] = c[k - 1];
			c[k] = x;
		}
		return;
	}
	size_t start[257] = {0};
	int32_t *copy = xreallocarray(NULL, n, sizeof *copy);
	memcpy(copy, c, n * sizeof *copy);
	for (size_t i = 0; i < n; i++)
		start[combining_class(copy[i]) + 1]++;
	for (size_t k = 1; k < 257; k++)
		start[k] += start[k - 1];
	for (size_t i = 0; i < n; i++)
		c[start[combining_class(copy[i])]++] = copy[i];
	free(copy);
}

static void
order_all_marks(int32_t *c, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = i;
		while (k < n && combining_class(c[k]))
			k++;
		if (k > i + 1)
			order_marks(c + i, k - i);
		i = k + 1;
	}
}

/* Appends a normal form of the whole text. */
static void
append_form(struct normal_work *w, int form, const char *s, size_t n, struct buf *out)
{
	enum { LONGEST = 32 };  /* no character decomposes into more (18 in Unicode 15) */
	size_t used = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		int boundclass = 0;
		i += uni_decode(s + i, &c);
		GROW(w->chars, w->chars_cap, used + LONGEST);
		utf8proc_ssize_t k = utf8proc_decompose_char((utf8proc_int32_t)c, w->chars + used, LONGEST,
			(utf8proc_option_t)(form & UTF8PROC_COMPAT) | UTF8PROC_DECOMPOSE, &boundclass);
		used += k > 0 ? (size_t)k : 0;
	}
	order_all_marks(w->chars, used);
	if (form & UTF8PROC_COMPOSE)
		used = (size_t)utf8proc_normalize_utf32(w->chars, (utf8proc_ssize_t)used,
			(utf8proc_option_t)form | UTF8PROC_STABLE);
	for (size_t i = 0; i < used; i++) {
		char u[4];
		buf_append(out, u, uni_encode((uint32_t)w->chars[i], u));
	}
}

/* The offset of the next character from i on that NFC may change, or n. */
static size_t
nfc_risk_from(const char *s, size_t i, size_t n)
{
	while (i < n) {
		uint32_t c;
		size_t len = uni_decode(s + i, &c);
		if (uni_class[c] & UNI_NFC_RISK)
			break;
		i += len;
	}
	return i;
}

static bool
is_ascii(const char *s, size_t n)
{
	size_t i = 0;
	for (uint64_t x; n - i >= 8 && (memcpy(&x, s + i, 8), !(x & 0x8080808080808080u)); i += 8)
		;
	while (i < n && !(s[i] & 0x80))
		i++;
	return i == n;
}

/* Most text is in NFC already. Only what is at risk goes through the tables, together with the character
 * before it. False when there was nothing to do; then nothing was appended. */
static bool
apply_nfc(struct normal_work *w, const char *s, size_t n, struct buf *out)
{
	size_t done = 0, i = nfc_risk_from(s, 0, n);
	if (i == n)
		return false;
	while (i < n) {
		size_t from = i > done ? (size_t)(uni_before(s + i) - s) : i, to = i;
		uint32_t c;
		do
			to += uni_decode(s + to, &c);
		while (to < n && (uni_decode(s + to, &c), uni_class[c] & UNI_NFC_RISK));
		buf_append(out, s + done, from - done);
		append_form(w, UTF8PROC_COMPOSE, s + from, to - from, out);
		done = to;
		i = nfc_risk_from(s, to, n);
	}
	buf_append(out, s + done, n - done);
	return true;
}

static bool
apply_form(struct normal_work *w, int form, const char *s, size_t n, struct buf *out)
{
	if (is_ascii(s, n))
		return false;
	if (form == UTF8PROC_COMPOSE)
		return apply_nfc(w, s, n, out);
	append_form(w, form, s, n, out);
	return true;
}

/* ---- the other steps ---- */

/* Each character by itself, so a final sigma is an ordinary one. */
static void
lowercase(const char *s, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n;) {
		uint32_t c;
		char u[4];
		i += uni_decode(s + i, &c);
		if (c == 0x130)
			buf_puts(out, "i\xcc\x87");
		else
			buf_append(out, u, uni_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), u));
	}
}

static void
strip_accents(const char *s, size_t n, struct buf *out, bool *shifted)
{
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = uni_decode(s + i, &c);
		if (!(uni_class[c] & UNI_MARK))
			buf_append(out, s + i, len);
		else if (!out->len)
			*shifted = true;
		i += len;
	}
}

int
replace_all(const struct pattern *p, struct matcher *m, const char *with, size_t with_n, const char *text,
	size_t n, struct buf *out, struct err *e)
{
	struct matches it;
	size_t start, end, done = 0;
	int rc;
	matches_start(&it, p, m, text, n);
	while ((rc = matches_next(&it, &start, &end, e)) > 0) {
		buf_append(out, text + done, start - done);
		buf_append(out, with, with_n);
		done = end;
	}
	buf_append(out, text + done, n - done);
	return rc;
}

/* A match at the start keeps its place in the source only when it is one character and leaves something. */
static int
replace(const struct step *s, struct matcher *m, const char *text, size_t n, struct buf *out, bool *shifted,
	struct err *e)
{
	struct matches it;
	size_t start, end;
	uint32_t c;
	matches_start(&it, s->pattern, m, text, n);
	if (n && matches_next(&it, &start, &end, e) > 0 && start == 0 && end &&
		(!s->content_n || end > uni_decode(text, &c)))
		*shifted = true;
	return replace_all(s->pattern, m, s->content, s->content_n, text, n, out, e);
}

/* One step: 1 when the result was appended to `out`, 0 when it is *text itself, perhaps narrowed. */
static int
apply_step(const struct step *s, struct normal_work *w, struct matcher *m, const char **text, size_t *n,
	struct buf *out, bool *shifted, struct err *e)
{
	size_t k;
	switch (s->type) {
	case NORMAL_FORM:
		return apply_form(w, s->form, *text, *n, out);
	case LOWERCASE:
		lowercase(*text, *n, out);
		return 1;
	case PREPEND:
		buf_append(out, s->content, s->content_n);
		buf_append(out, *text, *n);
		return 1;
	case REPLACE:
		return replace(s, m, *text, *n, out, shifted, e) < 0 ? -1 : 1;
	case STRIP:
		k = s->left ? uni_leading_space(*text, *n) : 0;
		*shifted |= k > 0;
		*text += k;
		*n -= k;
		*n -= s->right ? uni_trailing_space(*text, *n) : 0;
		return 0;
	case STRIP_ACCENTS:
		strip_accents(*text, *n, out, shifted);
		return 1;
	}
	return 0;
}

int
normalizer_apply(const struct normalizer *nz, struct normal_work *w, struct matcher *m, const char *text,
	size_t n, const char **out, size_t *out_n, bool *shifted, struct err *e)
{
	int next = 0;
	*shifted = false;
	for (size_t i = 0; i < nz->n && n; i++) {  /* nothing is prepended to nothing */
		struct buf *b = &w->text[next];
		buf_clear(b);
		int made = apply_step(&nz->step[i], w, m, &text, &n, b, shifted, e);
		if (made < 0)
			return -1;
		if (!made)
			continue;
		text = b->data;
		n = b->len;
		next = !next;
	}
	*out = text;
	*out_n = n;
	return 0;
}

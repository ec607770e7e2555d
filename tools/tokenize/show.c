#include "show.h"

#include <stdlib.h>
#include <string.h>

#include "text/unicode.h"

/* As many tokens may share characters before what they decode to is shown as it is. */
enum { CELL_MAX = 9 };

struct show {
	struct out *out;
	const struct tokenizer *tokenizer;
	bool colour;
	int32_t anchor; /* a token that others are decoded behind; -1: none */
	struct buf anchor_text;
	struct buf text, line;
	unsigned cells; /* in the run at hand */
};

struct show *
show_new(struct out *out, const struct tokenizer *t, bool on_terminal, struct err *e)
{
	struct show *s = xcalloc(1, sizeof *s);
	struct encoder *enc = encoder_new(t);
	struct ids ids = {0};
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	s->out = out;
	s->tokenizer = t;
	s->anchor = -1;
	s->colour = on_terminal && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	int rc = encoder_encode(enc, "a", 1, false, &ids, e);
	if (rc == 0 && ids.n) {
		s->anchor = ids.v[ids.n - 1];
		tokenizer_decode(t, &s->anchor, 1, false, &s->anchor_text);
	}
	encoder_free(enc);
	ids_release(&ids);
	if (rc < 0) {
		show_free(s);
		return NULL;
	}
	return s;
}

void
show_free(struct show *s)
{
	if (!s)
		return;
	buf_release(&s->anchor_text);
	buf_release(&s->text);
	buf_release(&s->line);
	free(s);
}

/* ---- the text of tokens ---- */

/* What n tokens say in the middle of a text: decoders treat the first token of all in their own way, so these are
 * decoded behind another. */
static void
decode(struct show *s, const int32_t *ids, size_t n)
{
	int32_t all[CELL_MAX + 1] = {s->anchor};
	size_t skip = s->anchor_text.len;
	memcpy(all + 1, ids, n * sizeof *ids);
	buf_clear(&s->text);
	if (s->anchor >= 0)
		tokenizer_decode(s->tokenizer, all, n + 1, false, &s->text);
	if (s->text.len >= skip && skip && memcmp(s->text.data, s->anchor_text.data, skip) == 0) {
		memmove(s->text.data, s->text.data + skip, s->text.len - skip + 1);
		s->text.len -= skip;
		return;
	}
	buf_clear(&s->text);
	tokenizer_decode(s->tokenizer, ids, n, false, &s->text);
}

static bool
is_broken(const struct buf *b)
{
	for (size_t i = 0; i + 3 <= b->len; i++)
		if (memcmp(b->data + i, "\xef\xbf\xbd", 3) == 0)
			return true;
	return false;
}

/* The tokens from ids[0] on that make whole characters only together: how many. s->text is what they say. */
static size_t
take_cell(struct show *s, const int32_t *ids, size_t n)
{
	size_t most = n < CELL_MAX ? n : CELL_MAX;
	for (size_t k = 1; k <= most; k++) {
		if (k > 1 && tokenizer_is_special(s->tokenizer, ids[k - 1]))
			break;
		decode(s, ids, k);
		if (!is_broken(&s->text))
			return k;
	}
	decode(s, ids, 1);
	return 1;
}

/* ---- what a terminal may be sent ---- */

/* Characters that have no look of their own or that act on the terminal or on what stands around them. */
static bool
is_unseen(uint32_t c)
{
	return (c >= 0x80 && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2060 && c <= 0x206f) || c == 0xad || c == 0xfeff;
}

static void
put_char(struct show *s, uint32_t c, const char *style)
{
	char utf8[4];
	if (c == '\n') {
		buf_puts(&s->line, "\xe2\x86\xb5"); /* ↵ */
		buf_puts(&s->line, *style ? "\033[0m\n" : "\n");
		buf_puts(&s->line, style);
	} else if (c == '\t') {
		buf_puts(&s->line, "\xe2\x87\xa5"); /* ⇥ */
	} else if (c < 0x20 || c == 0x7f) {
		buf_append(&s->line, utf8, uni_encode(c == 0x7f ? 0x2421 : 0x2400 + c, utf8));
	} else if (is_unseen(c)) {
		buf_printf(&s->line, "<U+%04X>", (unsigned)c);
	} else {
		buf_append(&s->line, utf8, uni_encode(c, utf8));
	}
}

static void
put_text(struct show *s, const char *p, size_t n, const char *style)
{
	uint32_t c;
	for (size_t i = 0; i < n;) {
		i += uni_decode(p + i, &c);
		put_char(s, c, style);
	}
}

/* ---- cells and runs ---- */

/* Shades of two neighbours, for context and for targets; special tokens are bold and magenta, or underlined. */
static const char *
style_of(const struct show *s, bool target, bool special)
{
	static const char *const styles[2][2][2] = {
		{{"\033[0m", "\033[100m"}, {"\033[1;35m", "\033[1;35;100m"}},
		{{"\033[30;42m", "\033[30;102m"}, {"\033[1;4;30;42m", "\033[1;4;30;102m"}},
	};
	return s->colour ? styles[target][special][s->cells & 1] : "";
}

/* One cell from ids[0] on; how many tokens it took. */
static size_t
put_cell(struct show *s, const int32_t *ids, size_t n, bool target)
{
	bool special = tokenizer_is_special(s->tokenizer, *ids);
	const char *name = tokenizer_token(s->tokenizer, *ids), *style = style_of(s, target, special);
	size_t taken = 1;
	if (s->cells++ && !s->colour)
		buf_puts(&s->line, "\xe2\x94\x82"); /* │ */
	buf_puts(&s->line, style);
	if (!name) {
		buf_printf(&s->line, "<id %ld>", (long)*ids);
	} else if (special) {
		put_text(s, name, strlen(name), style);
	} else {
		taken = take_cell(s, ids, n);
		put_text(s, s->text.data, s->text.len, style);
	}
	if (taken > 1)
		put_char(s, 0x2080 + (uint32_t)taken, style); /* ₂ */
	buf_puts(&s->line, s->colour ? "\033[0m" : "");
	return taken;
}

static void
put_run(struct show *s, const int32_t *ids, size_t n, float weight)
{
	bool target = weight > 0;
	if (target) {
		buf_puts(&s->line, s->colour ? "" : "\xe2\x9f\xa6"); /* ⟦ */
		s->cells = 0;
	}
	if (target && weight != 1)
		buf_printf(&s->line, s->colour ? "\033[33m\xc3\x97%g\033[0m" : "\xc3\x97%g ", (double)weight);
	for (size_t i = 0; i < n;)
		i += put_cell(s, ids + i, n - i, target);
	if (target) {
		buf_puts(&s->line, s->colour ? "" : "\xe2\x9f\xa7"); /* ⟧ */
		s->cells = 0;
	}
}

static double
total_weight(const struct example *x)
{
	double sum = 0;
	for (uint32_t i = 0, at = 0; i < x->n_spans; at += x->spans[i++].n)
		sum += (double)x->spans[i].weight * (x->spans[i].n - (at == 0));
	return sum;
}

void
show_example(struct show *s, const struct example *x, const char *file, uint64_t number)
{
	uint32_t targets = example_targets(x);
	double weight = total_weight(x);
	buf_clear(&s->line);
	s->cells = 0;
	buf_printf(&s->line, "%s%llu. '", s->colour ? "\033[1m" : "", (unsigned long long)number);
	put_text(s, file, strlen(file), "");
	buf_printf(&s->line, "', line %llu: %u tokens, %u targets", (unsigned long long)x->line, x->n, targets);
	if (weight != targets)
		buf_printf(&s->line, " of weight %g", weight);
	if (x->label) {
		buf_puts(&s->line, ", label '");
		put_text(s, x->label, x->label_len, "");
		buf_puts(&s->line, "'");
	}
	buf_puts(&s->line, s->colour ? "\033[0m\n" : "\n");
	for (uint32_t i = 0, at = 0; i < x->n_spans; at += x->spans[i++].n) {
		uint32_t first = at == 0 && x->spans[i].weight > 0; /* nothing precedes it: no target */
		put_run(s, x->ids + at, first, 0);
		if (x->spans[i].n > first)
			put_run(s, x->ids + at + first, x->spans[i].n - first, x->spans[i].weight);
	}
	buf_puts(&s->line, "\n\n");
	out_write(s->out, s->line.data, s->line.len);
}

#include "eval/textmatch.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/unicode.h"

/* ---- words ---- */

/* Whether a character is a token by itself. */
static bool
stands_alone(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} range[] = {
		{0x0e00, 0x0eff},    /* Thai, Lao */
		{0x1000, 0x109f},    /* Burmese */
		{0x1780, 0x17ff},    /* Khmer */
		{0x2e80, 0x2fdf},    /* radicals */
		{0x3005, 0x3007},
		{0x3021, 0x30ff},    /* numerals, kana */
		{0x31f0, 0x31ff},
		{0x3400, 0x4dbf},
		{0x4e00, 0x9fff},
		{0xf900, 0xfaff},
		{0x20000, 0x3ffff},
	};
	for (size_t i = 0; i < sizeof range / sizeof *range; i++)
		if (c >= range[i].first && c <= range[i].last)
			return true;
	return false;
}

/* NFKC and case folding; the text as it is should it not be UTF-8. */
static void
fold(struct buf *out, const char *text, size_t n)
{
	utf8proc_uint8_t *folded = NULL;
	utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &folded,
		UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
	if (len == UTF8PROC_ERROR_NOMEM)
		mem_die(n);
	if (len >= 0)
		buf_append(out, folded, (size_t)len);
	else
		uni_append_lossy(out, text, n);
	free(folded);
}

static bool
is_article(const char *p, size_t n)
{
	return (n == 1 && *p == 'a') || (n == 2 && memcmp(p, "an", 2) == 0) || (n == 3 && memcmp(p, "the", 3) == 0);
}

/* Takes back the last word of out, from `word` on, if it is an article; else ends it with a space. */
static void
end_word(struct buf *out, size_t word, bool keep_articles)
{
	size_t n = out->len - word;
	if (n && !keep_articles && is_article(out->data + word, n))
		out->data[out->len = word] = '\0';
	else if (n)
		buf_putc(out, ' ');
}

/* Words of the folded text with one space behind each. Punctuation falls out, or separates words like a space. */
static void
put_words(struct buf *out, const char *text, size_t n, bool separates, bool keep_articles)
{
	struct buf folded = {0};
	fold(&folded, text, n);
	uni_init();
	size_t word = out->len;
	for (size_t i = 0, len; i < folded.len; i += len) {
		uint32_t c;
		len = uni_decode(folded.data + i, &c);
		bool punct = uni_class[c] & UNI_PUNCT;
		if ((uni_class[c] & UNI_SPACE) || (punct && separates)) {
			end_word(out, word, keep_articles);
			word = out->len;
		} else if (!punct) {
			buf_append(out, folded.data + i, len);
		}
	}
	end_word(out, word, keep_articles);
	buf_release(&folded);
}

void
text_normalize(struct buf *out, const char *text, size_t n)
{
	size_t from = out->len;
	put_words(out, text, n, false, false);
	if (out->len > from)
		out->data[--out->len] = '\0';
}

/* ---- tokens ---- */

struct token {
	const char *p;
	size_t n, place;  /* place: in the text's order, those of the second text behind the first's */
	int id;           /* equal tokens have equal ids */
};

struct tokens {
	struct token *v;
	size_t n, cap;
};

/* Appends the tokens of words with a space behind each. */
static void
split(struct tokens *t, const char *p, size_t n)
{
	bool open = false;  /* the last token still grows */
	for (size_t i = 0, len; i < n; i += len) {
		uint32_t c;
		len = uni_decode(p + i, &c);
		if (c == ' ') {
			open = false;
			continue;
		}
		bool alone = stands_alone(c) && !(uni_class[c] & UNI_MARK);
		bool joins = t->n && p + i == t->v[t->n - 1].p + t->v[t->n - 1].n && (open || (uni_class[c] & UNI_MARK));
		if (!alone && joins) {
			t->v[t->n - 1].n += len;
			continue;
		}
		GROW(t->v, t->cap, t->n + 1);
		t->v[t->n] = (struct token){.p = p + i, .n = len, .place = t->n};
		t->n++;
		open = !alone;
	}
}

static int
by_text(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
	return c ? c : (x->n > y->n) - (x->n < y->n);
}

static int
by_place(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	return (x->place > y->place) - (x->place < y->place);
}

/* Gives equal tokens equal ids; how many ids there are. */
static int
number(struct tokens *t)
{
	if (t->n == 0)
		return 0;
	qsort(t->v, t->n, sizeof *t->v, by_text);
	int id = 0;
	for (size_t i = 0; i < t->n; i++) {
		id += i > 0 && by_text(&t->v[i], &t->v[i - 1]) != 0;
		t->v[i].id = id;
	}
	qsort(t->v, t->n, sizeof *t->v, by_place);
	return id + 1;
}

static double
f1(double common, size_t a, size_t b)
{
	if (a == 0 || b == 0)
		return a == b;
	return 2 * common / (double)(a + b);
}

/* Tokens that two texts share, each as often as in the one that has fewer of it. */
static size_t
shared(const struct token *a, size_t na, const struct token *b, size_t nb, int ids)
{
	int *left = xcalloc((size_t)ids, sizeof *left);
	size_t common = 0;
	for (size_t i = 0; i < na; i++)
		left[a[i].id]++;
	for (size_t i = 0; i < nb; i++)
		common += left[b[i].id]-- > 0;
	free(left);
	return common;
}

/* Length of the longest common subsequence, one row of the table at a time. */
static size_t
subsequence(const struct token *a, size_t na, const struct token *b, size_t nb)
{
	uint32_t *row = xcalloc(nb + 1, sizeof *row);
	for (size_t i = 0; i < na; i++) {
		uint32_t diagonal = 0;
		for (size_t j = 0; j < nb; j++) {
			uint32_t above = row[j + 1];
			row[j + 1] = a[i].id == b[j].id ? diagonal + 1 : above > row[j] ? above : row[j];
			diagonal = above;
		}
	}
	size_t length = row[nb];
	free(row);
	return length;
}

typedef size_t common_fn(const struct token *a, size_t na, const struct token *b, size_t nb, int ids);

static size_t
common_subsequence(const struct token *a, size_t na, const struct token *b, size_t nb, int ids)
{
	(void)ids;
	return subsequence(a, na, b, nb);
}

static double
overlap(const struct buf *a, const struct buf *b, common_fn *common)
{
	struct tokens t = {0};
	split(&t, a->data, a->len);
	size_t na = t.n;
	split(&t, b->data, b->len);
	int ids = number(&t);
	size_t nb = t.n - na, n = na && nb ? common(t.v, na, t.v + na, nb, ids) : 0;
	free(t.v);
	return f1((double)n, na, nb);
}

/* ---- all of it ---- */

static bool
same_but_for_ends(const char *a, size_t na, const char *b, size_t nb)
{
	size_t fa = uni_leading_space(a, na), fb = uni_leading_space(b, nb);
	a += fa, na -= fa, b += fb, nb -= fb;
	na -= uni_trailing_space(a, na);
	nb -= uni_trailing_space(b, nb);
	return na == nb && memcmp(a, b, na) == 0;
}

void
text_match(struct text_match *m, const char *generated, size_t n_generated, const char *reference, size_t n_reference)
{
	struct buf a = {0}, b = {0};
	m->exact = same_but_for_ends(generated, n_generated, reference, n_reference);
	put_words(&a, generated, n_generated, false, false);
	put_words(&b, reference, n_reference, false, false);
	m->normalized = a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
	m->token_f1 = overlap(&a, &b, shared);
	buf_clear(&a);
	buf_clear(&b);
	put_words(&a, generated, n_generated, true, true);
	put_words(&b, reference, n_reference, true, true);
	m->rouge_l = overlap(&a, &b, common_subsequence);
	buf_release(&a);
	buf_release(&b);
}

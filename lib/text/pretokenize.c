#include "text/pretokenize.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/component.h"
#include "text/scan.h"
#include "text/unicode.h"

/* ByteLevel is up to three steps: PREFIX_SPACE, SPLIT by GPT-2's pattern, and SPELL_BYTES. */
enum step_type { PREFIX_SPACE, SPLIT, SPLIT_CLASS, WORDS, METASPACE, SPELL_BYTES };
enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };
enum scheme { ALWAYS, FIRST, NEVER };

static const char *const behaviors[] = {
	"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous", NULL};
static const char *const schemes[] = {"always", "first", "never", NULL};

struct step {
	enum step_type type;
	struct pattern *pattern;  /* SPLIT */
	scan_fn *scan;            /* SPLIT: instead of the pattern, when not NULL */
	bool invert;
	uint8_t class;            /* SPLIT_CLASS: matches are characters of it */
	enum behavior behavior;
	enum scheme scheme;       /* METASPACE */
	bool split;
	char replacement[5];
};

struct pretokenizer {
	struct step *step;
	size_t n, cap;
	bool byte_level;  /* the last step is SPELL_BYTES... */
	bool spell;       /* ...and is done here */
};

/* ---- loading ---- */

static int
load_choice(
	const json_t *j, const char *what, const char *key, const char *const *names, int *out, struct err *e)
{
	const char *s = NULL;
	if (json_get_string(j, key, &s, e) < 0)
		return -1;
	for (int i = 0; s && names[i]; i++)
		if (!strcmp(s, names[i])) {
			*out = i;
			return 0;
		}
	return s ? err_set(e, ERR_CONFIG, "pre_tokenizer %s: '%s' is '%.64s'", what, key, s) : 0;
}

static struct step *
add_step(struct pretokenizer *p, enum step_type type)
{
	GROW(p->step, p->cap, p->n + 1);
	p->step[p->n] = (struct step){.type = type, .behavior = ISOLATED};
	return &p->step[p->n++];
}

static int
load_byte_level(struct pretokenizer *p, const json_t *j, struct err *e)
{
	bool prefix = true, regex = true;
	if (json_get_bool(j, "add_prefix_space", &prefix, e) < 0 ||
		json_get_bool(j, "use_regex", &regex, e) < 0)
		return -1;
	if (prefix)
		add_step(p, PREFIX_SPACE);
	if (regex)
		add_step(p, SPLIT)->scan = scan_gpt2;
	add_step(p, SPELL_BYTES);
	return 0;
}

static int
load_split(struct pretokenizer *p, const json_t *j, struct err *e)
{
	struct step *s = add_step(p, SPLIT);
	int behavior = -1;
	s->pattern = pattern_load(json_object_get(j, "pattern"), "pre_tokenizer Split", e);
	if (!s->pattern || load_choice(j, "Split", "behavior", behaviors, &behavior, e) < 0 ||
		json_get_bool(j, "invert", &s->invert, e) < 0)
		return -1;
	if (behavior < 0)
		return err_set(e, ERR_CONFIG, "pre_tokenizer Split has no 'behavior'");
	s->behavior = (enum behavior)behavior;
	/* The scanned patterns match everywhere, so that nothing stands between two matches. */
	if (pattern_regex(s->pattern) && (behavior == ISOLATED || (behavior == REMOVED && s->invert)))
		s->scan = scan_find(pattern_regex(s->pattern));
	return 0;
}

static int
load_metaspace(struct pretokenizer *p, const json_t *j, struct err *e)
{
	struct step *s = add_step(p, METASPACE);
	int scheme = ALWAYS;
	bool prefix = true;
	s->split = true;
	if (component_char(j, "pre_tokenizer Metaspace", "replacement", s->replacement, e) < 0 ||
		load_choice(j, "Metaspace", "prepend_scheme", schemes, &scheme, e) < 0 ||
		json_get_bool(j, "add_prefix_space", &prefix, e) < 0 ||
		json_get_bool(j, "split", &s->split, e) < 0)
		return -1;
	/* Files of before 2023 have add_prefix_space only. */
	bool told = !json_is_null(json_object_get(j, "prepend_scheme")) && json_object_get(j, "prepend_scheme");
	if (!prefix && told && scheme != NEVER)
		return err_set(e, ERR_CONFIG,
			"pre_tokenizer Metaspace: 'add_prefix_space' is false, but 'prepend_scheme' is not "
			"'never'");
	s->scheme = prefix ? (enum scheme)scheme : NEVER;
	return 0;
}

static int
load_digits(struct pretokenizer *p, const json_t *j, struct err *e)
{
	struct step *s = add_step(p, SPLIT_CLASS);
	bool each = false;
	s->class = UNI_NUMBER;
	if (json_get_bool(j, "individual_digits", &each, e) < 0)
		return -1;
	s->behavior = each ? ISOLATED : CONTIGUOUS;
	return 0;
}

static int
load_punctuation(struct pretokenizer *p, const json_t *j, struct err *e)
{
	struct step *s = add_step(p, SPLIT_CLASS);
	int behavior = ISOLATED;
	s->class = UNI_PUNCT;
	if (load_choice(j, "Punctuation", "behavior", behaviors, &behavior, e) < 0)
		return -1;
	s->behavior = (enum behavior)behavior;
	return 0;
}

static int
load_space_split(struct pretokenizer *p, const json_t *j, struct err *e)
{
	(void)j;
	(void)e;
	struct step *s = add_step(p, SPLIT_CLASS);
	s->class = UNI_SPACE;
	s->behavior = REMOVED;
	return 0;
}

static int
load_words(struct pretokenizer *p, const json_t *j, struct err *e)
{
	(void)j;
	(void)e;
	add_step(p, WORDS)->behavior = REMOVED;
	return 0;
}

static int
load(void *ctx, const json_t *j, int depth, struct err *e)
{
	static const struct {
		const char *name;
		int (*load)(struct pretokenizer *p, const json_t *j, struct err *e);
	} known[] = {
		{"ByteLevel", load_byte_level},
		{"Split", load_split},
		{"Digits", load_digits},
		{"Punctuation", load_punctuation},
		{"WhitespaceSplit", load_space_split},
		{"Whitespace", load_words},
		{"Metaspace", load_metaspace},
	};
	struct pretokenizer *p = ctx;
	const char *type = component_type(j, "pre_tokenizer", e);
	if (!type)
		return -1;
	if (!strcmp(type, "Sequence"))
		return component_each(j, "pre_tokenizer", "pretokenizers", depth, load, p, e);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(type, known[i].name))
			return known[i].load(p, j, e);
	return component_unknown("pre_tokenizer", type, e);
}

struct pretokenizer *
pretokenizer_load(const json_t *j, struct err *e)
{
	struct pretokenizer *p = xcalloc(1, sizeof *p);
	if (j && !json_is_null(j) && load(p, j, 0, e) < 0) {
		pretokenizer_free(p);
		return NULL;
	}
	p->byte_level = p->n && p->step[p->n - 1].type == SPELL_BYTES;
	return p;
}

void
pretokenizer_free(struct pretokenizer *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		pattern_free(p->step[i].pattern);
	free(p->step);
	free(p);
}

bool
pretokenizer_byte_level(const struct pretokenizer *p)
{
	return p->byte_level;
}

void
pretokenizer_spell(struct pretokenizer *p, bool spell)
{
	p->spell = spell;
}

void
pre_work_release(struct pre_work *w)
{
	for (int i = 0; i < 2; i++) {
		free(w->words[i].v);
		buf_release(&w->text[i]);
	}
	free(w->end);
	free(w->is_match);
	*w = (struct pre_work){0};
}

/* ---- cutting ---- */

static inline void
emit(struct words *out, size_t start, size_t end)
{
	if (start == end)
		return;
	GROW(out->v, out->cap, out->n + 1);
	out->v[out->n++] = (struct word){(uint32_t)start, (uint32_t)(end - start)};
}

/* One more part of a word, a match or what lies between two; the parts tile the word. */
static inline void
tile(struct pre_work *w, size_t end, bool is_match)
{
	GROW(w->end, w->end_cap, w->tiles + 1);
	GROW(w->is_match, w->is_match_cap, w->tiles + 1);
	w->end[w->tiles] = (uint32_t)end;
	w->is_match[w->tiles++] = is_match;
}

static int
tile_pattern(struct pre_work *w, const struct step *s, struct matcher *m, const char *text, size_t n,
	struct err *e)
{
	struct matches it;
	size_t start, end, done = 0;
	int rc;
	matches_start(&it, s->pattern, m, text, n);
	while ((rc = matches_next(&it, &start, &end, e)) > 0) {
		if (start > done)
			tile(w, start, s->invert);
		tile(w, end, !s->invert);
		done = end;
	}
	if (done < n)
		tile(w, n, s->invert);
	return rc;
}

/* Each character of the class is a match. */
static void
tile_class(struct pre_work *w, uint8_t class, const char *text, size_t n)
{
	size_t done = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = uni_decode(text + i, &c);
		if (uni_class[c] & class) {
			if (i > done)
				tile(w, i, false);
			tile(w, i + len, true);
			done = i + len;
		}
		i += len;
	}
	if (done < n)
		tile(w, n, false);
}

/* Each occurrence of the character is a match. */
static void
tile_char(struct pre_work *w, const char *one, const char *text, size_t n)
{
	size_t done = 0, len = strlen(one);
	for (size_t i = 0; i + len <= n;) {
		if (memcmp(text + i, one, len)) {
			i++;
			continue;
		}
		if (i > done)
			tile(w, i, false);
		tile(w, i + len, true);
		done = i += len;
	}
	if (done < n)
		tile(w, n, false);
}

/* \w+|[^\w\s]+ */
static void
tile_words(struct pre_work *w, const char *text, size_t n)
{
	uint8_t of = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = uni_decode(text + i, &c);
		uint8_t k = uni_class[c] & (UNI_WORD | UNI_SPACE);
		if (i && k != of)
			tile(w, i, of & UNI_SPACE);
		of = k;
		i += len;
	}
	tile(w, n, of & UNI_SPACE);
}

/* Whether tiles i and i + 1 stay together. */
static bool
joined(const uint8_t *is_match, size_t i, enum behavior b)
{
	switch (b) {
	case CONTIGUOUS:
		return is_match[i] == is_match[i + 1];
	case MERGED_WITH_PREVIOUS:
		return !is_match[i] && is_match[i + 1];
	case MERGED_WITH_NEXT:
		return is_match[i] && !is_match[i + 1];
	default:
		return false;
	}
}

static void
emit_tiles(struct pre_work *w, size_t base, enum behavior b, struct words *out)
{
	size_t start = 0;
	for (size_t i = 0; i < w->tiles; i++) {
		if (i + 1 < w->tiles && joined(w->is_match, i, b))
			continue;
		if (b != REMOVED || !w->is_match[i])
			emit(out, base + start, base + w->end[i]);
		start = w->end[i];
	}
}

static void
emit_scan(scan_fn *scan, const char *text, size_t start, size_t n, struct words *out)
{
	const char *p = text + start, *end = p + n;
	while (p < end) {
		const char *q = scan(p, end);
		emit(out, (size_t)(p - text), (size_t)(q - text));
		p = q;
	}
}

/* ---- steps: from one list of words to the next ---- */

static int
step_split(const struct step *s, struct pre_work *w, struct matcher *m, const struct words *in,
	struct words *out, struct err *e)
{
	for (size_t i = 0; i < in->n; i++) {
		const char *text = in->text + in->v[i].start;
		size_t n = in->v[i].n;
		int rc = 0;
		w->tiles = 0;
		if (s->scan)
			emit_scan(s->scan, in->text, in->v[i].start, n, out);
		else if (s->type == SPLIT)
			rc = tile_pattern(w, s, m, text, n, e);
		else if (s->type == SPLIT_CLASS)
			tile_class(w, s->class, text, n);
		else
			tile_words(w, text, n);
		if (rc < 0)
			return -1;
		emit_tiles(w, in->v[i].start, s->behavior, out);
	}
	return 0;
}

/* Replaces spaces, and puts the replacement before a word that does not begin with it. */
static void
step_metaspace(
	const struct step *s, struct pre_work *w, const struct words *in, struct words *out, struct buf *text)
{
	size_t len = strlen(s->replacement);
	for (size_t i = 0; i < in->n; i++) {
		const char *p = in->text + in->v[i].start, *end = p + in->v[i].n, *q;
		size_t start = text->len, n = in->v[i].n;
		bool has = *p == ' ' || (n >= len && !memcmp(p, s->replacement, len));
		if (!has && (s->scheme == ALWAYS || (s->scheme == FIRST && in->first && i == 0)))
			buf_append(text, s->replacement, len);
		for (; (q = memchr(p, ' ', (size_t)(end - p))); p = q + 1) {
			buf_append(text, p, (size_t)(q - p));
			buf_append(text, s->replacement, len);
		}
		buf_append(text, p, (size_t)(end - p));
		w->tiles = 0;
		if (s->split)
			tile_char(w, s->replacement, text->data + start, text->len - start);
		else
			tile(w, text->len - start, false);
		emit_tiles(w, start, MERGED_WITH_NEXT, out);
	}
	out->text = text->data;
}

static void
prefix_spaces(const struct words *in, struct words *out, struct buf *text)
{
	for (size_t i = 0; i < in->n; i++) {
		const char *p = in->text + in->v[i].start;
		size_t start = text->len;
		if (*p != ' ')
			buf_putc(text, ' ');
		buf_append(text, p, in->v[i].n);
		emit(out, start, text->len);
	}
	out->text = text->data;
}

static void
spell_bytes(const struct words *in, struct words *out, struct buf *text)
{
	for (size_t i = 0; i < in->n; i++) {
		size_t start = text->len;
		for (size_t k = 0; k < in->v[i].n; k++) {
			char u[4];
			buf_append(
				text, u, uni_encode(uni_from_byte((uint8_t)in->text[in->v[i].start + k]), u));
		}
		emit(out, start, text->len);
	}
	out->text = text->data;
}

static int
run_step(const struct step *s, struct pre_work *w, struct matcher *m, const struct words *in,
	struct words *out, struct buf *text, struct err *e)
{
	switch (s->type) {
	case PREFIX_SPACE:
		prefix_spaces(in, out, text);
		return 0;
	case METASPACE:
		step_metaspace(s, w, in, out, text);
		return 0;
	case SPELL_BYTES:
		spell_bytes(in, out, text);
		return 0;
	default:
		return step_split(s, w, m, in, out, e);
	}
}

int
pretokenizer_apply(const struct pretokenizer *p, struct pre_work *w, struct matcher *m, const char *text,
	size_t n, bool first, const struct words **result, struct err *e)
{
	struct words *in = &w->words[0], *out = &w->words[1];
	size_t steps = p->n - (p->byte_level && !p->spell);
	if (n > PRE_MAX_BYTES)
		return err_set(e, ERR_DATA, "%zu bytes of text in one piece; at most %d can be tokenized", n,
			PRE_MAX_BYTES);
	in->text = text;
	in->first = first;
	in->n = 0;
	emit(in, 0, n);
	for (size_t i = 0; i < steps && in->n; i++) {
		struct buf *b = &w->text[in->text == w->text[0].data];
		buf_clear(b);
		out->n = 0;
		out->text = in->text;
		if (run_step(&p->step[i], w, m, in, out, b, e) < 0)
			return -1;
		size_t begin = out->text == in->text ? in->v[0].start : 0;
		out->first = in->first && out->n && out->v[0].start == begin;
		struct words *t = in;
		in = out;
		out = t;
	}
	*result = in;
	return 0;
}

/* tokfuzz [-f] TOKENIZER TEXTS SEED: random texts there and back. What the ids of a text decode to must be the text,
 * NULs and all; with -f, for a tokenizer with a normalizer, what it decodes to must come back as itself. A second encoder
 * that is new for each text must give the same ids, whatever the first one has in its cache. Exit status 1 at the first
 * text that fails, which is printed as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/rng.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

struct fuzz {
	const struct tokenizer *t;
	struct encoder *old;
	bool fixed;
	struct rng r;
	struct ids ids, again;
	struct buf text, back;
};

/* ---- texts ---- */

static void
add_char(struct fuzz *f, uint32_t from, uint32_t to)
{
	char u[4];
	uint32_t c = from + (uint32_t)rng_below(&f->r, to - from + 1);
	if (c >= 0xd800 && c <= 0xdfff)
		c -= 0x800;
	buf_append(&f->text, u, uni_encode(c, u));
}

/* The spelling of a token, special or not. */
static void
add_token(struct fuzz *f)
{
	const char *s = tokenizer_token(f->t, (int32_t)rng_below(&f->r, tokenizer_vocab_size(f->t)));
	if (s)
		buf_puts(&f->text, s);
}

static void
add_piece(struct fuzz *f)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {{'a', 'z'}, {'A', 'z'}, {' ', ' '}, {'0', '9'}, {0, 0x7f}, {0, 0x20}, {0x80, 0x7ff}, {0x300, 0x36f},
		{0x4e00, 0x9fff}, {0x4e00, 0x4e40}, {0x800, 0xffff}, {0x10000, 0x10ffff}, {0x1f300, 0x1faff},
		{0xac00, 0xd7a3}, {0x2000, 0x206f}, {0x3000, 0x30ff}};
	size_t kind = (size_t)rng_below(&f->r, sizeof ranges / sizeof *ranges + 1), at = f->text.len;
	if (kind == sizeof ranges / sizeof *ranges) {
		add_token(f);
		return;
	}
	for (uint64_t n = 1 + rng_below(&f->r, 8); n; n--)
		add_char(f, ranges[kind].from, ranges[kind].to);
	if (rng_below(&f->r, 200))
		return;
	size_t n = f->text.len - at;
	char *piece = xmalloc(n);
	memcpy(piece, f->text.data + at, n);
	for (uint64_t k = rng_below(&f->r, 300); k; k--)
		buf_append(&f->text, piece, n);
	free(piece);
}

/* ---- the check ---- */

static void
encode(struct encoder *enc, const struct buf *text, struct ids *ids)
{
	struct err e;
	ids->n = 0;
	if (encoder_encode(enc, text->data ? text->data : "", text->len, false, ids, &e) < 0)
		die(&e);
}

static void
there_and_back(struct fuzz *f)
{
	encode(f->old, &f->text, &f->ids);
	buf_clear(&f->back);
	tokenizer_decode(f->t, f->ids.v, f->ids.n, false, &f->back);
}

static bool
same_text(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool
passes(struct fuzz *f)
{
	struct encoder *fresh = encoder_new(f->t);
	there_and_back(f);
	encode(fresh, &f->text, &f->again);
	encoder_free(fresh);
	bool same = f->ids.n == f->again.n &&
		(f->ids.n == 0 || memcmp(f->ids.v, f->again.v, f->ids.n * sizeof *f->ids.v) == 0);
	if (same && f->fixed) {
		struct buf first = f->back;
		f->back = f->text;
		f->text = first;
		there_and_back(f);
	}
	return same && same_text(&f->text, &f->back);
}

int
main(int argc, char **argv)
{
	struct err e;
	struct fuzz f = {0};
	log_tool = "tokfuzz";
	f.fixed = argc > 1 && strcmp(argv[1], "-f") == 0;
	argv += f.fixed;
	argc -= f.fixed;
	if (argc != 4)
		die_usage("usage: tokfuzz [-f] TOKENIZER TEXTS SEED");
	struct tokenizer *t = tokenizer_open(argv[1], &e);
	if (!t)
		die(&e);
	f.t = t;
	f.old = encoder_new(t);
	rng_init(&f.r, strtoull(argv[3], NULL, 10), 0);
	int status = 0;
	for (unsigned long i = 0, n = strtoul(argv[2], NULL, 10); i < n && !status; i++) {
		buf_clear(&f.text);
		for (uint64_t k = rng_below(&f.r, 24); k; k--)
			add_piece(&f);
		if (passes(&f))
			continue;
		json_t *s = json_stringn(f.text.data, f.text.len);
		char *shown = json_dumps(s, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		printf("text %lu: %s\n", i, shown ? shown : "");
		free(shown);
		json_decref(s);
		status = 1;
	}
	encoder_free(f.old);
	tokenizer_free(t);
	ids_release(&f.ids);
	ids_release(&f.again);
	buf_release(&f.text);
	buf_release(&f.back);
	return status;
}

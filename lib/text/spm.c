#include "text/spm.h"

#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/bpe_build.h"
#include "text/pretokenize.h"
#include "text/spm_normalize.h"
#include "text/spm_trie.h"
#include "text/spm_unigram.h"
#include "text/unicode.h"

struct spm {
	struct buf file;
	struct spm_model model;
	struct spm_trie user;       /* user-defined symbols */
	struct spm_normalizer normalizer;
	struct vocab vocab;
	struct bpe bpe;             /* its vocabulary may have more than the pieces */
	struct spm_unigram unigram;
};

struct spm_work {
	struct buf text;
	struct bpe_work bpe;
	struct spm_best *best;
	size_t best_cap;
	struct ids extra;
};

/* ---- loading ---- */

static int
load_pieces(struct spm *s, struct err *e)
{
	const struct spm_model *m = &s->model;
	vocab_init(&s->vocab, m->n);
	for (size_t i = 0; i < m->n; i++) {
		const struct spm_piece *p = &m->piece[i];
		if (vocab_add(&s->vocab, p->text.p, p->text.n, (int64_t)i, e) < 0)
			return -1;
		if (p->type == SPM_USER_DEFINED && spm_trie_add(&s->user, p->text.p, p->text.n, (int32_t)i) < 0)
			return err_set(e, ERR_CONFIG, "the user-defined symbols are longer than %d bytes together",
				SPM_TRIE_NODES);
	}
	return 0;
}

struct ranked {
	float score;
	uint32_t id;
};

static int
by_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	return x->score != y->score ? (x->score < y->score) - (x->score > y->score) :
		(x->id > y->id) - (x->id < y->id);
}

/* The rank of each piece that merges make: equal scores have one rank, so that the leftmost goes first. */
static uint32_t *
rank_pieces(const struct spm_model *m)
{
	struct ranked *r = xcalloc(m->n, sizeof *r);
	uint32_t *rank = xcalloc(m->n, sizeof *rank), at = 0;
	for (size_t i = 0; i < m->n; i++)
		r[i] = (struct ranked){m->piece[i].score, (uint32_t)i};
	qsort(r, m->n, sizeof *r, by_score);
	for (size_t i = 0; i < m->n; i++) {
		at = i && r[i].score == r[i - 1].score ? at : (uint32_t)i;
		rank[r[i].id] = m->piece[r[i].id].type == SPM_NORMAL ? at : BPE_NO_RANK;
	}
	free(r);
	return rank;
}

static int
load_bpe(struct spm *s, struct err *e)
{
	const struct spm_model *m = &s->model;
	const struct spm_bytes *unk = &m->piece[m->unk].text;
	int rc = 0;
	vocab_init(&s->bpe.vocab, m->n);
	for (size_t i = 0; i < m->n && rc == 0; i++)
		rc = vocab_add(&s->bpe.vocab, m->piece[i].text.p, m->piece[i].text.n, (int64_t)i, e);
	s->bpe.unk_token = xstrndup(unk->p, unk->n);
	s->bpe.unk = m->unk;
	s->bpe.fuse_unk = true;
	s->bpe.falls_back = m->byte_fallback;
	memcpy(s->bpe.fallback, m->byte_id, sizeof s->bpe.fallback);
	uint32_t *rank = rank_pieces(m);
	if (rc == 0)
		rc = bpe_build_ranked(&s->bpe, rank, e);
	free(rank);
	return rc;
}

struct spm *
spm_new(struct buf *file, struct err *e)
{
	struct spm *s = xcalloc(1, sizeof *s);
	s->file = *file;
	*file = (struct buf){0};
	if (spm_model_read(&s->model, s->file.data, s->file.len, e) == 0 && load_pieces(s, e) == 0 &&
		spm_normalizer_init(&s->normalizer, &s->model, &s->user, e) == 0 &&
		(s->model.algorithm == SPM_BPE ? load_bpe(s, e) :
						 spm_unigram_init(&s->unigram, &s->model, e)) == 0)
		return s;
	spm_free(s);
	return NULL;
}

void
spm_free(struct spm *s)
{
	if (!s)
		return;
	spm_model_release(&s->model);
	spm_trie_release(&s->user);
	vocab_release(&s->vocab);
	bpe_release(&s->bpe);
	spm_unigram_release(&s->unigram);
	buf_release(&s->file);
	free(s);
}

const struct spm_model *
spm_model(const struct spm *s)
{
	return &s->model;
}

const struct vocab *
spm_vocab(const struct spm *s)
{
	return &s->vocab;
}

bool
spm_is_special(const struct spm *s, int32_t id)
{
	enum spm_type type = id >= 0 && (size_t)id < s->model.n ? s->model.piece[id].type : SPM_NORMAL;
	return type == SPM_CONTROL || type == SPM_UNKNOWN;
}

struct spm_work *
spm_work_new(void)
{
	struct spm_work *w = xcalloc(1, sizeof *w);
	bpe_work_init(&w->bpe);
	return w;
}

void
spm_work_free(struct spm_work *w)
{
	if (!w)
		return;
	buf_release(&w->text);
	bpe_work_release(&w->bpe);
	free(w->best);
	ids_release(&w->extra);
	free(w);
}

/* ---- encoding ---- */

/* A character that only parts of pieces are made of has an id behind those of the pieces; it is unknown. */
static void
replace_extra(const struct spm *s, struct spm_work *w, size_t from, struct ids *out)
{
	const struct spm_model *m = &s->model;
	size_t i = from;
	while (i < out->n && (size_t)out->v[i] < m->n)
		i++;
	if (i == out->n)
		return;
	w->extra.n = 0;
	for (i = from; i < out->n; i++) {
		bool extra = (size_t)out->v[i] >= m->n;
		const struct vocab_token *t = vocab_token(&s->bpe.vocab, out->v[i]);
		int32_t id = extra ? m->unk : out->v[i];
		for (size_t k = 0; extra && m->byte_fallback && k < t->n; k++)
			ids_push(&w->extra, m->byte_id[(uint8_t)t->text[k]]);
		if (!(extra && m->byte_fallback) &&
			!(id == m->unk && w->extra.n && w->extra.v[w->extra.n - 1] == m->unk))
			ids_push(&w->extra, id);
	}
	out->n = from;
	for (i = 0; i < w->extra.n; i++)
		ids_push(out, w->extra.v[i]);
}

static int
encode_bpe(const struct spm *s, struct spm_work *w, const char *p, size_t n, struct ids *out, struct err *e)
{
	size_t from = out->n;
	struct word all = {0, (uint32_t)n};
	if (n > UINT32_MAX)
		return err_set(e, ERR_DATA, "%zu bytes of text are more than can be tokenized", n);
	if (n && bpe_encode(&s->bpe, &w->bpe, p, &all, 1, out, e) < 0)
		return -1;
	if (s->bpe.vocab.size > s->model.n)
		replace_extra(s, w, from, out);
	return 0;
}

/* User-defined symbols never merge, so the text between two of them stands for itself. */
static int
encode_around(const struct spm *s, struct spm_work *w, const char *p, size_t n, struct ids *out, struct err *e)
{
	size_t done = 0, len;
	uint32_t c;
	int32_t id;
	for (size_t i = 0; s->user.n && i < n; i += len) {
		len = spm_trie_longest(&s->user, p + i, n - i, &id);
		if (!len) {
			len = uni_decode(p + i, &c);
			continue;
		}
		if (encode_bpe(s, w, p + done, i - done, out, e) < 0)
			return -1;
		ids_push(out, id);
		done = i + len;
	}
	return encode_bpe(s, w, p + done, n - done, out, e);
}

int
spm_encode(const struct spm *s, struct spm_work *w, bool prefix, const char *text, size_t n, struct ids *out,
	struct err *e)
{
	buf_clear(&w->text);
	if (spm_normalize(&s->normalizer, prefix, text, n, &w->text, e) < 0)
		return -1;
	if (w->text.len > PRE_MAX_BYTES)
		return err_set(e, ERR_DATA, "%zu bytes of text in one piece; at most %d can be tokenized",
			w->text.len, PRE_MAX_BYTES);
	if (s->model.algorithm == SPM_BPE)
		return encode_around(s, w, w->text.data, w->text.len, out, e);
	GROW(w->best, w->best_cap, w->text.len + 1);
	spm_unigram_encode(&s->unigram, w->best, w->text.data, w->text.len, out);
	return 0;
}

/* ---- decoding ---- */

/* What is no character becomes a U+FFFD a byte. */
static void
flush_bytes(struct spm_text *t, struct buf *out)
{
	size_t i = 0, n = t->bytes.len;
	while (i < n) {
		size_t good = uni_check(t->bytes.data + i, n - i);
		buf_append(out, t->bytes.data + i, good);
		i += good;
		if (i++ < n)
			buf_puts(out, "\xef\xbf\xbd");
	}
	t->started |= n > 0;
	buf_clear(&t->bytes);
}

/* The first space is the prefix, or one of those that the normalizer takes away at the start. */
static void
append_piece(const struct spm_model *m, struct spm_text *t, struct spm_bytes s, struct buf *out)
{
	bool strip = m->add_dummy_prefix || m->remove_extra_whitespaces;
	size_t i = 0;
	if (!t->started && strip && s.n >= 3 && !memcmp(s.p, SPM_SPACE, 3)) {
		i = 3;
		t->started = !m->remove_extra_whitespaces;
	}
	t->started |= i < s.n;
	while (i < s.n) {
		bool space = s.n - i >= 3 && !memcmp(s.p + i, SPM_SPACE, 3);
		buf_putc(out, space ? ' ' : s.p[i]);
		i += space ? 3 : 1;
	}
}

void
spm_decode(const struct spm *s, struct spm_text *t, int32_t id, struct buf *out)
{
	const struct spm_model *m = &s->model;
	if (id < 0 || (size_t)id >= m->n)
		return;
	const struct spm_piece *p = &m->piece[id];
	if (p->type == SPM_BYTE) {
		for (int i = 0; i < 256; i++)
			if (m->byte_id[i] == id)
				buf_putc(&t->bytes, (char)i);
		return;
	}
	flush_bytes(t, out);
	if (p->type == SPM_UNKNOWN)
		spm_decode_plain(t, m->unk_surface.p, m->unk_surface.n, out);
	else if (p->type != SPM_CONTROL)
		append_piece(m, t, p->text, out);
}

void
spm_decode_plain(struct spm_text *t, const char *p, size_t n, struct buf *out)
{
	flush_bytes(t, out);
	buf_append(out, p, n);
	t->started |= n > 0;
}

void
spm_decode_end(struct spm_text *t, struct buf *out)
{
	flush_bytes(t, out);
	buf_release(&t->bytes);
}

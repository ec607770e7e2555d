#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "text/bpe_seams.h"
#include "text/unicode.h"

enum {
	SHORT = 64,             /* symbols up to which merging by search beats the heap */
	NONE = UINT32_MAX,      /* no such symbol */
};

void
bpe_work_init(struct bpe_work *w)
{
	*w = (struct bpe_work){0};
	wordcache_init(&w->cache);
	wordcache_init(&w->parts);
}

void
bpe_work_release(struct bpe_work *w)
{
	wordcache_release(&w->cache);
	wordcache_release(&w->parts);
	free(w->pieces);
	free(w->spelt);
	free(w->id);
	free(w->rank);
	free(w->to);
	free(w->prev);
	free(w->next);
	free(w->heap);
	*w = (struct bpe_work){0};
}

static void
reserve(struct bpe_work *w, size_t n)
{
	if (n <= w->cap)
		return;
	n += n / 2;
	w->id = xreallocarray(w->id, n, sizeof *w->id);
	w->rank = xreallocarray(w->rank, n, sizeof *w->rank);
	w->to = xreallocarray(w->to, n, sizeof *w->to);
	w->cap = n;
}

static inline void
add_symbol(struct bpe_work *w, int32_t id)
{
	if (w->n == w->cap)
		reserve(w, w->n + 16);
	w->id[w->n++] = id;
}

/* ---- merging ---- */

static inline void
set_pair(const struct bpe *b, struct bpe_work *w, size_t i, int32_t right)
{
	const struct bpe_merge *m = bpe_find_merge(b, w->id[i], right);
	w->rank[i] = m ? m->rank : BPE_NO_RANK;
	w->to[i] = m ? m->id : -1;
}

static size_t
lowest_rank(const uint32_t *rank, size_t n)
{
	size_t best = 0;
	for (size_t i = 1; i < n; i++)
		best = rank[i] < rank[best] ? i : best;
	return best;
}

static void
set_pairs(const struct bpe *b, struct bpe_work *w, const char *bytes)
{
	if (!bytes) {
		for (size_t i = 0; i + 1 < w->n; i++)
			set_pair(b, w, i, w->id[i + 1]);
		return;
	}
	for (size_t i = 0; i + 1 < w->n; i++) {
		const struct bpe_joined *j = &b->byte_pair[(uint8_t)bytes[i] * 256 + (uint8_t)bytes[i + 1]];
		w->rank[i] = j->rank;
		w->to[i] = j->id;
	}
}

/* Merges in O(n * merges), which for a word of ordinary length is the fastest way. `bytes` NULL, or what the
 * symbols are. */
static void
merge_short(const struct bpe *b, struct bpe_work *w, const char *bytes)
{
	set_pairs(b, w, bytes);
	while (w->n > 1) {
		size_t i = lowest_rank(w->rank, w->n - 1), after = w->n - i - 2;
		if (w->rank[i] == BPE_NO_RANK)
			break;
		w->id[i] = w->to[i];
		memmove(w->id + i + 1, w->id + i + 2, after * sizeof *w->id);
		memmove(w->rank + i, w->rank + i + 1, after * sizeof *w->rank);
		memmove(w->to + i, w->to + i + 1, after * sizeof *w->to);
		w->n--;
		if (i > 0)
			set_pair(b, w, i - 1, w->id[i]);
		if (i + 1 < w->n)
			set_pair(b, w, i, w->id[i + 1]);
	}
}

static void
sift_down(uint64_t *h, size_t n, size_t i)
{
	uint64_t x = h[i];
	for (size_t c; (c = 2 * i + 1) < n; i = c) {
		if (c + 1 < n && h[c + 1] < h[c])
			c++;
		if (x <= h[c])
			break;
		h[i] = h[c];
	}
	h[i] = x;
}

static void
heap_push(struct bpe_work *w, uint64_t x)
{
	GROW(w->heap, w->heap_cap, w->heap_n + 1);
	size_t i = w->heap_n++;
	for (; i && x < w->heap[(i - 1) / 2]; i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = x;
}

static uint64_t
heap_pop(struct bpe_work *w)
{
	uint64_t top = w->heap[0];
	w->heap[0] = w->heap[--w->heap_n];
	if (w->heap_n)
		sift_down(w->heap, w->heap_n, 0);
	return top;
}

static void
link_symbols(const struct bpe *b, struct bpe_work *w)
{
	if (w->links_cap < w->n) {
		w->links_cap = w->cap;
		w->prev = xreallocarray(w->prev, w->links_cap, sizeof *w->prev);
		w->next = xreallocarray(w->next, w->links_cap, sizeof *w->next);
	}
	w->heap_n = 0;
	GROW(w->heap, w->heap_cap, w->n);
	for (size_t i = 0; i < w->n; i++) {
		w->prev[i] = i ? (uint32_t)(i - 1) : NONE;
		w->next[i] = i + 1 < w->n ? (uint32_t)(i + 1) : NONE;
		w->rank[i] = BPE_NO_RANK;
		if (i + 1 < w->n)
			set_pair(b, w, i, w->id[i + 1]);
		if (w->rank[i] != BPE_NO_RANK)
			w->heap[w->heap_n++] = (uint64_t)w->rank[i] << 32 | i;
	}
	for (size_t i = w->heap_n / 2; i-- > 0;)
		sift_down(w->heap, w->heap_n, i);
}

static void
renew_pair(const struct bpe *b, struct bpe_work *w, uint32_t i)
{
	w->rank[i] = BPE_NO_RANK;
	if (w->next[i] == NONE)
		return;
	set_pair(b, w, i, w->id[w->next[i]]);
	if (w->rank[i] != BPE_NO_RANK)
		heap_push(w, (uint64_t)w->rank[i] << 32 | i);
}

/* Merges in O(n log n). An entry of the heap is stale when the symbol's pair has another rank by now. */
static void
merge_long(const struct bpe *b, struct bpe_work *w)
{
	link_symbols(b, w);
	while (w->heap_n) {
		uint64_t top = heap_pop(w);
		uint32_t i = (uint32_t)top, gone = w->next[i];
		if (w->rank[i] != top >> 32)
			continue;
		w->id[i] = w->to[i];
		w->rank[gone] = BPE_NO_RANK;
		w->next[i] = w->next[gone];
		if (w->next[i] != NONE)
			w->prev[w->next[i]] = i;
		if (w->prev[i] != NONE)
			renew_pair(b, w, w->prev[i]);
		renew_pair(b, w, i);
	}
	size_t n = 0;
	for (uint32_t i = 0; i != NONE; i = w->next[i])
		w->id[n++] = w->id[i];
	w->n = n;
}

/* ---- the first symbols of a word ---- */

/* The token of one character, with the affixes that its place asks for; -1 when there is none. */
static int32_t
affixed_id(const struct bpe *b, const char *p, size_t n, bool first, bool last)
{
	struct buf s = {0};
	if (!first && b->prefix)
		buf_puts(&s, b->prefix);
	buf_append(&s, p, n);
	if (last && b->suffix)
		buf_puts(&s, b->suffix);
	int32_t id = vocab_id(&b->vocab, s.data, s.len);
	buf_release(&s);
	return id;
}

/* The bytes of an unknown character, with its affixes, as <0xXX> tokens; false when one is missing. */
static bool
fall_back(const struct bpe *b, struct bpe_work *w, const char *p, size_t n, bool first, bool last)
{
	const char *part[3] = {!first && b->prefix ? b->prefix : "", p, last && b->suffix ? b->suffix : ""};
	size_t len[3] = {strlen(part[0]), n, strlen(part[2])}, before = w->n;
	for (int k = 0; k < 3; k++)
		for (size_t i = 0; i < len[k]; i++) {
			int32_t id = b->fallback[(uint8_t)part[k][i]];
			if (id < 0) {
				w->n = before;
				return false;
			}
			add_symbol(w, id);
		}
	return true;
}

/* An unknown token is held back until a known character follows, so that a run of them can become one.
 * Bytes that stand for a character go ahead of one held back: that is how the reference does it. */
static int
first_symbols(const struct bpe *b, struct bpe_work *w, const char *p, size_t n, struct err *e)
{
	bool held = false;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = uni_decode(p + i, &c);
		bool first = i == 0, last = i + len == n;
		int32_t id =
			b->prefix || b->suffix ? affixed_id(b, p + i, len, first, last) : b->char_id[c] - 1;
		if (id >= 0) {
			if (held)
				add_symbol(w, b->unk);
			held = false;
			add_symbol(w, id);
		} else if (!fall_back(b, w, p + i, len, first, last) && b->unk_token) {
			if (b->unk < 0)
				return err_set(e, ERR_DATA,
					"U+%04X needs the unknown token '%.64s', which the vocabulary lacks",
					c, b->unk_token);
			if (held && !b->fuse_unk)
				add_symbol(w, b->unk);
			held = true;
		}
		i += len;
	}
	if (held)
		add_symbol(w, b->unk);
	return 0;
}

static void
first_bytes(const struct bpe *b, struct bpe_work *w, const char *p, size_t n)
{
	reserve(w, n);
	for (size_t i = 0; i < n; i++) {
		w->id[w->n] = b->byte_id[(uint8_t)p[i]];
		w->n += w->id[w->n] >= 0;
	}
}

/* ---- words ---- */

static void
push_all(struct ids *out, const int32_t *id, size_t n)
{
	GROW(out->v, out->cap, out->n + n);
	if (n)
		memcpy(out->v + out->n, id, n * sizeof *id);
	out->n += n;
}

static int
encode_merging(
	const struct bpe *b, struct bpe_work *w, const char *p, size_t n, struct ids *out, struct err *e)
{
	w->n = 0;
	if (b->byte_level)
		first_bytes(b, w, p, n);
	else if (first_symbols(b, w, p, n, e) < 0)
		return -1;
	if (w->n > 1) {
		if (w->n <= SHORT)
			merge_short(b, w, b->byte_level && w->n == n ? p : NULL);
		else
			merge_long(b, w);
	}
	push_all(out, w->id, w->n);
	return 0;
}

typedef int encode_fn(
	const struct bpe *b, struct bpe_work *w, const char *p, size_t n, struct ids *out, struct err *e);

static inline int
encode_keyed(const struct bpe *b, struct bpe_work *w, struct wordcache *cache, encode_fn *encode,
	const struct wordcache_key *k, struct ids *out, struct err *e)
{
	if (k->n > WORDCACHE_KEY)
		return encode(b, w, k->p, k->n, out, e);
	const struct wordcache_slot *s = wordcache_get(cache, k);
	if (s) {
		GROW(out->v, out->cap, out->n + WORDCACHE_IDS);
		memcpy(out->v + out->n, s->ids, sizeof s->ids);
		out->n += s->ids_n;
		return 0;
	}
	size_t before = out->n;
	if (encode(b, w, k->p, k->n, out, e) < 0)
		return -1;
	wordcache_put(cache, k, out->v + before, out->n - before);
	return 0;
}

/* Words, each from the cache if it is there. Keys are made some words ahead, so that the memory they need has come when
 * they are looked up: that is most of the time that a word takes. */
static inline int
encode_all(const struct bpe *b, struct bpe_work *w, struct wordcache *cache, encode_fn *encode, const char *text,
	const struct word *words, size_t n, struct ids *out, struct err *e)
{
	enum { AHEAD = 8 };
	struct wordcache_key key[AHEAD];
	for (size_t i = 0; i < n + AHEAD; i++) {
		struct wordcache_key *k = &key[i % AHEAD];
		if (i >= AHEAD && i - AHEAD < n && encode_keyed(b, w, cache, encode, k, out, e) < 0)
			return -1;
		if (i >= n)
			continue;
		k->p = text + words[i].start;
		k->n = words[i].n;
		if (k->n > WORDCACHE_KEY)
			continue;
		wordcache_make_key(k, k->p, k->n);
		wordcache_expect(cache, k);
	}
	return 0;
}

/* ---- seams ---- */

static inline void
add_piece(struct bpe_work *w, size_t *n, size_t start, size_t end)
{
	GROW(w->pieces, w->pieces_cap, *n + 1);
	w->pieces[(*n)++] = (struct word){(uint32_t)start, (uint32_t)(end - start)};
}

/* A word of a script without spaces is a phrase, and new nearly every time; what lies between two of its seams is
 * not. Between ASCII characters there is hardly ever one. */
static int
encode_parts(
	const struct bpe *b, struct bpe_work *w, const char *p, size_t n, struct ids *out, struct err *e)
{
	size_t start = 0, pieces = 0;
	for (size_t i = 1; i < n; i++) {
		if ((uint8_t)p[i] < 0xc0 || !bpe_is_seam(b->seams, p, i, n))
			continue;
		add_piece(w, &pieces, start, i);
		start = i;
	}
	if (start == 0)
		return encode_merging(b, w, p, n, out, e);
	add_piece(w, &pieces, start, n);
	return encode_all(b, w, &w->parts, encode_merging, p, w->pieces, pieces, out, e);
}

/* The token that the whole word is, or -1. */
static int32_t
whole_word(const struct bpe *b, struct bpe_work *w, const char *p, size_t n)
{
	if (!b->ignore_merges)
		return -1;
	if (!b->byte_level)
		return vocab_id(&b->vocab, p, n);
	if (n > b->vocab.longest)
		return -1;
	GROW(w->spelt, w->spelt_cap, 2 * n);
	char *q = w->spelt;
	for (size_t i = 0; i < n; i++) {
		const char *u = b->spelling[(uint8_t)p[i]];
		q[0] = u[0];
		q[1] = u[1];
		q += u[1] ? 2 : 1;
	}
	return vocab_id(&b->vocab, w->spelt, (size_t)(q - w->spelt));
}

/* Where a byte vanishes, its neighbours meet over what was a seam. */
static bool
some_vanish(const struct bpe *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (b->byte_id[(uint8_t)p[i]] < 0)
			return true;
	return false;
}

static int
encode_word(
	const struct bpe *b, struct bpe_work *w, const char *p, size_t n, struct ids *out, struct err *e)
{
	int32_t id = whole_word(b, w, p, n);
	if (id >= 0) {
		push_all(out, &id, 1);
		return 0;
	}
	if (b->byte_level && (uint8_t)p[n - 1] >= 0x80 && !(b->bytes_vanish && some_vanish(b, p, n)))
		return encode_parts(b, w, p, n, out, e);
	return encode_merging(b, w, p, n, out, e);
}

/* Whether no merge can join the two characters, and neither is unknown (unknown ones may fuse). */
static inline bool
is_seam(const struct bpe *b, uint32_t left, uint32_t right)
{
	uint32_t bit = bpe_join_bit(left, right);
	return !(b->joins[bit / 64] >> bit % 64 & 1) && b->char_id[left] && b->char_id[right];
}

/* A model without a pre-tokenizer gets a document as one word. No merge reaches over a seam, so what lies
 * between two seams can be encoded, and remembered, by itself. */
static int
encode_between_seams(
	const struct bpe *b, struct bpe_work *w, const char *p, size_t n, struct ids *out, struct err *e)
{
	size_t start = 0, i, pieces = 0;
	uint32_t left, right;
	for (i = uni_decode(p, &left); i < n; left = right) {
		size_t len = uni_decode(p + i, &right);
		if (is_seam(b, left, right)) {
			add_piece(w, &pieces, start, i);
			start = i;
		}
		i += len;
	}
	add_piece(w, &pieces, start, n);
	return encode_all(b, w, &w->cache, encode_word, p, w->pieces, pieces, out, e);
}

int
bpe_encode(const struct bpe *b, struct bpe_work *w, const char *text, const struct word *words, size_t n,
	struct ids *out, struct err *e)
{
	if (!b->joins)
		return encode_all(b, w, &w->cache, encode_word, text, words, n, out, e);
	for (size_t i = 0; i < n; i++)
		if (encode_between_seams(b, w, text + words[i].start, words[i].n, out, e) < 0)
			return -1;
	return 0;
}

#include "text/bpe_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

void
bpe_rules_add(struct bpe_rules *r, struct bpe_rule rule)
{
	GROW(r->v, r->cap, r->n + 1);
	r->v[r->n++] = rule;
}

void
bpe_rules_release(struct bpe_rules *r)
{
	free(r->v);
	*r = (struct bpe_rules){0};
}

/* ---- tables ---- */

enum { AHEAD = 16 };  /* merges of which the memory is asked for before they are put in */

static uint64_t
pair_of(const struct bpe_rule *r)
{
	return (uint64_t)(uint32_t)r->left << 32 | (uint32_t)r->right;
}

static void
insert_merge(struct bpe *b, const struct bpe_rule *r)
{
	uint64_t pair = pair_of(r);
	uint64_t hash = bpe_pair_hash(pair), bit = hash >> bpe_filter_shift(b);
	uint64_t mask = UINT64_MAX >> b->merge_shift, i = hash >> b->merge_shift;
	while (b->merge[i].rank != BPE_NO_RANK && b->merge[i].pair != pair)
		i = (i + 1) & mask;
	b->merge[i] = (struct bpe_merge){pair, r->rank, r->id};
	b->merge_filter[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* Symbols that are not spelled as the text is could join where no characters do: then no place is known to be
 * safe. */
static bool
is_disguised(const struct bpe *b, int32_t id)
{
	if (id == b->unk)
		return true;
	for (int i = 0; i < 256 && b->falls_back; i++)
		if (b->fallback[i] == id)
			return true;
	return false;
}

/* Notes that a merge may join the last character of `left` to the first of `right`; false when that tells
 * nothing. */
static bool
note_join(struct bpe *b, const struct bpe_rule *r)
{
	const struct vocab_token *left = vocab_token(&b->vocab, r->left), *right = vocab_token(&b->vocab, r->right);
	uint32_t l, f;
	if (is_disguised(b, r->left) || is_disguised(b, r->right))
		return false;
	if (!left->n || !right->n)
		return true;
	uni_decode(uni_before(left->text + left->n), &l);
	uni_decode(right->text, &f);
	uint32_t bit = bpe_join_bit(l, f);
	b->joins[bit / 64] |= (uint64_t)1 << bit % 64;
	return true;
}

static void
note_joins(struct bpe *b, const struct bpe_rules *r)
{
	b->joins = xcalloc(1, ((size_t)1 << BPE_JOINS_BITS) / 8);
	for (size_t i = 0; i < r->n; i++)
		if (!note_join(b, &r->v[i])) {
			free(b->joins);
			b->joins = NULL;
			return;
		}
}

static void
index_chars(struct bpe *b)
{
	b->char_id = xcalloc(UNI_MAX, sizeof *b->char_id);
	for (size_t id = 0; id < b->vocab.size; id++) {
		const struct vocab_token *t = vocab_token(&b->vocab, (int64_t)id);
		uint32_t c;
		if (t && t->n && t->n <= 4 && uni_decode(t->text, &c) == t->n)
			b->char_id[c] = (int32_t)id + 1;
	}
}

int
bpe_build(struct bpe *b, const struct bpe_rules *r, struct err *e)
{
	if (r->n > UINT32_MAX / 4)
		return err_set(e, ERR_CONFIG, "%zu merges are too many", r->n);
	b->merge_shift = 64 - 4;
	while (((size_t)1 << (64 - b->merge_shift)) < r->n + r->n / 2 + 1)
		b->merge_shift--;
	size_t slots = (size_t)1 << (64 - b->merge_shift);
	b->merge = mem_map(slots, sizeof *b->merge);
	memset(b->merge, 0xff, slots * sizeof *b->merge);
	b->merge_filter = xcalloc(slots, 1);
	for (size_t i = 0; i < r->n; i++) {
		if (i + AHEAD < r->n)
			__builtin_prefetch(&b->merge[bpe_pair_hash(pair_of(&r->v[i + AHEAD])) >> b->merge_shift], 1);
		insert_merge(b, &r->v[i]);
	}
	if (!b->prefix && !b->suffix && !b->ignore_merges)
		note_joins(b, r);
	index_chars(b);
	return 0;
}

/* ---- merges by the spelling of what they make ---- */

/* The id of a part of a token that could be a symbol, or -1. What is longer than a character must come from a
 * merge itself. */
static int
part_id(struct bpe *b, const uint32_t *rank, size_t n_ranks, const char *p, size_t n, int32_t *id, struct err *e)
{
	uint32_t c;
	*id = vocab_id(&b->vocab, p, n);
	if (uni_decode(p, &c) < n) {
		if (*id >= 0 && ((size_t)*id >= n_ranks || rank[*id] == BPE_NO_RANK))
			*id = -1;
		return 0;
	}
	if (*id >= 0)
		return 0;
	*id = (int32_t)b->vocab.size;
	return vocab_add(&b->vocab, p, n, *id, e);
}

static int
rules_of(struct bpe *b, const uint32_t *rank, size_t n_ranks, int32_t id, struct bpe_rules *r, struct err *e)
{
	struct vocab_token t = b->vocab.token[id];
	uint32_t c;
	for (size_t k = uni_decode(t.text, &c); k < t.n; k += uni_decode(t.text + k, &c)) {
		int32_t left, right;
		if (part_id(b, rank, n_ranks, t.text, k, &left, e) < 0)
			return -1;
		if (left < 0)
			continue;
		if (part_id(b, rank, n_ranks, t.text + k, t.n - k, &right, e) < 0)
			return -1;
		if (right >= 0)
			bpe_rules_add(r, (struct bpe_rule){left, right, id, rank[id]});
	}
	return 0;
}

int
bpe_build_ranked(struct bpe *b, const uint32_t *rank, struct err *e)
{
	struct bpe_rules rules = {0};
	size_t n = b->vocab.size;
	int rc = 0;
	for (size_t id = 0; id < n && rc == 0; id++)
		if (rank[id] != BPE_NO_RANK)
			rc = rules_of(b, rank, n, (int32_t)id, &rules, e);
	if (rc == 0)
		rc = bpe_build(b, &rules, e);
	bpe_rules_release(&rules);
	return rc;
}

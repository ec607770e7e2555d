/* The BPE model: the pairs of neighbouring symbols that merges tell of are joined, lowest rank first and
 * leftmost among equals (Sennrich et al. 2016). */
#ifndef HONE_TEXT_BPE_H
#define HONE_TEXT_BPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/tokenizer.h"
#include "text/vocab.h"
#include "text/word.h"
#include "text/wordcache.h"

enum { BPE_NO_RANK = UINT32_MAX };

/* What a pair of ids becomes. */
struct bpe_merge {
	uint64_t pair;  /* left << 32 | right */
	uint32_t rank;  /* BPE_NO_RANK: a free slot */
	int32_t id;
};

struct bpe_joined {
	uint32_t rank;
	int32_t id;
};

struct bpe {
	struct vocab vocab;
	struct bpe_merge *merge;   /* [1 << (64 - merge_shift)], open addressing */
	int merge_shift;
	uint64_t *merge_filter;    /* a bit for what a pair hashes to, 16 a merge: most pairs are none */
	bool byte_level;           /* text comes as bytes */
	bool fuse_unk, ignore_merges;
	char *unk_token;           /* NULL: unknown characters vanish */
	int32_t unk;               /* its id, or -1 */
	char *prefix, *suffix;     /* continuing_subword_prefix, end_of_word_suffix; NULL when empty */
	int32_t byte_id[256];      /* byte_level: the token of a byte's character; -1: it vanishes... */
	bool bytes_vanish;         /* ...as some do */
	char spelling[256][2];     /* byte_level: the character of a byte; the second byte 0 when it is one */
	struct bpe_joined *byte_pair;  /* byte_level: [256][256], of two bytes' tokens */
	int32_t fallback[256];     /* byte_fallback: the <0xXX> tokens; -1: none */
	bool falls_back;           /* there are some */
	int32_t *char_id;          /* else, [UNI_MAX]: id + 1 of each token that is one character; 0: none */
	struct bpe_seams *seams;   /* byte_level: where words can be cut (text/bpe_seams.h) */
	uint64_t *joins;           /* pairs of characters that a merge may join, as a hashed bitmap; NULL: unknown */
};

/* One thread's scratch memory; bpe_work_init, bpe_work_release. */
struct bpe_work {
	struct wordcache cache;
	struct wordcache parts;    /* of words, for which ignore_merges does not hold */
	struct word *pieces;       /* of a word, between its seams: of `seams` or of `joins`, of which a model has one */
	size_t pieces_cap;
	char *spelt;               /* a word in the byte alphabet */
	size_t spelt_cap;
	int32_t *id;               /* symbols: */
	uint32_t *rank;            /* rank of the pair that a symbol makes with the next... */
	int32_t *to;               /* ...and what it becomes */
	uint32_t *prev, *next;
	uint64_t *heap;            /* rank << 32 | position */
	size_t n, cap, links_cap, heap_n, heap_cap;
};

struct bpe_text;

/* Loads the "model" of tokenizer.json. With `text` (text/bpe_text.h) its vocabulary and merges are taken out of that,
 * and any error means that they had better be read the other way. */
int bpe_load(struct bpe *b, const json_t *model, struct bpe_text *text, struct err *e);
void bpe_release(struct bpe *b);

/* Makes the model read bytes instead of their characters in the byte alphabet. False, and nothing is
 * changed, when affixes stand in the way, or when the vocabulary lacks one of these and the model does not
 * just drop what it does not know. */
bool bpe_use_bytes(struct bpe *b);

void bpe_work_init(struct bpe_work *w);
void bpe_work_release(struct bpe_work *w);

/* Appends the ids of n words of a text. ERR_DATA when an unknown token is needed that the vocabulary lacks. */
int bpe_encode(const struct bpe *b, struct bpe_work *w, const char *text, const struct word *words, size_t n,
	struct ids *out, struct err *e);

static inline uint64_t
bpe_pair_hash(uint64_t pair)
{
	return pair * 0x9e3779b97f4a7c15u;
}

/* The filter has eight bits for each slot of the table. */
static inline int
bpe_filter_shift(const struct bpe *b)
{
	return b->merge_shift - 3;
}

/* The merge of a pair, or NULL. */
static inline const struct bpe_merge *
bpe_find_merge(const struct bpe *b, int32_t left, int32_t right)
{
	uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	uint64_t mask = UINT64_MAX >> b->merge_shift, hash = bpe_pair_hash(pair), bit = hash >> bpe_filter_shift(b);
	if (!(b->merge_filter[bit / 64] >> bit % 64 & 1))
		return NULL;
	for (uint64_t i = hash >> b->merge_shift;; i = (i + 1) & mask) {
		const struct bpe_merge *m = &b->merge[i];
		if (m->rank == BPE_NO_RANK)
			return NULL;
		if (m->pair == pair)
			return m;
	}
}

enum { BPE_JOINS_BITS = 20 };

static inline uint32_t
bpe_join_bit(uint32_t left, uint32_t right)
{
	return (left * 0x9e3779b1u + right) * 0x85ebca6bu >> (32 - BPE_JOINS_BITS);
}

#endif

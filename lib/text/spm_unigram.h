/* SentencePiece's unigram model: of all ways to write a text as pieces, the one of the highest total score
 * (Kudo 2018), found by Viterbi's algorithm. */
#ifndef HONE_TEXT_SPM_UNIGRAM_H
#define HONE_TEXT_SPM_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/spm_model.h"
#include "text/spm_trie.h"
#include "text/tokenizer.h"

/* Where the best way to a place in the text comes from. */
struct spm_best {
	float score;
	int32_t id;
	uint32_t start;  /* UINT32_MAX: no way leads here */
};

struct spm_unigram {
	struct spm_trie trie;
	double *score;           /* [pieces] */
	float unk_score;
	int32_t unk;
	bool byte_fallback;
	int32_t byte_id[256];
};

int spm_unigram_init(struct spm_unigram *u, const struct spm_model *m, struct err *e);
void spm_unigram_release(struct spm_unigram *u);

/* Appends the pieces of n bytes of normalized UTF-8. A character that is no piece becomes its bytes, or, with its
 * neighbours of that kind, one `unk`. `best` is scratch memory of n + 1. */
void spm_unigram_encode(
	const struct spm_unigram *u, struct spm_best *best, const char *text, size_t n, struct ids *out);

#endif

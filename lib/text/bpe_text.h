/* A tokenizer.json's vocabulary and merges, read from its text without a tree of JSON values: they are nearly all
 * of the file, and this is several times faster. What is unusual in any way is left to the other reader, which
 * tells what is wrong with it, if anything is. */
#ifndef HONE_TEXT_BPE_TEXT_H
#define HONE_TEXT_BPE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "text/bpe_build.h"

struct bpe_text {
	const char *vocab, *vocab_end;    /* an object... */
	const char *merges, *merges_end;  /* ...and a list, in the text */
};

/* Finds them, and makes *rest the text with {} and [] in their places. False when they are not both there. */
bool bpe_text_cut(struct bpe_text *x, const char *text, size_t n, struct buf *rest);

/* Fills an initialised vocabulary. False on anything but whole numbers under names that differ. */
bool bpe_text_vocab(const struct bpe_text *x, struct vocab *v);

/* Calls `merge` for each merge, which is "left right" or ["left", "right"], until it returns false, as it must for what
 * the vocabulary does not have: that they are UTF-8 is not looked at. */
typedef bool bpe_text_merge_fn(
	void *ctx, const char *left, size_t left_n, const char *right, size_t right_n, size_t rank);
bool bpe_text_merges(const struct bpe_text *x, bpe_text_merge_fn *merge, void *ctx);

#endif

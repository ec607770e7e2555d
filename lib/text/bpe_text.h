/* A tokenizer.json's vocabulary and merges, read from its text without a tree of JSON values: they are nearly all
 * of the file, and this is many times faster. What is unusual in any way is left to the other reader, which
 * tells what is wrong with it, if anything is. */
#ifndef HONE_TEXT_BPE_TEXT_H
#define HONE_TEXT_BPE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "text/bpe_build.h"

struct bpe_text {
	struct vocab vocab;
	struct bpe_rules rules;  /* of a model without continuing_subword_prefix */
};

/* Reads them in one pass over the file's text, and makes *rest that text with {} and [] in their places. False, and
 * nothing to release but *rest, when they are not both there in this order, as whole numbers under names that differ
 * and as merges "left right" or ["left", "right"] of such names. */
bool bpe_text_read(struct bpe_text *x, const char *text, size_t n, struct buf *rest);
void bpe_text_release(struct bpe_text *x);

#endif

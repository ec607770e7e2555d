/* Inside the byte-level BPE model: between which characters no merge reaches over. */
#ifndef HONE_TEXT_BPE_SEAMS_H
#define HONE_TEXT_BPE_SEAMS_H

#include "text/bpe.h"

enum { BPE_SEAM_BITS = 20 };

/* What a merge's two tokens show at the boundary between two characters: a whole character there, or as much of one
 * as a token that is shorter has. Hashed pairs of those that some merge joins. */
struct bpe_seams {
	uint64_t pair[(1 << BPE_SEAM_BITS) / 64];
	/* By the bytes on both sides of a boundary: whether some merge of them has a left token that is only the end of a
	 * character, or a right one that is only the beginning of one. Most pairs of bytes have none. */
	bool parts[256][256];
};

/* Works them out from the merges; the model is byte-level. */
struct bpe_seams *bpe_seams_new(const struct bpe *b);

/* Whether no merge joins what stands before i to what stands behind it: 0 < i < n, between two characters of valid
 * UTF-8, the second of them not of ASCII. */
bool bpe_is_seam(const struct bpe_seams *s, const char *p, size_t i, size_t n);

#endif

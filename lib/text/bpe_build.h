/* Inside the BPE model: from a vocabulary and its merges to the tables that encoding reads. */
#ifndef HONE_TEXT_BPE_BUILD_H
#define HONE_TEXT_BPE_BUILD_H

#include "text/bpe.h"

struct bpe_rule {
	int32_t left, right, id;
	uint32_t rank;
};

/* Zero-initialise. */
struct bpe_rules {
	struct bpe_rule *v;
	size_t n, cap;
};

void bpe_rules_add(struct bpe_rules *r, struct bpe_rule rule);
void bpe_rules_release(struct bpe_rules *r);

/* Makes everything of *b that follows from its vocabulary, its options and the rules. Of two rules for one pair
 * the later counts. */
int bpe_build(struct bpe *b, const struct bpe_rules *r, struct err *e);

/* The same where any two symbols merge that together spell a token of the vocabulary (SentencePiece, tiktoken).
 * rank[id] is the token's rank, smaller first; BPE_NO_RANK: neither comes from a merge nor goes into one. A
 * character that tokens are made of and that is none itself is added behind the vocabulary; ERR_CONFIG when it
 * gets too large. */
int bpe_build_ranked(struct bpe *b, const uint32_t *rank, struct err *e);

#endif

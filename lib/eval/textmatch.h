/* How near a generated text is to the one that was wanted. docs/metrics.md defines the figures.
 *
 * Normalised text, after SQuAD's evaluation (Rajpurkar et al. 2016): NFKC, case folded, without punctuation and the words a,
 * an, the, one space between words. Tokens are the words between spaces; a character of a script that puts no spaces
 * between words (Han, kana, Thai, Lao, Khmer, Burmese) is a token by itself. ROUGE-L (Lin 2004) takes punctuation as
 * space and keeps the articles, as the rouge_score package does. */
#ifndef HONE_EVAL_TEXTMATCH_H
#define HONE_EVAL_TEXTMATCH_H

#include <stddef.h>

#include "base/mem.h"

struct text_match {
	double exact;       /* 1: the same bytes but for white space at both ends; 0 */
	double normalized;  /* 1: the same normalised text; 0 */
	double token_f1;    /* of the tokens as multisets; 1 when neither text has any, 0 when one has none */
	double rouge_l;     /* F1 of the longest common subsequence; the same at the ends */
};

/* Both texts are UTF-8. */
void text_match(struct text_match *m, const char *generated, size_t n_generated, const char *reference, size_t n_reference);

/* Appends the normalised form of a text. */
void text_normalize(struct buf *out, const char *text, size_t n);

#endif

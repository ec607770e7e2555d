/* tokenizer.json's pre_tokenizer: it cuts a normalized piece of text into the words that the model sees one
 * by one. ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit, Punctuation, and Sequences of
 * them. */
#ifndef HONE_TEXT_PRETOKENIZE_H
#define HONE_TEXT_PRETOKENIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/pattern.h"
#include "text/word.h"

struct pretokenizer;  /* immutable */

enum { PRE_MAX_BYTES = 1 << 30 };  /* in one piece: what Metaspace makes of it must fit 32 bits */

/* A piece of text, cut. `first` is whether v[0] begins where the source text of the whole encoding begins. */
struct words {
	const char *text;
	struct word *v;
	size_t n, cap;
	bool first;
};

/* One thread's scratch memory; zero-initialise. */
struct pre_work {
	struct words words[2];
	struct buf text[2];
	uint32_t *end;       /* the parts that one step makes of one word: where each ends... */
	uint8_t *is_match;   /* ...and whether it is a match */
	size_t tiles, end_cap, is_match_cap;
};

/* Loads a component; null is one word a piece. NULL and ERR_CONFIG on failure. */
struct pretokenizer *pretokenizer_load(const json_t *j, struct err *e);
void pretokenizer_free(struct pretokenizer *p);

/* Whether the last step is ByteLevel: the words of pretokenizer_apply are then the bytes themselves, and
 * each stands for its character in the byte alphabet. */
bool pretokenizer_byte_level(const struct pretokenizer *p);

/* With `spell`, pretokenizer_apply writes a last ByteLevel's characters out, for a model that needs them. */
void pretokenizer_spell(struct pretokenizer *p, bool spell);

/* Cuts at most PRE_MAX_BYTES of UTF-8, which begin the source text or not; the result lies in w, or in the
 * text, until the next call. */
int pretokenizer_apply(const struct pretokenizer *p, struct pre_work *w, struct matcher *m, const char *text,
	size_t n, bool first, const struct words **out, struct err *e);
void pre_work_release(struct pre_work *w);

#endif

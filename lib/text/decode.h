/* tokenizer.json's decoder: from token strings back to text. ByteLevel, Replace, ByteFallback, Fuse, Strip,
 * Metaspace, BPEDecoder, and Sequences of them. */
#ifndef HONE_TEXT_DECODE_H
#define HONE_TEXT_DECODE_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct decoder;  /* immutable */

/* A list of strings, one behind the other in `text`; zero-initialise. */
struct strings {
	struct buf text;
	size_t *end;  /* [n] */
	size_t n, cap;
};

void strings_add(struct strings *s, const char *p, size_t n);
void strings_release(struct strings *s);

/* Loads a component; null joins the tokens with spaces. NULL and ERR_CONFIG on failure. */
struct decoder *decoder_load(const json_t *j, struct err *e);
void decoder_free(struct decoder *d);

/* Appends the text of the tokens, which are used up. */
void decoder_apply(const struct decoder *d, struct strings *tokens, struct buf *out);

#endif

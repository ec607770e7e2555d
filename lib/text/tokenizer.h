/* Tokenizers of Hugging Face checkpoints, exact: the ids and the decoded text are those of the library that a form
 * comes from. tokenizer.json (BPE): added tokens on the raw text, normalizer, normalized added tokens,
 * pre-tokenizer, model, post-processor. SentencePiece's tokenizer.model (BPE, unigram). vocab.json with merges.txt.
 * tiktoken's ranks. A component that is not known is an error that names it. */
#ifndef HONE_TEXT_TOKENIZER_H
#define HONE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

struct tokenizer;  /* immutable once open: any number of threads may use it */
struct encoder;    /* one thread's scratch memory and word cache over a tokenizer */

struct ids {
	int32_t *v;
	size_t n, cap;
};

/* Loads the tokenizer of a model directory (config.json is not needed): tokenizer.json, else tokenizer.model, else
 * vocab.json and merges.txt, else NAME.tiktoken. tokenizer_config.json and special_tokens_map.json tell BOS and EOS;
 * of the forms but the first, these two and added_tokens.json also tell the added tokens, and add_bos_token and
 * add_eos_token what stands around a text (SentencePiece: BOS, if nothing is told). Or loads one file named itself,
 * alone: in a tokenizer.model no text is an added token then.
 * NULL and *e on failure: ERR_NOINPUT when there is none, ERR_CONFIG when it cannot be used. */
struct tokenizer *tokenizer_open(const char *path, struct err *e);
void tokenizer_free(struct tokenizer *t);

struct encoder *encoder_new(const struct tokenizer *t);  /* borrows t */
void encoder_free(struct encoder *enc);

/* Appends the ids of n bytes of UTF-8 to *out; with `special`, also what the post-processor adds (BOS...).
 * NUL is a character like others. Bytes that are not UTF-8 are ERR_DATA with the offset. */
int encoder_encode(struct encoder *enc, const char *text, size_t n, bool special, struct ids *out, struct err *e);

/* The same for what is known to be UTF-8, as all is that comes out of JSON: the behaviour is undefined when it is not. */
int encoder_encode_valid(
	struct encoder *enc, const char *text, size_t n, bool special, struct ids *out, struct err *e);

/* Appends the text of n ids. Ids outside the vocabulary give nothing. */
void tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special, struct buf *out);

size_t tokenizer_vocab_size(const struct tokenizer *t);  /* one past the largest id, added tokens included */
int32_t tokenizer_bos(const struct tokenizer *t);        /* of tokenizer_config.json; -1 when there is none */
int32_t tokenizer_eos(const struct tokenizer *t);
int32_t tokenizer_id(const struct tokenizer *t, const char *token);   /* -1 when unknown */
const char *tokenizer_token(const struct tokenizer *t, int32_t id);   /* as the vocabulary spells it; NULL when unknown */
bool tokenizer_is_special(const struct tokenizer *t, int32_t id);

/* What was loaded, for people: "tokenizer.json", "tiktoken ranks (128000; pattern: ...)". */
const char *tokenizer_origin(const struct tokenizer *t);

/* Members of tokenizer.json that are set and that it does without ("truncation and padding"); NULL when there are none. */
const char *tokenizer_ignored(const struct tokenizer *t);

/* The hash of the files that define it (of tokenizer.json, or of the other forms' files and of the added tokens that
 * are told beside them): a dataset made with one tokenizer is refused for another. */
const char *tokenizer_fingerprint(const struct tokenizer *t);

void ids_push(struct ids *ids, int32_t id);
void ids_release(struct ids *ids);

#endif

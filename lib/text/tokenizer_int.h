/* Inside the tokenizer: what loading makes and encoding reads. */
#ifndef HONE_TEXT_TOKENIZER_INT_H
#define HONE_TEXT_TOKENIZER_INT_H

#include <jansson.h>

#include "text/added.h"
#include "text/bpe.h"
#include "text/decode.h"
#include "text/normalize.h"
#include "text/postprocess.h"
#include "text/pretokenize.h"
#include "text/spm.h"
#include "text/tokenizer.h"

struct tokenizer {
	struct bpe bpe;        /* without spm */
	struct spm *spm;       /* a SentencePiece model, or NULL */
	const struct vocab *vocab;
	bool prefix_once;      /* spm: add_dummy_prefix counts at the start of the text only */
	struct normalizer *normalizer;
	struct pretokenizer *pretokenizer;
	struct added *added;
	struct postprocessor post;
	struct decoder *decoder;
	size_t vocab_size;
	int32_t bos, eos;
	char fingerprint[HASH_HEX];
	char origin[256];
	const char *ignored;  /* members of tokenizer.json */
};

enum { TOKENIZER_MAX_FILE = 256 << 20 };

/* Frees what loading makes; the rest stays. */
void tokenizer_release_parts(struct tokenizer *t);

/* Everything but bos and eos, from tokenizer.json: n bytes of text. */
int tokenizer_load_json(struct tokenizer *t, const char *path, const char *text, size_t n, struct err *e);

/* The components of a tokenizer.json but its model, which is there. `as_told`: added tokens have the ids that
 * they tell. */
int tokenizer_load_components(struct tokenizer *t, const json_t *j, bool as_told, struct err *e);

/* What stands beside a vocabulary that is no tokenizer.json, in the files for transformers' tokenizers in
 * Python. Members are NULL where nothing is said. */
struct tokenizer_config {
	const char *class;     /* tokenizer_class, without "Fast"; points into config */
	json_t *config;        /* tokenizer_config.json */
	json_t *added;         /* "added_tokens" as in a tokenizer.json */
	json_t *bos, *eos;     /* strings */
};

/* `dir` NULL: nothing is said. */
int tokenizer_config_read(struct tokenizer_config *c, const char *dir, struct err *e);
void tokenizer_config_release(struct tokenizer_config *c);

/* The other forms; `b` is the file's content, which spm takes over. `dir` may be NULL. */
int tokenizer_load_spm(struct tokenizer *t, struct buf *b, const char *dir, struct err *e);
int tokenizer_load_tiktoken(struct tokenizer *t, const struct buf *b, const char *dir, struct err *e);
int tokenizer_load_vocab(struct tokenizer *t, const char *dir, struct err *e);  /* vocab.json, merges.txt */

#endif

/* A SentencePiece `tokenizer.model`, exact: the ids and the text are those of the sentencepiece library. BPE and
 * unigram models. Added tokens, BOS and EOS are the caller's. */
#ifndef HONE_TEXT_SPM_H
#define HONE_TEXT_SPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/spm_model.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

struct spm;       /* immutable */
struct spm_work;  /* one thread's scratch memory and word cache */

/* Takes the bytes of the file over, also on failure. NULL and ERR_CONFIG when they cannot be used. */
struct spm *spm_new(struct buf *file, struct err *e);
void spm_free(struct spm *s);

const struct spm_model *spm_model(const struct spm *s);
const struct vocab *spm_vocab(const struct spm *s);  /* the pieces, all of them */

bool spm_is_special(const struct spm *s, int32_t id);  /* a control piece, or the unknown one */

struct spm_work *spm_work_new(void);
void spm_work_free(struct spm_work *w);

/* Appends the ids of n bytes of UTF-8; without `prefix`, add_dummy_prefix does not count. */
int spm_encode(const struct spm *s, struct spm_work *w, bool prefix, const char *text, size_t n, struct ids *out,
	struct err *e);

/* Decoding piece by piece, since bytes only together make characters. Zero-initialise. */
struct spm_text {
	struct buf bytes;  /* of byte pieces, not yet decoded */
	bool started;      /* what begins the text is behind: a space belongs to it */
};

void spm_decode(const struct spm *s, struct spm_text *t, int32_t id, struct buf *out);
void spm_decode_plain(struct spm_text *t, const char *p, size_t n, struct buf *out);  /* an added token */
void spm_decode_end(struct spm_text *t, struct buf *out);  /* releases t */

#endif

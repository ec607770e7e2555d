/* What a SentencePiece `tokenizer.model` says: the message ModelProto of sentencepiece_model.proto, read and
 * checked. Nothing is computed here. */
#ifndef HONE_TEXT_SPM_MODEL_H
#define HONE_TEXT_SPM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum spm_type { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER_DEFINED, SPM_UNUSED, SPM_BYTE };
enum spm_algorithm { SPM_UNIGRAM = 1, SPM_BPE, SPM_WORD, SPM_CHAR };

enum { SPM_PIECE_MAX = 8000 };  /* bytes of a piece; sentencepiece takes no more */

struct spm_bytes {
	const char *p;
	size_t n;
};

struct spm_piece {
	struct spm_bytes text;  /* valid UTF-8, not empty, no NUL */
	float score;            /* finite */
	enum spm_type type;
};

/* Strings point into the bytes that spm_model_read was given. */
struct spm_model {
	struct spm_piece *piece;
	size_t n, cap;
	enum spm_algorithm algorithm;
	bool byte_fallback;
	int32_t unk, bos, eos;      /* ids; bos and eos -1 when there are none */
	int32_t byte_id[256];       /* byte_fallback: all of them */
	struct spm_bytes unk_surface;  /* what an unknown piece decodes to */
	bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
	struct spm_bytes charsmap;  /* empty: the normalizer is the identity */
};

/* Reads n bytes. ERR_CONFIG when they are no such message, contradict themselves, or ask for what is not
 * supported. */
int spm_model_read(struct spm_model *m, const char *data, size_t n, struct err *e);
void spm_model_release(struct spm_model *m);

#endif

/* SentencePiece's normalizer: the rules of a precompiled_charsmap, white space, and the prefix. */
#ifndef HONE_TEXT_SPM_NORMALIZE_H
#define HONE_TEXT_SPM_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/spm_model.h"
#include "text/spm_trie.h"

#define SPM_SPACE "\xe2\x96\x81"  /* U+2581 stands for a space */

/* The rules of a precompiled_charsmap: a u32 of bytes, so many bytes of a double-array trie (darts-clone), and
 * NUL-terminated strings. The value of a key is where in the strings its replacement begins. */
struct spm_rules {
	const uint8_t *unit;  /* little-endian u32s, not aligned */
	size_t n_units;
	struct spm_bytes strings;
};

struct spm_normalizer {
	const struct spm_trie *user;  /* user-defined symbols, which stay as they are */
	struct spm_rules rules;
	bool add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
};

/* Borrows the model's bytes and the trie. ERR_CONFIG when the charsmap is damaged. */
int spm_normalizer_init(
	struct spm_normalizer *z, const struct spm_model *m, const struct spm_trie *user, struct err *e);

/* Appends the normalized form of n bytes of UTF-8, which is UTF-8 again; without `prefix` add_dummy_prefix does
 * not count. ERR_CONFIG when a rule leads out of the strings. */
int spm_normalize(const struct spm_normalizer *z, bool prefix, const char *text, size_t n, struct buf *out,
	struct err *e);

#endif

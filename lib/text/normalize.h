/* tokenizer.json's normalizer: NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents, and
 * Sequences of them. */
#ifndef HONE_TEXT_NORMALIZE_H
#define HONE_TEXT_NORMALIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/pattern.h"

struct normalizer;  /* immutable */

/* One thread's scratch memory; zero-initialise. */
struct normal_work {
	struct buf text[2];
	int32_t *chars;
	size_t chars_cap;
};

/* Loads a component; null (or absent) is a normalizer that does nothing. NULL and ERR_CONFIG on failure. */
struct normalizer *normalizer_load(const json_t *j, struct err *e);
void normalizer_free(struct normalizer *n);

/* Normalizes n bytes of UTF-8. The result lies in the input itself or in w, until the next call. *shifted
 * tells whether the first character left comes from behind the first character of the input. */
int normalizer_apply(const struct normalizer *nz, struct normal_work *w, struct matcher *m, const char *text,
	size_t n, const char **out, size_t *out_n, bool *shifted, struct err *e);
void normal_work_release(struct normal_work *w);

/* Appends text with each match of the pattern replaced. Also what the Replace decoder does. */
int replace_all(const struct pattern *p, struct matcher *m, const char *with, size_t with_n, const char *text,
	size_t n, struct buf *out, struct err *e);

#endif

/* Added tokens: found in the text before (or, when `normalized`, behind) the normalizer, whatever the model
 * would make of them. */
#ifndef HONE_TEXT_ADDED_H
#define HONE_TEXT_ADDED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/normalize.h"
#include "text/vocab.h"

struct added_token {
	char *content;
	size_t n;
	char *normal; /* what decoding starts from: the content, normalized if the token is; NUL-terminated */
	size_t normal_n;
	int32_t id;
	bool single_word, lstrip, rstrip, normalized, special;
};

struct added;       /* immutable */
struct added_set;   /* those that are looked for at one stage */

struct added_match {
	size_t start, end;  /* with the white space that lstrip and rstrip take */
	int32_t id;
};

/* Loads the "added_tokens" list (null and absent: none). Tokens of the model's vocabulary keep their ids;
 * others are numbered from its end on, as the tokenizers library does, and an "id" that says otherwise is
 * ERR_CONFIG. With `as_told` the "id" decides, as in the tokenizers that transformers has in Python; one that
 * the model has for another token is ERR_CONFIG. */
struct added *added_load(const json_t *list, const struct vocab *model, const struct normalizer *nz, bool as_told,
	struct err *e);
void added_free(struct added *a);

const struct added_set *added_raw(const struct added *a);         /* to find in the raw text */
const struct added_set *added_normalized(const struct added *a);  /* to find in normalized text */

/* Finds the next token from *pos on, leftmost first, then longest. `done` is the end of the match before, 0
 * at first. Moves *pos on. A match may begin before `done`, in white space that rstrip took. */
bool added_find(const struct added_set *s, const char *text, size_t n, size_t *pos, size_t done,
	struct added_match *m);

const struct added_token *added_by_id(const struct added *a, int32_t id);  /* or NULL */
int32_t added_id(const struct added *a, const char *name, size_t n);         /* or -1 */

/* Whether what decoding starts from is the content of a special token: that is what is left out. A special token that
 * the normalizer changes does not look like one any more. */
bool added_says_special(const struct added *a, const struct added_token *t);

int32_t added_max_id(const struct added *a);  /* -1 when there are none */

#endif

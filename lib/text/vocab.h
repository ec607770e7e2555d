/* A vocabulary: token strings and their ids, both ways. */
#ifndef HONE_TEXT_VOCAB_H
#define HONE_TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VOCAB_MAX_ID = 1 << 22 };  /* the largest vocabularies known have 2^18 tokens */

struct vocab_token {
	const char *text;  /* NUL-terminated; NULL when the id is not taken */
	uint32_t n;
};

struct vocab_slot {
	int32_t id;     /* -1: free */
	uint32_t hash;  /* spares a look at most tokens that are not the one */
};

struct vocab {
	struct vocab_token *token;  /* [size], by id */
	size_t size, cap;           /* one past the largest id */
	size_t count;               /* tokens there are */
	size_t longest;             /* bytes of the longest */
	struct vocab_slot *slot;    /* [mask + 1], open addressing */
	size_t mask;
	struct vocab_block *block;  /* what holds the strings */
};

/* An empty vocabulary that has room for `expected` tokens without growing. */
void vocab_init(struct vocab *v, size_t expected);
void vocab_release(struct vocab *v);

/* Adds a copy of a token. ERR_CONFIG when the id is out of range or taken, or the token has an id already. */
int vocab_add(struct vocab *v, const char *text, size_t n, int64_t id, struct err *e);

int32_t vocab_id(const struct vocab *v, const char *text, size_t n);  /* -1 when there is none */

struct vocab_key {
	const char *text;
	size_t n;
};

enum { VOCAB_BATCH = 64 };

/* The same for up to VOCAB_BATCH tokens: the memory that they need is asked for ahead, which takes a third of the time. */
void vocab_ids(const struct vocab *v, const struct vocab_key *key, size_t n, int32_t *id);

/* Asks for the memory that adding up to VOCAB_BATCH tokens will need. */
void vocab_expect(const struct vocab *v, const struct vocab_key *key, size_t n);

/* The token of an id, or NULL. */
const struct vocab_token *vocab_token(const struct vocab *v, int64_t id);

#endif

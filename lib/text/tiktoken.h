/* A tiktoken rank file: a token in base64, a space and its rank in each line. */
#ifndef HONE_TEXT_TIKTOKEN_H
#define HONE_TEXT_TIKTOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "text/bpe.h"

/* Whether n bytes begin as such a file does. */
bool tiktoken_looks_like(const char *text, size_t n);

/* Makes a BPE model of it: ids are ranks, tokens are spelled in GPT-2's byte alphabet. ERR_CONFIG on failure. */
int tiktoken_load(struct bpe *b, const char *text, size_t n, struct err *e);

/* The file does not tell its pattern; its number of ranks does. NULL when that is none of those known. */
struct tiktoken_pattern {
	size_t ranks;
	const char *name, *regex;
	bool nfc;
};

const struct tiktoken_pattern *tiktoken_pattern(size_t ranks);

#endif

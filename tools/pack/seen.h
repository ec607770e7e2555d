/* A set of 128-bit hashes: which rows have been seen. */
#ifndef HONE_PACK_SEEN_H
#define HONE_PACK_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"

/* Zero-initialise. */
struct seen {
	XXH128_hash_t *slots;  /* all zero: free */
	size_t n, cap;         /* cap a power of two */
};

/* Whether h is in the set; it is afterwards. */
bool seen_add(struct seen *s, XXH128_hash_t h);
void seen_release(struct seen *s);

#endif

/* A set of 128-bit hashes: which rows have been seen.
 *
 * It is of many small tables, told apart by the upper bits of the hash, so that none is large when it is copied into one of twice its
 * size: ten million rows are held in 270 MB and never take more on the way. */
#ifndef HONE_PACK_SEEN_H
#define HONE_PACK_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"

enum { SEEN_TABLES = 256 };

struct seen_table {
	XXH128_hash_t *slots;  /* all zero: free */
	size_t n, cap;         /* cap a power of two */
};

/* Zero-initialise. */
struct seen {
	struct seen_table table[SEEN_TABLES];
};

/* Whether h is in the set; it is afterwards. */
bool seen_add(struct seen *s, XXH128_hash_t h);
void seen_release(struct seen *s);

#endif

/* A map from 128-bit hashes to numbers: rows by what they say, groups by their prompt, classes by their label. */
#ifndef HONE_PREPARE_INDEX_H
#define HONE_PREPARE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct index_slot {
	XXH128_hash_t key;
	uint32_t value;
	uint32_t used;
};

/* Zero-initialise. */
struct index {
	struct index_slot *slot;
	size_t n, cap; /* cap a power of two */
};

/* The number of a key, which becomes `value` when the key is new. */
uint32_t index_put(struct index *x, XXH128_hash_t key, uint32_t value);
void index_release(struct index *x);

#endif

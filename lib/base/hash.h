/* XXH3-128: fingerprints of content, not authenticity (xxhash.com; `xxh128sum` prints the same digits). */
#ifndef HONE_BASE_HASH_H
#define HONE_BASE_HASH_H

#include <stddef.h>
#include <xxhash.h>

#include "base/err.h"

enum { HASH_HEX = 33 };  /* 32 hexadecimal digits and a NUL */

void hash_hex(XXH128_hash_t h, char hex[HASH_HEX]);

/* The hash of n bytes as hexadecimal digits. */
void hash_bytes(const void *p, size_t n, char hex[HASH_HEX]);

/* A state for hashing piece by piece (XXH3_128bits_update), reset; free() releases it. */
XXH3_state_t *hash_state_new(void);

/* The hash of a file's bytes: ERR_NOINPUT when it is missing. */
int hash_file(const char *path, char hex[HASH_HEX], struct err *e);

#endif

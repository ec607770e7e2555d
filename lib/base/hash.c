#include "base/hash.h"

#include <stdio.h>

void
hash_hex(XXH128_hash_t h, char hex[HASH_HEX])
{
	snprintf(hex, HASH_HEX, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void
hash_bytes(const void *p, size_t n, char hex[HASH_HEX])
{
	hash_hex(XXH3_128bits(p, n), hex);
}

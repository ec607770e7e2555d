/* The size of a state is not part of the stable interface; its own allocator can fail, and ours does not. */
#define XXH_STATIC_LINKING_ONLY
#include "base/hash.h"

#include <stdio.h>

#include "base/mem.h"

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

XXH3_state_t *
hash_state_new(void)
{
	XXH3_state_t *s = xalloc_aligned(1, sizeof *s);
	XXH3_128bits_reset(s);
	return s;
}

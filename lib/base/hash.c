/* The size of a state is not part of the stable interface; its own allocator can fail, and ours does not. */
#define XXH_STATIC_LINKING_ONLY
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* ---- files ---- */

enum { BLOCK = 1 << 20 };

static int
update(XXH3_state_t *state, int fd)
{
	uint8_t *block = xmalloc(BLOCK);
	ssize_t n;
	while ((n = read(fd, block, BLOCK)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			XXH3_128bits_update(state, block, (size_t)n);
	free(block);
	return (int)n;
}

/* Read, not mapped: a mapping of what was just written would count as memory of ours. */
int
hash_file(const char *path, char hex[HASH_HEX], struct err *e)
{
	XXH3_state_t *state = hash_state_new();
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), rc = 0;
	if (fd < 0)
		rc = err_sys(e, errno == ENOENT ? ERR_NOINPUT : ERR_IO, "cannot open '%s'", path);
	else if (update(state, fd) < 0)
		rc = err_sys(e, ERR_IO, "cannot read '%s'", path);
	hash_hex(XXH3_128bits_digest(state), hex);
	if (fd >= 0)
		close(fd);
	free(state);
	return rc;
}

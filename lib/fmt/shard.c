#include "fmt/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "fmt/le.h"

enum {
	SKIPPABLE_HEADER = 8,
	FRAME_ENTRY = 12,
	COUNTS = 4 * 8,
	MAGIC = 8,
	HASH = 16,
	TRAILER = COUNTS + MAGIC + HASH,
};

static const uint32_t skippable_magic = 0x184d2a5e;
static const char index_magic[] = "HONEIDX1";

void
shard_index_release(struct shard_index *x)
{
	free(x->frames);
	free(x->lengths);
	*x = (struct shard_index){0};
}

void
shard_index_add_frame(struct shard_index *x, struct shard_frame f)
{
	GROW(x->frames, x->frames_cap, x->n_frames + 1);
	x->frames[x->n_frames++] = f;
	x->bytes += f.bytes;
	x->raw += f.raw;
}

void
shard_index_add_length(struct shard_index *x, uint32_t tokens)
{
	GROW(x->lengths, x->lengths_cap, x->n + 1);
	x->lengths[x->n++] = tokens;
	x->tokens += tokens;
}

static void
put32(struct buf *b, uint32_t v)
{
	uint8_t p[4];
	le32_put(p, v);
	buf_append(b, p, sizeof p);
}

static void
put64(struct buf *b, uint64_t v)
{
	put32(b, (uint32_t)v);
	put32(b, (uint32_t)(v >> 32));
}

void
shard_index_encode(const struct shard_index *x, struct buf *b)
{
	put32(b, skippable_magic);
	put32(b, (uint32_t)(FRAME_ENTRY * x->n_frames + 4 * x->n + TRAILER));
	size_t payload = b->len;
	for (size_t i = 0; i < x->n_frames; i++) {
		put32(b, x->frames[i].bytes);
		put32(b, x->frames[i].raw);
		put32(b, x->frames[i].examples);
	}
	for (size_t i = 0; i < x->n; i++)
		put32(b, x->lengths[i]);
	put64(b, x->n_frames);
	put64(b, x->n);
	put64(b, x->tokens);
	put64(b, x->targets);
	buf_append(b, index_magic, MAGIC);
	XXH128_canonical_t digest;
	XXH128_canonicalFromHash(&digest, XXH3_128bits(b->data + payload, b->len - payload));
	buf_append(b, digest.digest, sizeof digest.digest);
}

/* ---- reading ---- */

int
shard_pread(int fd, const char *name, void *p, size_t n, uint64_t offset, struct err *e)
{
	for (size_t got = 0; got < n;) {
		ssize_t k = pread(fd, (char *)p + got, n - got, (off_t)(offset + got));
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, ERR_IO, "cannot read '%s'", name);
		if (k == 0)
			return err_set(e, ERR_DATA, "'%s': ends at byte %llu, within its content", name,
				(unsigned long long)(offset + got));
		got += (size_t)k;
	}
	return 0;
}

static int
damaged(const char *name, const char *what, struct err *e)
{
	return err_set(e, ERR_DATA, "'%s': %s: not a whole shard of a dataset", name, what);
}

/* The bytes of payload that the trailer promises, held against the file's size before anything is allocated. */
static int
payload_size(const uint8_t trailer[TRAILER], uint64_t size, uint64_t *out)
{
	uint64_t frames = le64_get(trailer), examples = le64_get(trailer + 8);
	if (frames > size / FRAME_ENTRY || examples > size / 4 || examples > SHARD_EXAMPLES_MAX)
		return -1;
	*out = FRAME_ENTRY * frames + 4 * examples + TRAILER;
	return *out + SKIPPABLE_HEADER <= size ? 0 : -1;
}

/* `p` is the skippable frame, its payload of n bytes behind its header. */
static int
check_frame(const uint8_t *p, uint64_t n, const char *name, struct err *e)
{
	XXH128_canonical_t digest;
	if (le32_get(p) != skippable_magic || le32_get(p + 4) != n)
		return damaged(name, "its index does not begin where it should", e);
	p += SKIPPABLE_HEADER;
	XXH128_canonicalFromHash(&digest, XXH3_128bits(p, n - HASH));
	if (memcmp(digest.digest, p + n - HASH, HASH) != 0)
		return damaged(name, "its index does not have the checksum it should", e);
	return 0;
}

/* Takes the payload, already known to be what its writer wrote, and checks what that writer claims. */
static int
decode(struct shard_index *x, const uint8_t *p, const uint8_t *trailer, uint64_t data_bytes, const char *name,
	struct err *e)
{
	uint64_t frames = le64_get(trailer), examples = le64_get(trailer + 8), in_frames = 0;
	for (uint64_t i = 0; i < frames; i++, p += FRAME_ENTRY) {
		struct shard_frame f = {le32_get(p), le32_get(p + 4), le32_get(p + 8)};
		if (f.bytes == 0 || f.examples == 0 || f.raw > SHARD_RAW_MAX ||
			f.raw < f.examples * (uint64_t)(4 + RECORD_MIN))
			return damaged(name, "its index lists a frame that cannot be", e);
		in_frames += f.examples;
		shard_index_add_frame(x, f);
	}
	for (uint64_t i = 0; i < examples; i++, p += 4) {
		uint32_t tokens = le32_get(p);
		if (tokens == 0 || tokens > EXAMPLE_MAX_TOKENS)
			return damaged(name, "its index lists an example that cannot be", e);
		shard_index_add_length(x, tokens);
	}
	x->targets = le64_get(trailer + 24);
	if (x->bytes != data_bytes || in_frames != examples || x->tokens != le64_get(trailer + 16) ||
		x->targets > x->tokens)
		return damaged(name, "its index does not add up", e);
	return 0;
}

int
shard_index_read(struct shard_index *x, int fd, const char *name, uint64_t size, struct err *e)
{
	uint8_t trailer[TRAILER];
	uint64_t n;
	if (size < SKIPPABLE_HEADER + TRAILER)
		return damaged(name, "too short", e);
	if (shard_pread(fd, name, trailer, TRAILER, size - TRAILER, e) < 0)
		return -1;
	if (memcmp(trailer + COUNTS, index_magic, MAGIC) != 0)
		return damaged(name, "it does not end with an index", e);
	if (payload_size(trailer, size, &n) < 0)
		return damaged(name, "its index is larger than the file", e);
	uint64_t whole = SKIPPABLE_HEADER + n;
	uint8_t *p = xmalloc(whole);
	int rc = shard_pread(fd, name, p, whole, size - whole, e);
	if (rc == 0)
		rc = check_frame(p, n, name, e);
	if (rc == 0)
		rc = decode(x, p + SKIPPABLE_HEADER, p + whole - TRAILER, size - whole, name, e);
	free(p);
	return rc;
}

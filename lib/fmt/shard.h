/* The index of a shard file: hone-dataset(5). Behind the zstd frames of the records stands one skippable frame:
 *
 *   u32 0x184d2a5e  u32 bytes of payload
 *   payload:  frames times    u32 compressed bytes, u32 raw bytes, u32 examples
 *             examples times  u32 tokens
 *             u64 frames  u64 examples  u64 tokens  u64 targets
 *             "HONEIDX1"
 *             XXH3-128 of the payload before it, as xxh128sum prints it
 *
 * A frame begins where the one before it ends, and the index where the last one ends; raw, a frame is whole
 * records (fmt/record.h, each with its length). */
#ifndef HONE_FMT_SHARD_H
#define HONE_FMT_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "fmt/record.h"

enum {
	SHARD_FRAME = 1 << 16,                            /* a frame is closed when it holds so many raw bytes */
	SHARD_RAW_MAX = SHARD_FRAME + 4 + RECORD_MAX,
	SHARD_EXAMPLES_MAX = 1 << 27,                     /* keeps the payload's size within 32 bits */
};

struct shard_frame {
	uint32_t bytes, raw, examples;
};

/* Zero-initialise. */
struct shard_index {
	struct shard_frame *frames;
	uint32_t *lengths;  /* tokens of each example */
	size_t n_frames, n, frames_cap, lengths_cap;
	uint64_t tokens, targets;
	uint64_t bytes, raw;  /* of all frames */
};

void shard_index_release(struct shard_index *x);
void shard_index_add_frame(struct shard_index *x, struct shard_frame f);
void shard_index_add_length(struct shard_index *x, uint32_t tokens);

/* Appends the skippable frame. */
void shard_index_encode(const struct shard_index *x, struct buf *b);

/* Reads the index of an open file of `size` bytes and checks that its sums and sizes fit each other and the
 * file. `name` is what errors call it. */
int shard_index_read(struct shard_index *x, int fd, const char *name, uint64_t size, struct err *e);

/* n bytes at `offset`; fewer are ERR_DATA. */
int shard_pread(int fd, const char *name, void *p, size_t n, uint64_t offset, struct err *e);

#endif

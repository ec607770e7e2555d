/* A dataset that is open for reading: shared by dataset_open.c and dataset_read.c. */
#ifndef HONE_FMT_DATASET_IMPL_H
#define HONE_FMT_DATASET_IMPL_H

#include <zstd.h>

#include "fmt/dataset.h"
#include "fmt/record.h"

struct dataset_shard {
	char *path;
	int fd;
	uint64_t bytes, examples;  /* as dataset.json has them */
};

/* A frame of some shard. */
struct dataset_frame {
	uint64_t offset;  /* in its shard */
	size_t first;     /* index of its first example in the dataset */
	uint32_t shard, bytes, raw, examples;
};

struct dataset {
	char *path;
	json_t *json;
	struct dataset_shard *shards;
	size_t n_shards;
	struct dataset_frame *frames;
	size_t n_frames, frames_cap;
	uint32_t *lengths;
	size_t n, lengths_cap;
	uint64_t tokens, targets;
	int64_t max_length, vocab_size;
	const char *tokenizer, *fingerprint;  /* point into json */
	struct label *labels;                 /* names point into json */
	size_t n_labels;

	/* The frame read last. */
	ZSTD_DCtx *zstd;
	const struct dataset_frame *cached;   /* NULL: none */
	uint8_t *packed, *raw;
	size_t packed_cap, raw_cap;
	uint32_t *starts;                     /* where each record's body begins in raw */
	size_t starts_cap;
	struct record record;
};

#endif

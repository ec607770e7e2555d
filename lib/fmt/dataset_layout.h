/* What the writer, the reader and the verifier of a dataset must agree on; the layout is in hone-dataset(5). */
#ifndef HONE_FMT_DATASET_LAYOUT_H
#define HONE_FMT_DATASET_LAYOUT_H

#include <jansson.h>

#include "base/hash.h"

enum {
	DATASET_VERSION = 1,
	DATASET_JSON_MAX = 1 << 26,
	SHARD_NAME = 32,
	DATASET_REALS = 15,  /* digits of a number in dataset.json: as many as always come back from a double */
};

#define DATASET_JSON "dataset.json"
#define DATASET_FORMAT "hone-dataset"

/* "shard-00007.hone.zst" */
void dataset_shard_name(size_t i, char name[SHARD_NAME]);

/* The hash over the hashes of `shards`, as dataset.json lists them. */
void dataset_shards_hash(const json_t *shards, char hex[HASH_HEX]);

/* Takes out of an object the members that are computed from the examples. */
void dataset_remove_computed(json_t *json);


#endif

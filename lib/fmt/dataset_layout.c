#include "fmt/dataset_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
dataset_shard_name(size_t i, char name[SHARD_NAME])
{
	snprintf(name, SHARD_NAME, "shard-%05zu.hone.zst", i);
}

void
dataset_shards_hash(const json_t *shards, char hex[HASH_HEX])
{
	struct buf b = {0};
	size_t i;
	const json_t *shard;
	json_array_foreach(shards, i, shard)
		buf_puts(&b, json_string_value(json_object_get(shard, "xxh128")));
	hash_bytes(b.data, b.len, hex);
	buf_release(&b);
}

void
dataset_remove_computed(json_t *json)
{
	static const char *const computed[] = {"format", "version", "examples", "tokens", "targets", "max_length",
		"shards", "labels", "fingerprint", "checksum"};
	for (size_t i = 0; i < sizeof computed / sizeof *computed; i++)
		json_object_del(json, computed[i]);
}

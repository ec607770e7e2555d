/* The tensors of a model directory: model.safetensors, or model.safetensors.index.json and its shards. */
#ifndef HONE_FMT_WEIGHTS_H
#define HONE_FMT_WEIGHTS_H

#include "base/err.h"
#include "base/hash.h"
#include "fmt/safetensors.h"

struct weights;

/* NULL and *e on failure: ERR_NOINPUT when there are none, ERR_DATA when a file is damaged. Shard names must
 * be plain base names, and every tensor of the index must be in the file that it names; tensors of a shard
 * that the index does not map to it are not seen. With both forms there, model.safetensors is read. */
struct weights *weights_open(const char *model_dir, struct err *e);
void weights_close(struct weights *w);
size_t weights_count(const struct weights *w);

/* In order of file, then of the data. */
const struct st_tensor *weights_at(const struct weights *w, size_t i);

/* NULL when absent. A name that a file's metadata calls an alias ({"absent name": "stored name"}, as
 * checkpoints with tied tensors do) gives the stored tensor. */
const struct st_tensor *weights_find(const struct weights *w, const char *name);

/* The files themselves, for a writer that keeps the sharding; `base_name` may be NULL. */
size_t weights_files(const struct weights *w);
const struct st_file *weights_file(const struct weights *w, size_t i, const char **base_name);

/* Hexadecimal digits that tell these weights from others: a hash of every tensor's name, shape and values, that neither
 * sharding nor an exact change of dtype changes (fmt/weights_hash.h). All is read when it is first asked for, about
 * 0.2 s for 1 GB that is in memory; the string lives as long as w. */
const char *weights_fingerprint(const struct weights *w);

#endif

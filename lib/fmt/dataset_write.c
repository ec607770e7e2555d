#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/provenance.h"
#include "fmt/dataset.h"
#include "fmt/dataset_layout.h"
#include "fmt/labels.h"
#include "fmt/record.h"
#include "fmt/shard.h"

enum { DEFAULT_LEVEL = 3 };
static const uint64_t default_shard_bytes = 256 << 20;

struct dataset_writer {
	struct dir_out dir;
	uint64_t shard_bytes;
	ZSTD_CCtx *zstd;
	struct buf raw;              /* the records of the open frame */
	uint32_t raw_examples;
	uint8_t *packed;
	size_t packed_cap;
	bool shard_open;
	struct out shard;
	XXH3_state_t *shard_hash;
	struct shard_index index;    /* of the open shard */
	json_t *shards;              /* of those that are done */
	uint64_t examples, tokens, targets;
	uint32_t max_length;
	int32_t max_id;
	struct labels *labels;
};

/* ---- shards ---- */

static int
open_shard(struct dataset_writer *w, struct err *e)
{
	char name[SHARD_NAME];
	dataset_shard_name(json_array_size(w->shards), name);
	char *path = path_join(w->dir.tmp, name);
	int rc = out_open(&w->shard, path, false, e);
	free(path);
	w->shard_open = rc == 0;
	XXH3_128bits_reset(w->shard_hash);
	return rc;
}

static void
put(struct dataset_writer *w, const void *p, size_t n)
{
	XXH3_128bits_update(w->shard_hash, p, n);
	out_write(&w->shard, p, n);
}

/* Compresses the records that wait as one frame of the open shard. */
static int
close_frame(struct dataset_writer *w, struct err *e)
{
	if (w->raw_examples == 0)
		return 0;
	if (!w->shard_open && open_shard(w, e) < 0)
		return -1;
	GROW(w->packed, w->packed_cap, ZSTD_compressBound(w->raw.len));
	size_t n = ZSTD_compress2(w->zstd, w->packed, w->packed_cap, w->raw.data, w->raw.len);
	if (ZSTD_isError(n))
		return err_set(e, ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation ? ERR_MEMORY : ERR_BUG,
			"cannot compress: %s", ZSTD_getErrorName(n));
	put(w, w->packed, n);
	shard_index_add_frame(&w->index,
		(struct shard_frame){(uint32_t)n, (uint32_t)w->raw.len, w->raw_examples});
	buf_clear(&w->raw);
	w->raw_examples = 0;
	return 0;
}

static int
close_shard(struct dataset_writer *w, struct err *e)
{
	if (!w->shard_open)
		return 0;
	struct buf index = {0};
	char name[SHARD_NAME], hash[HASH_HEX];
	shard_index_encode(&w->index, &index);
	put(w, index.data, index.len);
	buf_release(&index);
	hash_hex(XXH3_128bits_digest(w->shard_hash), hash);
	dataset_shard_name(json_array_size(w->shards), name);
	json_array_append_new(w->shards, json_pack("{s:s, s:I, s:I, s:I, s:s}", "file", name,
		"bytes", (json_int_t)w->shard.written, "raw_bytes", (json_int_t)w->index.raw,
		"examples", (json_int_t)w->index.n, "xxh128", hash));
	w->shard_open = false;
	shard_index_release(&w->index);
	return out_commit(&w->shard, e);
}

/* ---- the dataset ---- */

/* --force replaces a dataset, never some other directory that a slip of the hand has named. */
static int
check_replaceable(const char *path, struct err *e)
{
	char *json = path_join(path, DATASET_JSON);
	bool dataset = path_exists(json);
	free(json);
	if (!path_exists(path) || dataset)
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' is not a dataset, and only a dataset is replaced", path);
}

static bool
start_zstd(struct dataset_writer *w, int level)
{
	w->zstd = ZSTD_createCCtx();
	return w->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, level)) &&
		!ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1));
}

struct dataset_writer *
dataset_create(const char *path, const struct dataset_options *opt, struct err *e)
{
	struct dir_out dir;
	if ((opt->force && check_replaceable(path, e) < 0) || dir_open(&dir, path, opt->force, e) < 0)
		return NULL;
	struct dataset_writer *w = xcalloc(1, sizeof *w);
	w->dir = dir;
	w->shard_bytes = opt->shard_bytes ? opt->shard_bytes : default_shard_bytes;
	w->shard_hash = hash_state_new();
	w->shards = json_array();
	w->labels = labels_new();
	w->max_id = -1;
	if (start_zstd(w, opt->level ? opt->level : DEFAULT_LEVEL))
		return w;
	err_set(e, ERR_MEMORY, "out of memory for zstd at level %d", opt->level);
	dataset_abort(w);
	return NULL;
}

static void
count(struct dataset_writer *w, const struct example *x)
{
	uint32_t targets = example_targets(x);
	w->examples++;
	w->tokens += x->n;
	w->targets += targets;
	w->index.targets += targets;
	if (x->n > w->max_length)
		w->max_length = x->n;
	for (uint32_t i = 0; i < x->n; i++)
		if (x->ids[i] > w->max_id)
			w->max_id = x->ids[i];
	labels_add(w->labels, x);
}

int
dataset_add(struct dataset_writer *w, const struct example *x, struct err *e)
{
	if (record_check(x, 0, e) < 0)
		return err_prefix(e, "example %llu: ", (unsigned long long)w->examples);
	record_encode(x, &w->raw);
	w->raw_examples++;
	shard_index_add_length(&w->index, x->n);
	count(w, x);
	if (w->raw.len < SHARD_FRAME)
		return 0;
	if (close_frame(w, e) < 0)
		return -1;
	return w->shard.written < w->shard_bytes && w->index.n < SHARD_EXAMPLES_MAX / 2 ? 0 : close_shard(w, e);
}

static json_t *
describe(const struct dataset_writer *w, const json_t *info)
{
	char fingerprint[HASH_HEX];
	int64_t eos = -1;
	struct err ignored;
	json_get_int(info, "eos_token_id", 0, INT32_MAX, &eos, &ignored);
	dataset_shards_hash(w->shards, fingerprint);
	json_t *d = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:O?, s:O?, s:O, s:o, s:s}",
		"format", DATASET_FORMAT, "version", DATASET_VERSION, "examples", (json_int_t)w->examples,
		"tokens", (json_int_t)w->tokens, "targets", (json_int_t)w->targets,
		"max_length", (json_int_t)w->max_length, "tokenizer", json_object_get(info, "tokenizer"),
		"vocab_size", json_object_get(info, "vocab_size"), "shards", w->shards,
		"labels", labels_json(w->labels, eos), "fingerprint", fingerprint);

	json_t *rest = info ? json_copy((json_t *)info) : json_object();
	dataset_remove_computed(rest);
	json_object_update(d, rest);
	json_decref(rest);
	json_seal(d);
	return d;
}

static int
write_json(const struct dataset_writer *w, const json_t *info, struct err *e)
{
	json_t *d = describe(w, info);
	char *path = path_join(w->dir.tmp, DATASET_JSON);
	char *text = json_dumps(d, JSON_INDENT(2) | JSON_REAL_PRECISION(DATASET_REALS));
	struct buf b = {0};
	buf_puts(&b, text);
	buf_putc(&b, '\n');
	int rc = file_write(path, false, b.data, b.len, e);
	buf_release(&b);
	free(text);
	free(path);
	json_decref(d);
	return rc;
}

static int
check_vocabulary(const struct dataset_writer *w, const json_t *info, struct err *e)
{
	int64_t vocab_size = 0;
	if (json_get_int(info, "vocab_size", 0, INT32_MAX, &vocab_size, e) < 0)
		return -1;
	if (vocab_size && w->max_id >= vocab_size)
		return err_set(e, ERR_DATA, "token id %d is not within the vocabulary, which ends at %lld", w->max_id,
			(long long)vocab_size - 1);
	return 0;
}

static void
release(struct dataset_writer *w)
{
	ZSTD_freeCCtx(w->zstd);
	buf_release(&w->raw);
	shard_index_release(&w->index);
	free(w->packed);
	free(w->shard_hash);
	json_decref(w->shards);
	labels_free(w->labels);
	free(w);
}

int
dataset_finish(struct dataset_writer *w, const json_t *info, struct err *e)
{
	if (check_vocabulary(w, info, e) < 0 || close_frame(w, e) < 0 || close_shard(w, e) < 0 ||
		write_json(w, info, e) < 0) {
		dataset_abort(w);
		return -1;
	}
	int rc = dir_commit(&w->dir, e);
	release(w);
	return rc;
}

void
dataset_abort(struct dataset_writer *w)
{
	if (!w)
		return;
	if (w->shard_open)
		out_abort(&w->shard);
	dir_abort(&w->dir);
	release(w);
}

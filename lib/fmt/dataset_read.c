#include <assert.h>

#include "fmt/dataset_impl.h"
#include "fmt/dataset_layout.h"
#include "fmt/le.h"
#include "fmt/shard.h"

size_t
dataset_count(const struct dataset *d)
{
	return d->n;
}

uint32_t
dataset_length(const struct dataset *d, size_t i)
{
	assert(i < d->n);
	return d->lengths[i];
}

uint32_t
dataset_max_length(const struct dataset *d)
{
	return (uint32_t)d->max_length;
}

uint64_t
dataset_tokens(const struct dataset *d)
{
	return d->tokens;
}

uint64_t
dataset_targets(const struct dataset *d)
{
	return d->targets;
}

const char *
dataset_tokenizer(const struct dataset *d)
{
	return d->tokenizer;
}

int64_t
dataset_vocab_size(const struct dataset *d)
{
	return d->vocab_size;
}

const char *
dataset_fingerprint(const struct dataset *d)
{
	return d->fingerprint;
}

int32_t
dataset_eos(const struct dataset *d, int32_t dflt)
{
	const json_t *id = json_object_get(dataset_json(d), "eos_token_id");
	return json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX
		? (int32_t)json_integer_value(id)
		: dflt;
}

const json_t *
dataset_json(const struct dataset *d)
{
	return d->json;
}

json_t *
dataset_info(const struct dataset *d)
{
	json_t *info = json_deep_copy(d->json);
	dataset_remove_computed(info);
	return info;
}

const struct label *
dataset_labels(const struct dataset *d, size_t *n)
{
	*n = d->n_labels;
	return d->labels;
}

/* ---- frames ---- */

static const struct dataset_frame *
frame_of(const struct dataset *d, size_t i)
{
	size_t low = 0, high = d->n_frames;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (d->frames[mid].first <= i)
			low = mid;
		else
			high = mid;
	}
	return &d->frames[low];
}

/* Notes where each record of the frame in d->raw begins. */
static int
find_records(struct dataset *d, const struct dataset_frame *f, struct err *e)
{
	uint32_t at = 0;
	GROW(d->starts, d->starts_cap, (size_t)f->examples + 1);
	for (uint32_t i = 0; i < f->examples; i++) {
		if (f->raw - at < 4 || f->raw - at - 4 < le32_get(d->raw + at))
			return err_set(e, ERR_DATA, "record %u of %u ends behind the frame", i, f->examples);
		d->starts[i] = at + 4;
		at += 4 + le32_get(d->raw + at);
	}
	d->starts[f->examples] = at + 4;
	return at == f->raw ? 0 : err_set(e, ERR_DATA, "the frame holds more than its %u records", f->examples);
}

/* Decompresses what was read into d->packed. */
static int
unpack(struct dataset *d, const struct dataset_frame *f, struct err *e)
{
	/* The frame tells its size too; only when it agrees with the index is memory taken for it. */
	if (ZSTD_getFrameContentSize(d->packed, f->bytes) != f->raw)
		return err_set(e, ERR_DATA, "not a zstd frame of %u bytes", f->raw);
	GROW(d->raw, d->raw_cap, f->raw);
	size_t n = ZSTD_decompressDCtx(d->zstd, d->raw, f->raw, d->packed, f->bytes);
	if (ZSTD_isError(n) || n != f->raw)
		return err_set(e, ERR_DATA, "cannot decompress: %s",
			ZSTD_isError(n) ? ZSTD_getErrorName(n) : "too short");
	return find_records(d, f, e);
}

static int
load_frame(struct dataset *d, const struct dataset_frame *f, struct err *e)
{
	if (d->cached == f)
		return 0;
	const struct dataset_shard *s = &d->shards[f->shard];
	d->cached = NULL;
	GROW(d->packed, d->packed_cap, f->bytes);
	if (shard_pread(s->fd, s->path, d->packed, f->bytes, f->offset, e) < 0)
		return -1;
	if (unpack(d, f, e) < 0)
		return err_prefix(e, "'%s': frame at byte %llu: ", s->path, (unsigned long long)f->offset);
	d->cached = f;
	return 0;
}

int
dataset_read(struct dataset *d, size_t i, struct example *x, struct err *e)
{
	assert(i < d->n);
	const struct dataset_frame *f = frame_of(d, i);
	if (load_frame(d, f, e) < 0)
		return -1;
	const uint32_t *start = &d->starts[i - f->first];
	int rc = record_decode(&d->record, d->raw + start[0], start[1] - 4 - start[0], d->vocab_size, x, e);
	if (rc == 0 && x->n != d->lengths[i])
		rc = err_set(e, ERR_DATA, "it has %u tokens, the index says %u", x->n, d->lengths[i]);
	return rc < 0 ? err_prefix(e, "'%s': example %zu: ", d->shards[f->shard].path, i) : 0;
}

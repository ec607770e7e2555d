#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir_kind.h"
#include "base/dir_read.h"
#include "base/json.h"
#include "base/provenance.h"
#include "fmt/dataset_impl.h"
#include "fmt/dataset_layout.h"
#include "fmt/labels.h"
#include "fmt/shard.h"

/* ---- dataset.json ---- */

static int
differs(const char *what, uint64_t told, uint64_t found, struct err *e)
{
	return err_set(e, ERR_DATA, DATASET_JSON " says %llu %s, the shards hold %llu", (unsigned long long)told, what,
		(unsigned long long)found);
}

static int
require_int(const json_t *o, const char *key, int64_t max, int64_t *out, struct err *e)
{
	*out = -1;
	if (json_get_int(o, key, 0, max, out, e) < 0)
		return -1;
	return *out < 0 ? err_set(e, ERR_DATA, "'%s' is missing", key) : 0;
}

static int
require_string(const json_t *o, const char *key, const char **out, struct err *e)
{
	*out = NULL;
	if (json_get_string(o, key, out, e) < 0)
		return -1;
	return *out ? 0 : err_set(e, ERR_DATA, "'%s' is missing", key);
}

static int
check_format(const json_t *j, struct err *e)
{
	const char *format, *checksum;
	char found[HASH_HEX];
	int64_t version;
	if (!json_is_object(j))
		return err_set(e, ERR_DATA, "it is not a JSON object");
	if (require_string(j, "format", &format, e) < 0 || require_int(j, "version", INT32_MAX, &version, e) < 0 ||
		require_string(j, "checksum", &checksum, e) < 0)
		return -1;
	if (strcmp(format, DATASET_FORMAT) != 0)
		return err_set(e, ERR_DATA, "its format is '%s', not '" DATASET_FORMAT "'", format);
	if (version != DATASET_VERSION)
		return err_set(e, ERR_DATA, "its version is %lld; %d is known here", (long long)version,
			DATASET_VERSION);
	json_checksum(j, found);
	if (strcmp(found, checksum) != 0)
		return err_set(e, ERR_DATA, "damaged or changed by hand: its checksum is %s, not %s", found, checksum);
	return 0;
}

static int
read_label_ids(const json_t *ids, struct label *label, struct err *e)
{
	size_t n = json_array_size(ids), i;
	const json_t *v;
	if (n == 0 || n > LABEL_TOKENS_MAX)
		return err_set(e, ERR_DATA, "label '%s': 'ids' is not a list of 1 to %d tokens", label->name,
			LABEL_TOKENS_MAX);
	int32_t *out = xreallocarray(NULL, n, sizeof *out);
	label->ids = out;
	label->n_ids = (uint32_t)n;
	json_array_foreach(ids, i, v) {
		json_int_t id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id > INT32_MAX)
			return err_set(e, ERR_DATA, "label '%s': 'ids'[%zu] is not a token id", label->name, i);
		out[i] = (int32_t)id;
	}
	return 0;
}

static int
read_labels(struct dataset *d, struct err *e)
{
	const json_t *table = json_object_get(d->json, "labels"), *v;
	size_t i, n = json_array_size(table);
	if (!table || json_is_null(table))
		return 0;
	if (n == 0 || n > LABELS_MAX)
		return err_set(e, ERR_DATA, "'labels' is not a list of 1 to %d labels", LABELS_MAX);
	d->labels = xcalloc(n, sizeof *d->labels);
	d->n_labels = n;
	json_array_foreach(table, i, v) {
		struct label *label = &d->labels[i];
		int64_t count;
		if (require_string(v, "name", &label->name, e) < 0 ||
			require_int(v, "count", INT64_MAX, &count, e) < 0 ||
			read_label_ids(json_object_get(v, "ids"), label, e) < 0)
			return err_prefix(e, "'labels'[%zu]: ", i);
		label->count = (uint64_t)count;
		if (i && strcmp(label[-1].name, label->name) >= 0)
			return err_set(e, ERR_DATA, "'labels' are not in the order of their names");
	}
	return 0;
}

/* A shard's file is named outright, so that a changed dataset.json cannot lead out of the directory. */
static int
read_shard(struct dataset *d, size_t i, const json_t *v, struct err *e)
{
	const char *file, *hash;
	char name[SHARD_NAME];
	int64_t bytes, examples;
	if (require_string(v, "file", &file, e) < 0 || require_int(v, "bytes", INT64_MAX, &bytes, e) < 0 ||
		require_int(v, "examples", INT64_MAX, &examples, e) < 0 || require_string(v, "xxh128", &hash, e) < 0)
		return -1;
	dataset_shard_name(i, name);
	if (strcmp(file, name) != 0)
		return err_set(e, ERR_DATA, "'file' is '%s', not '%s'", file, name);
	if (strlen(hash) != HASH_HEX - 1)
		return err_set(e, ERR_DATA, "'xxh128' is not a hash");
	d->shards[i] = (struct dataset_shard){path_join(d->path, name), -1, (uint64_t)bytes, (uint64_t)examples};
	return 0;
}

static int
read_shards(struct dataset *d, struct err *e)
{
	const json_t *shards = json_object_get(d->json, "shards"), *v;
	char hash[HASH_HEX];
	size_t i;
	if (!json_is_array(shards) || json_array_size(shards) > UINT32_MAX)
		return err_set(e, ERR_DATA, "'shards' is not a list");
	d->shards = xcalloc(json_array_size(shards), sizeof *d->shards);
	json_array_foreach(shards, i, v) {
		if (read_shard(d, i, v, e) < 0)
			return err_prefix(e, "'shards'[%zu]: ", i);
		d->n_shards++;
	}
	dataset_shards_hash(shards, hash);
	if (strcmp(hash, d->fingerprint) != 0)
		return err_set(e, ERR_DATA, "'fingerprint' is %s, and that of the shards listed is %s", d->fingerprint,
			hash);
	return 0;
}

static int
read_json(struct dataset *d, struct err *e)
{
	if (check_format(d->json, e) < 0 || json_get_string(d->json, "tokenizer", &d->tokenizer, e) < 0 ||
		json_get_int(d->json, "vocab_size", 0, INT32_MAX, &d->vocab_size, e) < 0 ||
		require_int(d->json, "max_length", EXAMPLE_MAX_TOKENS, &d->max_length, e) < 0 ||
		require_string(d->json, "fingerprint", &d->fingerprint, e) < 0)
		return -1;
	return read_labels(d, e) < 0 ? -1 : read_shards(d, e);
}

/* ---- shards ---- */

static int
open_shard(struct dataset_shard *s, struct err *e)
{
	struct stat st;
	s->fd = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);  /* a pipe is refused, not waited for */
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return err_sys(e, ERR_NOINPUT, "cannot open '%s'", s->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_NOINPUT, "'%s' is not a regular file", s->path);
	if ((uint64_t)st.st_size != s->bytes)
		return err_set(e, ERR_DATA, "'%s': it has %lld bytes, " DATASET_JSON " says %llu", s->path,
			(long long)st.st_size, (unsigned long long)s->bytes);
	return 0;
}

static void
add_index(struct dataset *d, uint32_t shard, const struct shard_index *x)
{
	uint64_t offset = 0;
	size_t first = d->n;
	GROW(d->frames, d->frames_cap, d->n_frames + x->n_frames);
	GROW(d->lengths, d->lengths_cap, d->n + x->n);
	for (size_t i = 0; i < x->n_frames; i++) {
		const struct shard_frame *f = &x->frames[i];
		d->frames[d->n_frames++] = (struct dataset_frame){offset, first, shard, f->bytes, f->raw, f->examples};
		offset += f->bytes;
		first += f->examples;
	}
	if (x->n)
		memcpy(d->lengths + d->n, x->lengths, x->n * sizeof *x->lengths);
	d->n += x->n;
	d->tokens += x->tokens;
	d->targets += x->targets;
}

static int
open_shards(struct dataset *d, struct err *e)
{
	for (size_t i = 0; i < d->n_shards; i++) {
		struct dataset_shard *s = &d->shards[i];
		struct shard_index x = {0};
		int rc = open_shard(s, e);
		if (rc == 0)
			rc = shard_index_read(&x, s->fd, s->path, s->bytes, e);
		if (rc == 0 && x.n != s->examples) {
			rc = differs("examples", s->examples, x.n, e);
			err_prefix(e, "'%s': ", s->path);
		}
		if (rc == 0)
			add_index(d, (uint32_t)i, &x);
		shard_index_release(&x);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
check_totals(const struct dataset *d, struct err *e)
{
	int64_t examples, tokens, targets;
	uint32_t max_length = 0;
	if (require_int(d->json, "examples", INT64_MAX, &examples, e) < 0 ||
		require_int(d->json, "tokens", INT64_MAX, &tokens, e) < 0 ||
		require_int(d->json, "targets", INT64_MAX, &targets, e) < 0)
		return -1;
	for (size_t i = 0; i < d->n; i++)
		if (d->lengths[i] > max_length)
			max_length = d->lengths[i];
	if ((uint64_t)examples != d->n)
		return differs("examples", (uint64_t)examples, d->n, e);
	if ((uint64_t)tokens != d->tokens)
		return differs("tokens", (uint64_t)tokens, d->tokens, e);
	if ((uint64_t)targets != d->targets)
		return differs("targets", (uint64_t)targets, d->targets, e);
	if (d->max_length != max_length)
		return differs("tokens in the longest example", (uint64_t)d->max_length, max_length, e);
	return 0;
}

/* ---- the dataset ---- */

static int
load(struct dataset *d, struct err *e)
{
	if (dir_check(d->path, DIR_DATASET, e) < 0)
		return -1;
	char *path = path_join(d->path, DATASET_JSON);
	int rc = -1;
	d->json = json_read_file(path, DATASET_JSON_MAX, e);
	if (d->json && (rc = read_json(d, e)) < 0) {
		e->code = ERR_DATA;
		err_prefix(e, "'%s': ", path);
	}
	free(path);
	if (rc == 0)
		rc = open_shards(d, e);
	if (rc == 0 && (rc = check_totals(d, e)) < 0) {
		e->code = ERR_DATA;
		err_prefix(e, "'%s': ", d->path);
	}
	return rc;
}

struct opening {
	struct dataset *d;
	const char *path;
};

static int
open_files(void *ctx, struct err *e)
{
	struct opening *o = ctx;
	struct dataset *d = o->d = xcalloc(1, sizeof *d);
	d->path = xstrdup(o->path);
	d->zstd = ZSTD_createDCtx();
	if (!d->zstd)
		err_set(e, ERR_MEMORY, "out of memory for zstd");
	else if (load(d, e) == 0)
		return 0;
	dataset_close(d);
	return -1;
}

static void
close_files(void *ctx)
{
	dataset_close(((struct opening *)ctx)->d);
}

struct dataset *
dataset_open(const char *path, struct err *e)
{
	struct opening o = {.path = path};
	return dir_read(path, open_files, close_files, &o, e) == 0 ? o.d : NULL;
}

void
dataset_close(struct dataset *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n_shards; i++) {
		if (d->shards[i].fd >= 0)
			close(d->shards[i].fd);
		free(d->shards[i].path);
	}
	for (size_t i = 0; i < d->n_labels; i++)
		free((void *)d->labels[i].ids);
	json_decref(d->json);
	free(d->shards);
	free(d->frames);
	free(d->lengths);
	free(d->labels);
	ZSTD_freeDCtx(d->zstd);
	free(d->packed);
	free(d->raw);
	free(d->starts);
	record_release(&d->record);
	free(d->path);
	free(d);
}

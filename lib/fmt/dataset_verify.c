#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "fmt/dataset_impl.h"
#include "fmt/dataset_layout.h"
#include "fmt/labels.h"

static int
verify_shard(const struct dataset *d, size_t i, struct err *e)
{
	const json_t *entry = json_array_get(json_object_get(d->json, "shards"), i);
	const char *want = json_string_value(json_object_get(entry, "xxh128"));
	char found[HASH_HEX];
	struct map m;
	if (map_open(&m, d->shards[i].path, e) < 0)
		return -1;
	hash_bytes(m.data, m.size, found);
	map_close(&m);
	if (strcmp(found, want) == 0)
		return 0;
	return err_set(e, ERR_NO, "'%s': its hash is %s, " DATASET_JSON " says %s", d->shards[i].path, found, want);
}

/* Reads every example and counts again what dataset.json and the indexes claim. */
static int
verify_examples(struct dataset *d, struct labels *labels, const struct watch *watch, struct err *e)
{
	uint64_t targets = 0;
	for (size_t i = 0; i < d->n; i++) {
		struct example x;
		if (dataset_read(d, i, &x, e) < 0)
			return -1;
		targets += example_targets(&x);
		labels_add(labels, &x);
		if (watch)
			watch_tell(watch, i + 1, d->n);
	}
	if (targets != d->targets)
		return err_set(e, ERR_NO, "'%s': its examples have %llu targets, the indexes say %llu", d->path,
			(unsigned long long)targets, (unsigned long long)d->targets);
	return 0;
}

static int
verify_labels(const struct dataset *d, const struct labels *labels, struct err *e)
{
	int64_t eos = -1;
	struct err ignored;
	json_get_int(d->json, "eos_token_id", 0, INT32_MAX, &eos, &ignored);
	json_t *table = labels_json(labels, eos), *told = json_object_get(d->json, "labels");
	bool same = json_equal(table, told) || (json_is_null(table) && !told);
	json_decref(table);
	return same ? 0 : err_set(e, ERR_NO, "'%s': the label table is not that of its examples", d->path);
}

int
dataset_verify(const char *path, const struct watch *watch, struct err *e)
{
	struct dataset *d = dataset_open(path, e);
	struct labels *labels = labels_new();
	int rc = d ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < d->n_shards; i++)
		rc = verify_shard(d, i, e);
	if (rc == 0)
		rc = verify_examples(d, labels, watch, e);
	if (rc == 0)
		rc = verify_labels(d, labels, e);
	if (rc < 0 && e->code == ERR_DATA)
		e->code = ERR_NO;
	labels_free(labels);
	dataset_close(d);
	return rc;
}

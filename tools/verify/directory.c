/* Directories that stand by themselves: datasets, checkpoints, adapters, models. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/provenance.h"
#include "fmt/adapter.h"
#include "fmt/dataset.h"
#include "fmt/manifest.h"
#include "fmt/weights.h"
#include "verify.h"

enum { JSON_MAX = 1 << 24 };

/* Checks the hashes that a directory has, if it has any; its provenance is taken from the file that they cover. */
static int
check_manifest(struct thing *t, struct err *e)
{
	char *path = path_join(t->path, PROVENANCE_FILE);
	int rc = 0;
	if (manifest_exists(t->path)) {
		t->hashes = manifest_check(t->path, NULL, e);
		rc = t->hashes < 0 ? -1 : 0;
	} else if (path_exists(path)) {
		rc = err_set(e, ERR_DATA, "'%s' is there, and " MANIFEST " is missing", path);
	}
	json_t *p = rc == 0 && path_exists(path) ? json_read_file(path, JSON_MAX, e) : NULL;
	if (rc == 0 && path_exists(path) && !p)
		rc = -1;
	thing_from(t, p);
	json_decref(p);
	free(path);
	return rc;
}

int
verify_dataset(struct thing *t, struct err *e)
{
	t->kind = "dataset";
	if (dataset_verify(t->path, NULL, e) < 0)
		return -1;
	struct dataset *d = dataset_open(t->path, e);
	if (!d)
		return -1;
	t->hashes = 1 + (long)json_array_size(json_object_get(dataset_json(d), "shards"));
	buf_printf(&t->detail, "%zu examples", dataset_count(d));
	thing_from(t, json_object_get(dataset_json(d), "provenance"));
	dataset_close(d);
	return 0;
}

static int
check_safetensors(const char *dir, const char *name, struct err *e)
{
	char *path = path_join(dir, name);
	struct st_file *f = path_exists(path) ? st_open(path, e) : NULL;
	int rc = !path_exists(path) || f ? 0 : -1;
	st_close(f);
	free(path);
	return rc;
}

int
verify_checkpoint(struct thing *t, struct err *e)
{
	t->kind = "checkpoint";
	if (!manifest_exists(t->path))
		return err_set(e, ERR_DATA, "'%s' has no " MANIFEST ": the checkpoint is not whole", t->path);
	if (check_manifest(t, e) < 0)
		return -1;
	return check_safetensors(t->path, "optimizer.safetensors", e);
}

int
verify_adapter(struct thing *t, struct err *e)
{
	struct adapter a;
	t->kind = "adapter";
	if (check_manifest(t, e) < 0 || adapter_open(&a, t->path, e) < 0)
		return -1;
	const char *base = st_metadata(a.file, ADAPTER_BASE_KEY);
	buf_printf(&t->detail, "r %d, %zu modules", a.config.r, a.n_modules);
	if (base)
		buf_printf(&t->detail, ", of base %s", base);
	adapter_close(&a);
	return 0;
}

static int
read_config(const char *dir, struct err *e)
{
	char *path = path_join(dir, "config.json");
	json_t *config = json_read_file(path, JSON_MAX, e);
	int rc = config ? 0 : -1;
	json_decref(config);
	free(path);
	return rc;
}

/* Configuration and tokenizer alone are what a model starts from scratch from. */
static bool
has_weights(const char *dir)
{
	static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"};
	bool found = false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = path_join(dir, names[i]);
		found = found || path_exists(path);
		free(path);
	}
	return found;
}

int
verify_model(struct thing *t, struct err *e)
{
	t->kind = "model";
	if (check_manifest(t, e) < 0 || read_config(t->path, e) < 0)
		return -1;
	if (!has_weights(t->path)) {
		buf_puts(&t->detail, "without weights");
		return 0;
	}
	struct weights *w = weights_open(t->path, e);
	if (!w)
		return -1;
	buf_printf(&t->detail, "%zu tensors", weights_count(w));
	weights_close(w);
	return 0;
}

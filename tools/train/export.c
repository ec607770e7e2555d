/* What other programs load: a PEFT adapter, or a Hub model directory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/provenance.h"
#include "fmt/manifest.h"
#include "math/vector.h"
#include "model/lora.h"
#include "train.h"

const char *
export_weights_name(const struct run *r)
{
	return r->full ? "model.safetensors" : "adapter_model.safetensors";
}

bool
export_as_stored(const struct run *r)
{
	return r->full && !r->set->from_scratch && strcmp(r->set->dtype, "float32") != 0;
}

/* A gradient that is finite can still carry a weight out of range; such weights go nowhere. */
static int
check_finite(const struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->model.n_trained; i++) {
		const struct param *p = r->model.trained[i];
		if (!isfinite(vec_sum_squares(p->value, param_size(p))))
			return err_set(e, ERR_DATA, "diverged by step %lld: '%s' is no longer finite, so it is not saved; what was saved "
				"before is intact; try a lower --learning-rate", (long long)r->step, p->name);
	}
	return 0;
}

static int
write_provenance(const struct run *r, const char *dir, struct err *e)
{
	json_t *p = identity_provenance(r);
	int rc = provenance_write(p, dir, e);
	json_decref(p);
	return rc;
}

int
export_model(const struct run *r, const char *dir, bool exact, struct err *e)
{
	if (check_finite(r, e) < 0 || write_provenance(r, dir, e) < 0)
		return -1;
	if (!r->full) {
		if (lora_save(&r->model, &r->adapter, dir, e) < 0)
			return -1;
		return model_copy_tokenizer(r->model_dir, dir, e);
	}
	bool as_stored = !exact && export_as_stored(r);
	if (model_save_weights(&r->model, dir, as_stored, ST_F32, e) < 0)
		return -1;
	return model_copy_config(r->model_dir, dir, as_stored ? NULL : "float32", e);
}

static int
commit(struct dir_out *d, int rc, struct err *e)
{
	if (rc == 0)
		return dir_commit(d, e);
	dir_abort(d);
	return rc;
}

int
export_publish(struct run *r, const char *name, struct err *e)
{
	char *path = rundir_path(r, name);
	struct dir_out d;
	int rc = dir_open(&d, path, true, e);
	progress_start(&r->files, "saving", "B", 0);
	if (rc == 0)
		rc = commit(&d, export_model(r, d.tmp, false, e) < 0 ? -1 : manifest_write(d.tmp, NULL, NULL, e), e);
	progress_end(&r->files);
	free(path);
	return rc;
}

static int
copy_files(const char *from, const char *to, struct err *e)
{
	char **names = dir_names(from, NULL, e);
	int rc = names ? 0 : -1;
	for (size_t i = 0; rc == 0 && names[i]; i++) {
		if (names[i][0] == '.')
			continue;
		char *a = path_join(from, names[i]), *b = path_join(to, names[i]);
		rc = file_copy(a, b, true, e);
		free(a);
		free(b);
	}
	names_free(names);
	return rc;
}

int
export_best_as_final(const struct run *r, struct err *e)
{
	char *from = rundir_path(r, "best"), *to = rundir_path(r, "final");
	struct dir_out d;
	int rc = dir_open(&d, to, true, e);
	if (rc == 0)
		rc = commit(&d, copy_files(from, d.tmp, e), e);
	free(from);
	free(to);
	return rc;
}

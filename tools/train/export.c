/* What other programs load: a PEFT adapter, or a Hub model directory. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
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

int
export_model(const struct run *r, const char *dir, bool exact, struct err *e)
{
	if (check_finite(r, e) < 0)
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
		rc = commit(&d, export_model(r, d.tmp, false, e), e);
	progress_end(&r->files);
	free(path);
	return rc;
}

static int
copy_files(const char *from, const char *to, struct err *e)
{
	DIR *d = opendir(from);
	if (!d)
		return err_sys(e, ERR_IO, "cannot read '%s'", from);
	int rc = 0;
	for (struct dirent *ent; rc == 0 && (ent = readdir(d));) {
		if (ent->d_name[0] == '.')
			continue;
		char *a = path_join(from, ent->d_name), *b = path_join(to, ent->d_name);
		rc = file_copy(a, b, true, e);
		free(a);
		free(b);
	}
	closedir(d);
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

/* Whether the disk has room for what the run will write: told before the first step, not hours later. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "train.h"

/* Files that go with every export: tokenizer and configuration, and what headers and manifests add. */
static double
small_files(const char *dir)
{
	double bytes = 1 << 16;
	struct err ignored;
	char **names = dir_names(dir, NULL, &ignored);
	for (size_t i = 0; names && names[i]; i++) {
		struct stat st;
		const char *dot = strrchr(names[i], '.');
		char *path = path_join(dir, names[i]);
		bool weights = dot && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".bin") == 0);
		if (!weights && names[i][0] != '.' && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < 1 << 26)
			bytes += (double)st.st_size;
		free(path);
	}
	names_free(names);
	return bytes;
}

static double
weight_bytes(const struct run *r, bool as_stored)
{
	double bytes = 0;
	if (!r->full)
		return 4.0 * (double)model_trained_parameters(&r->model);
	for (size_t i = 0; i < r->model.n_params; i++) {
		const struct param *p = &r->model.param[i];
		bytes += (double)param_size(p) * (double)(as_stored ? st_dtype_size(p->stored) : sizeof(float));
	}
	return bytes;
}

static bool
has(const struct run *r, const char *name)
{
	char *path = rundir_path(r, name);
	bool yes = path_exists(path);
	free(path);
	return yes;
}

/* While one checkpoint is written, all that are kept are still there; so it is with best/, which is replaced. What an
 * earlier part of the run wrote has its room already. */
int
space_check(const struct run *r, struct err *e)
{
	struct statvfs fs;
	if (statvfs(r->set->run, &fs) < 0)
		return 0;
	double files = small_files(r->model_dir), export = weight_bytes(r, export_as_stored(r)) + files;
	double checkpoint = weight_bytes(r, false) + (double)r->optimizer.memory.size + files;
	bool every = strcmp(r->set->save_strategy, "no") != 0;
	size_t kept = every ? (size_t)r->set->save_total_limit + 1 : 1, there = checkpoint_count(r);
	size_t checkpoints = kept > there ? kept - there : 1, exports = 1 + (r->valid ? 2 - has(r, "best") : 0);
	double room = (double)fs.f_bavail * (double)fs.f_frsize, need = (double)checkpoints * checkpoint + (double)exports * export;
	if (room >= need)
		return 0;
	return err_set(e, ERR_IO, "'%s' has room for %.1f MB, and the run will write %.1f MB: %zu checkpoints of %.1f MB, and %zu "
		"times %.1f MB for 'final'%s; make room, lower --save-total-limit, or name another -o", r->set->run, room / 1e6,
		need / 1e6, checkpoints, checkpoint / 1e6, exports, export / 1e6, r->valid ? " and 'best'" : "");
}

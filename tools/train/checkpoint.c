/* Checkpoints. A checkpoint directory is a model that other tools load (an adapter, or a Hub model in fp32) with three
 * files more: optimizer.safetensors, the moments; state.json, the position; manifest.xxh128, a hash of every file. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "fmt/manifest.h"
#include "model/lora.h"
#include "train.h"

static const char moments_name[] = "optimizer.safetensors";

/* ---- the optimiser's moments ---- */

/* Moment k of all, and the parameter that it is of; NULL where the optimiser keeps none. */
static const struct moment *
moment_at(const struct run *r, size_t k, const struct param **p)
{
	const struct moment *m = &r->optimizer.moment[k / MOMENTS][k % MOMENTS];
	*p = r->model.trained[k / MOMENTS];
	return m->name ? m : NULL;
}

static struct st_tensor
declare(const struct moment *m, const struct param *p)
{
	struct st_tensor t = {.name = xasprintf("%s.%s", p->name, m->name), .dtype = m->dtype, .rank = 1, .shape = {(int64_t)m->n}};
	if (m->as_param) {
		t.rank = p->rank;
		t.shape[0] = p->rows;
		t.shape[1] = p->columns;
	}
	return t;
}

static size_t
moment_bytes(const struct moment *m)
{
	return m->n * (m->dtype == ST_U8 ? 1 : sizeof(float));
}

static int
save_moments(const struct run *r, const char *dir, struct err *e)
{
	size_t all = r->model.n_trained * MOMENTS, n = 0;
	struct st_tensor *decl = xcalloc(all, sizeof *decl);
	const struct moment *m;
	const struct param *p;
	for (size_t k = 0; k < all; k++)
		if ((m = moment_at(r, k, &p)))
			decl[n++] = declare(m, p);
	char *path = path_join(dir, moments_name);
	struct st_writer *w = st_create(path, true, decl, n, e);
	if (w)
		st_watch(w, &r->model.watch);
	for (size_t k = 0; w && k < all; k++)
		if ((m = moment_at(r, k, &p)))
			st_write(w, m->data, moment_bytes(m));
	int rc = w ? st_finish(w, e) : -1;
	for (size_t i = 0; i < n; i++)
		free((char *)decl[i].name);
	free(decl);
	free(path);
	return rc;
}

static const struct st_tensor *
find(const struct st_file *f, const char *name, enum st_dtype dtype, size_t n, struct err *e)
{
	const struct st_tensor *t = st_find(f, name);
	if (t && t->dtype == dtype && (size_t)st_elements(t) == n)
		return t;
	err_set(e, ERR_DATA, "tensor '%s' is missing or has another size", name);
	return NULL;
}

static int
load_moments(struct run *r, const struct st_file *f, struct err *e)
{
	const struct moment *m;
	const struct param *p;
	for (size_t k = 0; k < r->model.n_trained * MOMENTS; k++) {
		if (!(m = moment_at(r, k, &p)))
			continue;
		char *key = xasprintf("%s.%s", p->name, m->name);
		const struct st_tensor *t = find(f, key, m->dtype, m->n, e);
		free(key);
		if (!t)
			return -1;
		memcpy(m->data, t->data, moment_bytes(m));
	}
	return 0;
}

static int
load_values(struct run *r, const struct st_file *f, struct err *e)
{
	for (size_t i = 0; i < r->model.n_trained; i++) {
		struct param *p = r->model.trained[i];
		char *key = r->full ? xstrdup(p->name) : lora_key(&r->model, p);
		const struct st_tensor *t = find(f, key, ST_F32, param_size(p), e);
		free(key);
		if (!t)
			return -1;
		st_to_f32(t, 0, param_size(p), p->value);
	}
	lora_refresh(&r->model);
	return 0;
}

/* ---- the checkpoints that there are ---- */

/* The steps of the checkpoints in the run directory, ascending, *n of them, in *steps, new. */
static int
list_checkpoints(const struct run *r, int64_t **steps, size_t *n, struct err *e)
{
	size_t cap = 0;
	char **names = dir_names(r->set->run, NULL, e);
	*steps = NULL;
	*n = 0;
	for (size_t k = 0; names && names[k]; k++) {
		long long step;
		int used = 0;
		if (sscanf(names[k], "checkpoint-%lld%n", &step, &used) != 1 || names[k][used] || step < 0)
			continue;
		GROW(*steps, cap, *n + 1);
		size_t i = (*n)++;
		for (; i > 0 && (*steps)[i - 1] > step; i--)
			(*steps)[i] = (*steps)[i - 1];
		(*steps)[i] = step;
	}
	int rc = names ? 0 : -1;
	names_free(names);
	return rc;
}

size_t
checkpoint_count(const struct run *r)
{
	struct err ignored;
	int64_t *steps;
	size_t n;
	list_checkpoints(r, &steps, &n, &ignored);
	free(steps);
	return n;
}

static char *
checkpoint_path(const struct run *r, int64_t step)
{
	return xasprintf("%s/checkpoint-%lld", r->set->run, (long long)step);
}

static int
remove_oldest(const struct run *r, struct err *e)
{
	size_t n;
	int64_t *steps;
	int rc = list_checkpoints(r, &steps, &n, e);
	for (size_t i = 0; rc == 0 && i + (size_t)r->set->save_total_limit < n; i++) {
		char *path = checkpoint_path(r, steps[i]);
		rc = path_discard(path, e);
		free(path);
	}
	free(steps);
	return rc;
}

/* ---- saving ---- */

static int
write_all(const struct run *r, const char *dir, struct err *e)
{
	if (export_model(r, dir, true, e) < 0 || save_moments(r, dir, e) < 0 || state_write(r, dir, e) < 0)
		return -1;
	return manifest_write(dir, NULL, NULL, e);
}

int
checkpoint_save(struct run *r, struct err *e)
{
	char *path = checkpoint_path(r, r->step);
	struct dir_out d;
	int rc = rundir_sync(r, e);
	progress_start(&r->files, "saving", "B", 0);
	if (rc == 0)
		rc = dir_open(&d, path, true, e);
	if (rc == 0) {
		rc = write_all(r, d.tmp, e);
		if (rc == 0)
			rc = dir_commit(&d, e);
		else
			dir_abort(&d);
	}
	progress_end(&r->files);
	if (rc == 0)
		log_detail("wrote '%s'", path);
	free(path);
	return rc < 0 ? rc : remove_oldest(r, e);
}

/* ---- resuming ---- */

static int
load_file(struct run *r, const char *dir, const char *name, int (*load)(struct run *, const struct st_file *, struct err *),
	struct err *e)
{
	char *path = path_join(dir, name);
	struct st_file *f = st_open(path, e);
	int rc = f ? load(r, f, e) : -1;
	if (f)
		st_close(f);
	if (f && rc < 0)
		err_prefix(e, "'%s': ", path);
	free(path);
	return rc;
}

int
checkpoint_resume(struct run *r, struct err *e)
{
	size_t n;
	int64_t *steps;
	int rc = list_checkpoints(r, &steps, &n, e);
	if (rc == 0 && n > 0) {
		char *dir = checkpoint_path(r, steps[n - 1]);
		rc = manifest_check(dir, NULL, e) < 0 ? -1 : 0;
		if (rc == 0)
			rc = state_read(r, dir, e);
		if (rc == 0)
			rc = load_file(r, dir, export_weights_name(r), load_values, e);
		if (rc == 0)
			rc = load_file(r, dir, moments_name, load_moments, e);
		if (rc < 0)
			err_prefix(e, "cannot resume (remove the checkpoint to go back to the one before): ");
		free(dir);
	}
	free(steps);
	if (rc == 0 && n > 0)  /* it may have been killed before it could */
		rc = remove_oldest(r, e);
	return rc < 0 ? rc : n > 0;
}

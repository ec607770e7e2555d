/* Checkpoints. A checkpoint directory is a model that other tools load (an adapter, or a Hub model in fp32) with two
 * files more: optimizer.safetensors, the moments, and state.json, the position and a hash of every file. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/lora.h"
#include "train.h"

static const char prefix[] = "checkpoint-";

static const char *
weights_name(const struct run *r)
{
	return r->full ? "model.safetensors" : "adapter_model.safetensors";
}

int
checkpoint_export(const struct run *r, const char *dir, bool exact, struct err *e)
{
	if (!r->full) {
		if (lora_save(&r->model, &r->adapter, dir, e) < 0)
			return -1;
		return model_copy_tokenizer(r->model_dir, dir, e);
	}
	bool as_stored = !exact && !r->set->from_scratch && strcmp(r->set->dtype, "float32") != 0;
	if (model_save_weights(&r->model, dir, as_stored, ST_F32, e) < 0)
		return -1;
	return model_copy_config(r->model_dir, dir, as_stored ? NULL : "float32", e);
}

/* ---- the optimiser's moments ---- */

static int
save_moments(const struct run *r, const char *dir, struct err *e)
{
	size_t n = r->model.n_trained;
	struct st_tensor *decl = xcalloc(2 * n, sizeof *decl);
	for (size_t i = 0; i < 2 * n; i++) {
		const struct param *p = r->model.trained[i / 2];
		decl[i] = (struct st_tensor){.name = xasprintf("%s.%s", p->name, i % 2 ? "v" : "m"), .dtype = ST_F32,
			.rank = p->rank, .shape = {p->rows, p->columns}};
	}
	char *path = path_join(dir, "optimizer.safetensors");
	struct st_writer *w = st_create(path, true, decl, 2 * n, e);
	for (size_t i = 0; w && i < 2 * n; i++)
		st_write(w, (i % 2 ? r->optimizer.v : r->optimizer.m)[i / 2],
			param_size(r->model.trained[i / 2]) * sizeof(float));
	int rc = w ? st_finish(w, e) : -1;
	for (size_t i = 0; i < 2 * n; i++)
		free((char *)decl[i].name);
	free(decl);
	free(path);
	return rc;
}

/* Copies a tensor of exactly n floats. */
static int
load_floats(const struct st_file *f, const char *name, float *to, size_t n, struct err *e)
{
	const struct st_tensor *t = st_find(f, name);
	if (!t || t->dtype != ST_F32 || (size_t)st_elements(t) != n)
		return err_set(e, ERR_DATA, "tensor '%s' is missing or has another size", name);
	st_to_f32(t, 0, n, to);
	return 0;
}

static int
load_values(struct run *r, const struct st_file *f, struct err *e)
{
	for (size_t i = 0; i < r->model.n_trained; i++) {
		struct param *p = r->model.trained[i];
		char *key = r->full ? xstrdup(p->name) : lora_key(&r->model, p);
		int rc = load_floats(f, key, p->value, param_size(p), e);
		free(key);
		if (rc < 0)
			return -1;
	}
	lora_refresh(&r->model);
	return 0;
}

static int
load_moments(struct run *r, const struct st_file *f, struct err *e)
{
	for (size_t i = 0; i < 2 * r->model.n_trained; i++) {
		const struct param *p = r->model.trained[i / 2];
		char *key = xasprintf("%s.%s", p->name, i % 2 ? "v" : "m");
		int rc = load_floats(f, key, (i % 2 ? r->optimizer.v : r->optimizer.m)[i / 2], param_size(p), e);
		free(key);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- state.json ---- */

static int
hash_file(const char *dir, const char *name, char hex[HASH_HEX], struct err *e)
{
	struct map m;
	char *path = path_join(dir, name);
	int rc = map_open(&m, path, e);
	if (rc == 0) {
		hash_bytes(m.data, m.size, hex);
		map_close(&m);
	}
	free(path);
	return rc;
}

static int
save_state(const struct run *r, const char *dir, struct err *e)
{
	char weights[HASH_HEX], moments[HASH_HEX];
	if (hash_file(dir, weights_name(r), weights, e) < 0 || hash_file(dir, "optimizer.safetensors", moments, e) < 0)
		return -1;
	json_t *best = isnan(r->best_value) ? json_null() : json_real(r->best_value);
	json_t *state = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:o, s:{s:s, s:s}}", "format", "hone-checkpoint", "version", 1,
		"step", (json_int_t)r->step, "optimizer_step", (json_int_t)r->optimizer.step, "elapsed_tokens",
		(json_int_t)r->elapsed_tokens, "elapsed_examples", (json_int_t)r->elapsed_examples, "best_value", best, "xxh128",
		weights_name(r), weights, "optimizer.safetensors", moments);
	char *path = path_join(dir, "state.json");
	int rc = json_write_file(path, true, state, JSON_INDENT(2), "\n", e);
	json_decref(state);
	free(path);
	return rc;
}

static int
check_hash(const char *dir, const json_t *state, const char *name, struct err *e)
{
	char hex[HASH_HEX];
	const char *want = json_string_value(json_object_get(json_object_get(state, "xxh128"), name));
	if (hash_file(dir, name, hex, e) < 0)
		return -1;
	if (!want || strcmp(hex, want) != 0)
		return err_set(e, ERR_DATA, "'%s/%s' is damaged: its hash is not that of state.json", dir, name);
	return 0;
}

/* ---- saving ---- */

/* The steps of the checkpoints in the run directory, ascending; new. */
static int64_t *
list_checkpoints(const struct run *r, size_t *n)
{
	int64_t *steps = NULL;
	size_t cap = 0;
	*n = 0;
	DIR *d = opendir(r->set->run);
	struct dirent *ent;
	while (d && (ent = readdir(d))) {
		long long step;
		int used = 0;
		if (sscanf(ent->d_name, "checkpoint-%lld%n", &step, &used) != 1 || ent->d_name[used] || step < 0)
			continue;
		GROW(steps, cap, *n + 1);
		size_t i = (*n)++;
		for (; i > 0 && steps[i - 1] > step; i--)
			steps[i] = steps[i - 1];
		steps[i] = step;
	}
	if (d)
		closedir(d);
	return steps;
}

static char *
checkpoint_path(const struct run *r, int64_t step)
{
	return xasprintf("%s/%s%lld", r->set->run, prefix, (long long)step);
}

static int
remove_oldest(const struct run *r, struct err *e)
{
	size_t n;
	int64_t *steps = list_checkpoints(r, &n);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i + (size_t)r->set->save_total_limit < n; i++) {
		char *path = checkpoint_path(r, steps[i]);
		rc = path_discard(path, e);
		free(path);
	}
	free(steps);
	return rc;
}

int
checkpoint_save(struct run *r, struct err *e)
{
	char *path = checkpoint_path(r, r->step);
	struct dir_out d;
	int rc = results_sync(&r->results, e);
	/* The events must not be behind the checkpoint that they lead up to. */
	if (rc == 0 && fsync(r->metrics_fd) < 0)
		rc = err_sys(e, ERR_IO, "cannot write '%s/metrics.jsonl'", r->set->run);
	if (rc == 0)
		rc = dir_open(&d, path, true, e);
	if (rc == 0) {
		if (checkpoint_export(r, d.tmp, true, e) == 0 && save_moments(r, d.tmp, e) == 0 && save_state(r, d.tmp, e) == 0) {
			rc = dir_commit(&d, e);
		} else {
			dir_abort(&d);
			rc = -1;
		}
	}
	if (rc == 0)
		log_detail("wrote '%s'", path);
	free(path);
	return rc < 0 ? rc : remove_oldest(r, e);
}

int
checkpoint_publish(const struct run *r, const char *name, struct err *e)
{
	char *path = rundir_path(r, name);
	struct dir_out d;
	int rc = dir_open(&d, path, true, e);
	if (rc == 0) {
		if (checkpoint_export(r, d.tmp, false, e) == 0) {
			rc = dir_commit(&d, e);
		} else {
			dir_abort(&d);
			rc = -1;
		}
	}
	free(path);
	return rc;
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

static int
load_state(struct run *r, const char *dir, struct err *e)
{
	char *path = path_join(dir, "state.json");
	json_t *state = json_read_file(path, 1 << 20, e);
	int64_t step = -1, updates = -1, tokens = -1, examples = -1;
	double best = NAN;
	int rc = -1;
	free(path);
	if (!state)
		return -1;
	if (json_get_int(state, "step", 1, r->total_steps, &step, e) == 0 &&
		json_get_int(state, "optimizer_step", 0, INT64_MAX, &updates, e) == 0 &&
		json_get_int(state, "elapsed_tokens", 0, INT64_MAX, &tokens, e) == 0 &&
		json_get_int(state, "elapsed_examples", 0, INT64_MAX, &examples, e) == 0 &&
		json_get_double(state, "best_value", &best, e) == 0)
		rc = step < 0 || updates < 0 || tokens < 0 || examples < 0
			? err_set(e, ERR_DATA, "'%s/state.json' is not a state of hone-train", dir)
			: 0;
	if (rc == 0)
		rc = check_hash(dir, state, weights_name(r), e);
	if (rc == 0)
		rc = check_hash(dir, state, "optimizer.safetensors", e);
	if (rc == 0) {
		r->step = step;
		r->optimizer.step = updates;
		r->elapsed_tokens = tokens;
		r->elapsed_examples = examples;
		r->best_value = best;
	}
	json_decref(state);
	return rc;
}

int
checkpoint_resume(struct run *r, struct err *e)
{
	size_t n;
	int64_t *steps = list_checkpoints(r, &n);
	int rc = 0;
	if (n > 0) {
		char *dir = checkpoint_path(r, steps[n - 1]);
		rc = load_state(r, dir, e);
		if (rc == 0)
			rc = load_file(r, dir, weights_name(r), load_values, e);
		if (rc == 0)
			rc = load_file(r, dir, "optimizer.safetensors", load_moments, e);
		if (rc < 0)
			err_prefix(e, "cannot resume (remove the checkpoint to go back to the one before): ");
		free(dir);
	}
	free(steps);
	return rc < 0 ? rc : n > 0;
}

/* The run directory: hone-run(5). */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "math/gemm.h"
#include "train.h"

enum { RUN_JSON_MAX = 1 << 24, EVENT_MAX = 1 << 24 };

char *
rundir_path(const struct run *r, const char *name)
{
	return path_join(r->set->run, name);
}

static bool
has(const struct run *r, const char *name)
{
	char *path = rundir_path(r, name);
	bool yes = path_exists(path);
	free(path);
	return yes;
}

/* One that was made for us, or by a run that was killed in the next moment. */
static bool
is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	bool empty = d;
	for (struct dirent *ent; empty && (ent = readdir(d));)
		empty = strcmp(ent->d_name, ".") == 0 || strcmp(ent->d_name, "..") == 0;
	if (d)
		closedir(d);
	return empty;
}

int
rundir_open(struct run *r, struct err *e)
{
	const char *dir = r->set->run;
	if (path_exists(dir) && !path_is_dir(dir))
		return err_set(e, ERR_CANTCREAT, "'%s' is a file; -o wants a run directory", dir);
	if (path_is_dir(dir) && !has(r, "run.json") && !has(r, ".lock") && !is_empty(dir))
		return err_set(e, ERR_CANTCREAT, "'%s' exists and is not a run of hone-train; name another -o", dir);
	bool made = !path_exists(dir);
	if (dir_make(dir, e) < 0)
		return -1;
	char *lock = rundir_path(r, ".lock");
	int rc = file_lock(lock, &r->lock_fd, e);
	free(lock);
	/* Only the holder of the lock may call it fresh: another may have made it, too, and be at work in it. */
	r->fresh = rc == 0 && made && !has(r, "run.json");
	if (rc == 0)
		dir_sweep(dir);
	if (rc < 0 && e->code == ERR_TEMPFAIL)
		err_set(e, ERR_TEMPFAIL, "'%s' is in use by another hone-train", dir);
	return rc;
}

bool
rundir_finished(const struct run *r)
{
	return has(r, "final");
}

/* ---- run.json ---- */

static json_t *
describe_data(const struct opt_list *paths, const struct dataset *d)
{
	json_t *list = json_array();
	for (size_t i = 0; i < paths->n; i++)
		json_array_append_new(list, json_string(paths->item[i]));
	return json_pack("{s:o, s:s, s:I, s:I, s:I}", "paths", list, "fingerprint", dataset_fingerprint(d), "examples",
		(json_int_t)dataset_count(d), "tokens", (json_int_t)dataset_tokens(d), "targets",
		(json_int_t)dataset_targets(d));
}

static json_t *
describe(const struct run *r)
{
	char base[HASH_HEX] = "";
	const struct settings *s = r->set;
	if (r->model.weights)
		weights_fingerprint(r->model.weights, base);
	json_t *data = json_pack("{s:o}", "train", describe_data(&s->train, r->train));
	if (r->valid)
		json_object_set_new(data, "validation", describe_data(&s->valid, r->valid));
	return json_pack("{s:s, s:i, s:o, s:{s:s, s:s, s:s, s:I, s:I}, s:o, s:{s:I, s:I}, s:{s:s, s:s}, s:{s:i, s:s}}",
		"format", "hone-run", "version", 1, "settings", opt_settings(&train_spec), "base", "path", r->model_dir,
		"model_type", r->model.config.family->model_type, "fingerprint", base, "parameters",
		(json_int_t)model_parameters(&r->model), "trained_parameters",
		(json_int_t)model_trained_parameters(&r->model), "data", data, "plan", "steps_per_epoch",
		(json_int_t)r->steps_per_epoch, "total_steps", (json_int_t)r->total_steps, "hone", "version", hone_version,
		"commit", hone_commit, "machine", "threads", math_threads(), "products", math_backend());
}

/* Settings that say where things are, when to stop, or how memory is used, or that act on what did not happen yet: a run
 * goes on when they change. */
static bool
is_incidental(const char *key)
{
	static const char *const keys[] = {"model", "train", "validation", "output", "deadline", "dry-run",
		"save-total-limit", "micro-tokens", "gradient-checkpointing", "suffix", "outlier-action"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static char *
shown(const json_t *v)
{
	char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
	return text ? text : xstrdup("nothing");
}

static int
compare_settings(const struct run *r, const json_t *before, const json_t *now, struct err *e)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)now, key, value) {
		const json_t *old = json_object_get(before, key);
		if (is_incidental(key) || (old && json_equal(old, value)))
			continue;
		char *was = shown(old), *is = shown(value);
		err_set(e, ERR_CANTCREAT, "'%s' holds a run with --%s %s, now it is %s; name another -o, or repeat the old command",
			r->set->run, key, was, is);
		free(was);
		free(is);
		return -1;
	}
	return 0;
}

static int
compare_fingerprint(const struct run *r, const char *what, const json_t *before, const json_t *now, struct err *e)
{
	const char *a = json_string_value(json_object_get(before, "fingerprint"));
	const char *b = json_string_value(json_object_get(now, "fingerprint"));
	if (a == b || (a && b && strcmp(a, b) == 0))
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' holds a run with other %s; name another -o", r->set->run, what);
}

static int
compare(const struct run *r, const json_t *before, const json_t *now, struct err *e)
{
	const json_t *a = json_object_get(before, "data"), *b = json_object_get(now, "data");
	if (compare_settings(r, json_object_get(before, "settings"), json_object_get(now, "settings"), e) < 0 ||
		compare_fingerprint(r, "base weights", json_object_get(before, "base"), json_object_get(now, "base"), e) < 0 ||
		compare_fingerprint(r, "training data", json_object_get(a, "train"), json_object_get(b, "train"), e) < 0)
		return -1;
	return compare_fingerprint(r, "validation data", json_object_get(a, "validation"), json_object_get(b, "validation"), e);
}

int
rundir_identify(struct run *r, struct err *e)
{
	char *path = rundir_path(r, "run.json");
	json_t *now = describe(r), *before = NULL;
	int rc = 0;
	if (!now) {
		rc = err_set(e, ERR_USAGE, "a path on the command line is not UTF-8, so run.json cannot name it");
	} else if (path_exists(path)) {
		before = json_read_file(path, RUN_JSON_MAX, e);
		rc = before ? compare(r, before, now, e) : -1;
	} else {
		rc = json_write_file(path, true, now, JSON_INDENT(2), "\n", e);
		r->fresh = r->fresh && rc < 0;
	}
	json_decref(before);
	json_decref(now);
	free(path);
	return rc;
}

/* ---- metrics.jsonl ---- */

/* Events beyond a checkpoint will be made again; and, where what follows its last step is still due, that of this step. */
static bool
is_kept(const struct run *r, const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "event"));
	int64_t step = json_integer_value(json_object_get(event, "step"));
	return event && (step < r->step || (step == r->step && (!r->due || (kind && strcmp(kind, "train") == 0))));
}

/* Copies the events that stay, and notes how long the run had taken by the last of them. A line cut short is not one of them. */
static int
keep_events(struct run *r, const char *path, struct err *e)
{
	struct in in;
	struct out out;
	const char *line;
	size_t n;
	int got;
	if (in_open(&in, path, e) < 0)
		return -1;
	if (out_open(&out, path, true, e) < 0) {
		in_close(&in);
		return -1;
	}
	while ((got = in_line(&in, EVENT_MAX, &line, &n, e)) > 0) {
		json_t *event = json_loadb(line, n, 0, NULL);
		bool keep = is_kept(r, event);
		if (keep)
			r->seconds_before = json_number_value(json_object_get(event, "elapsed_seconds"));
		json_decref(event);
		if (keep) {
			out_write(&out, line, n);
			out_write(&out, "\n", 1);
		}
	}
	in_close(&in);
	if (got == 0)
		return out_commit(&out, e);
	out_abort(&out);
	return -1;
}

int
rundir_logs(struct run *r, struct err *e)
{
	char *path = rundir_path(r, "metrics.jsonl");
	int rc = path_exists(path) ? keep_events(r, path, e) : 0;
	if (rc == 0) {
		r->metrics_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (r->metrics_fd < 0)
			rc = err_sys(e, ERR_CANTCREAT, "cannot create '%s'", path);
	}
	free(path);
	enum results_kind kind = !r->set->classification ? RESULTS_PLAIN : r->positive >= 0 ? RESULTS_BINARY : RESULTS_MULTICLASS;
	return rc < 0 ? rc : results_open(&r->results, r->set->run, kind, &r->betas, r->step - r->due, e);
}

int
rundir_event(struct run *r, json_t *event, struct err *e)
{
	json_object_set_new(event, "elapsed_seconds", json_real(r->seconds_before + clock_seconds() - r->started));
	char *text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(event);
	if (!text)
		return err_set(e, ERR_BUG, "an event cannot be written as JSON");
	struct buf b = {0};
	buf_puts(&b, text);
	buf_putc(&b, '\n');
	free(text);
	/* One write a line, as a rule: a reader never sees half of one, and a crash leaves at most one short. */
	int rc = fd_write_all(r->metrics_fd, b.data, b.len);
	if (rc < 0)
		rc = err_sys(e, ERR_IO, "cannot write '%s/metrics.jsonl'", r->set->run);
	buf_release(&b);
	return rc;
}

int
rundir_sync(struct run *r, struct err *e)
{
	if (results_sync(&r->results, e) < 0)
		return -1;
	return fsync(r->metrics_fd) < 0 ? err_sys(e, ERR_IO, "cannot write '%s/metrics.jsonl'", r->set->run) : 0;
}

/* The lock goes last: with it, what a kill leaves of the rest is still known for a run's. */
void
rundir_discard(struct run *r)
{
	struct err ignored;
	static const char *const made[] = {"data-train", "data-validation"};
	for (size_t i = 0; r->fresh && i < sizeof made / sizeof *made; i++) {
		char *path = rundir_path(r, made[i]);
		path_remove(path, &ignored);
		free(path);
	}
	if (r->fresh)
		path_remove(r->set->run, &ignored);
}

void
rundir_close(struct run *r)
{
	if (r->metrics_fd > 0)
		close(r->metrics_fd);
	if (r->lock_fd > 0)
		close(r->lock_fd);
}

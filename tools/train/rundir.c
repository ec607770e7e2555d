/* The run directory: hone-run(5). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "train.h"

enum { EVENT_MAX = 1 << 24 };

char *
rundir_path(const struct run *r, const char *name)
{
	return path_join(r->set->run, name);
}

bool
rundir_has(const struct run *r, const char *name)
{
	return dir_has(r->set->run, name);
}

/* One that was made for us, or by a run that was killed in the next moment. */
static bool
is_empty(const char *dir)
{
	struct err ignored;
	size_t n = 1;
	names_free(dir_names(dir, &n, &ignored));
	return n == 0;
}

int
rundir_open(struct run *r, struct err *e)
{
	const char *dir = r->set->run;
	if (path_exists(dir) && !path_is_dir(dir))
		return err_set(e, ERR_CANTCREAT, "'%s' is a file; -o wants a run directory", dir);
	if (path_is_dir(dir) && !rundir_has(r, "run.json") && !rundir_has(r, ".lock") && !is_empty(dir))
		return err_set(e, ERR_CANTCREAT, "'%s' exists and is not a run of hone-train; name another -o", dir);
	bool made = !path_exists(dir);
	if (dir_make(dir, e) < 0)
		return -1;
	char *lock = rundir_path(r, ".lock");
	int rc = file_lock(lock, &r->lock_fd, e);
	free(lock);
	/* Only the holder of the lock may call it fresh: another may have made it, too, and be at work in it. */
	r->fresh = rc == 0 && made && !rundir_has(r, "run.json");
	if (rc == 0)
		dir_sweep(dir);
	if (rc < 0 && e->code == ERR_TEMPFAIL)
		err_set(e, ERR_TEMPFAIL, "'%s' is in use by another hone-train", dir);
	return rc;
}

bool
rundir_finished(const struct run *r)
{
	char *path = rundir_path(r, "final");
	bool yes = path_is_dir(path);  /* for certain: what cannot be told is no end of the run */
	free(path);
	return yes;
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
	return fd_sync(r->metrics_fd) < 0 ? err_sys(e, ERR_IO, "cannot write '%s/metrics.jsonl'", r->set->run) : 0;
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

/* A run directory (hone-run(5)), which may have come from anywhere: all that is used of it is checked here. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/dir_kind.h"
#include "base/file.h"
#include "base/json.h"
#include "report.h"
#include "text/unicode.h"

enum { RUN_JSON_MAX = 1 << 24, EVENT_MAX = 1 << 24 };

/* ---- numbers ---- */

static double
checked(const json_t *v)
{
	double x = json_is_number(v) ? json_number_value(v) : NAN;
	return fabs(x) < RUN_NUMBER_MAX ? x : NAN;
}

double
run_eval(const struct run *r, size_t i, const char *key)
{
	return checked(json_object_get(r->eval[i], key));
}

const json_t *
run_last_eval(const struct run *r)
{
	return r->n_evals ? r->eval[r->n_evals - 1] : NULL;
}

const json_t *
run_get(const struct run *r, const char *group, const char *key)
{
	return json_object_get(json_object_get(r->info, group), key);
}

const char *
run_text(const struct run *r, const char *group, const char *key)
{
	return json_string_value(run_get(r, group, key));
}

/* ---- events ---- */

static const char *const members[N_TRAIN_COLUMNS] = {"step", "epoch", "loss", "grad_norm", "learning_rate", "tokens",
	"tokens_per_second", "peak_rss_bytes"};

static void
add_train(struct run *r, const json_t *event)
{
	if (r->n_train == r->train_cap) {
		r->train_cap = 2 * r->train_cap + 64;
		for (int c = 0; c < N_TRAIN_COLUMNS; c++)
			r->train[c] = xreallocarray(r->train[c], r->train_cap, sizeof **r->train);
	}
	for (int c = 0; c < N_TRAIN_COLUMNS; c++)
		r->train[c][r->n_train] = checked(json_object_get(event, members[c]));
	r->n_train++;
}

/* Steps go forward; the charts rely on it. */
static int
add_event(struct run *r, json_t *event, struct err *e)
{
	const char *kind = json_string_value(json_object_get(event, "event"));
	double step = checked(json_object_get(event, "step"));
	if (!kind || !(step >= 0))
		return err_set(e, ERR_DATA, "an event without 'event' or 'step'");
	if (strcmp(kind, "train") == 0) {
		if (r->n_train && step <= r->train[TRAIN_STEP][r->n_train - 1])
			return err_set(e, ERR_DATA, "step %.0f does not follow step %.0f", step, r->train[TRAIN_STEP][r->n_train - 1]);
		add_train(r, event);
	} else if (strcmp(kind, "eval") == 0) {
		if (r->n_evals && step <= run_eval(r, r->n_evals - 1, "step"))
			return err_set(e, ERR_DATA, "an evaluation at step %.0f does not follow the one before", step);
		GROW(r->eval, r->evals_cap, r->n_evals + 1);
		r->eval[r->n_evals++] = json_incref(event);
	}
	return 0;
}

/* A line that is not whole is the last one, cut short by a crash or being written now. */
static int
read_line(struct run *r, const char *line, size_t n, bool whole, struct err *e)
{
	json_error_t je;
	json_t *event = json_loadb(line, n, JSON_REJECT_DUPLICATES, &je);
	int rc = 0;
	if (event)
		rc = add_event(r, event, e);
	else if (whole)
		rc = err_set(e, ERR_DATA, "column %d: %s", je.column, je.text);
	json_decref(event);
	return rc;
}

static int
read_events(struct run *r, const char *path, struct err *e)
{
	struct in in;
	const char *line;
	size_t n;
	int rc;
	uint64_t number = 0;
	if (in_open(&in, path, e) < 0)
		return -1;
	for (uint64_t before = 0; (rc = in_line(&in, EVENT_MAX, &line, &n, e)) > 0; before = in.taken) {
		number++;
		if ((rc = read_line(r, line, n, in.taken - before > n, e)) < 0) {
			err_prefix(e, "'%s': line %llu: ", path, (unsigned long long)number);
			break;
		}
	}
	in_close(&in);
	return rc;
}

/* ---- opening ---- */

/* The last part of a path, without slashes at its end. */
static char *
base_name(const char *path)
{
	size_t n = strlen(path);
	struct buf b = {0};
	while (n > 1 && path[n - 1] == '/')
		n--;
	size_t from = n;
	while (from > 0 && path[from - 1] != '/')
		from--;
	uni_append_lossy(&b, path + from, n - from);
	return b.data ? b.data : xstrdup("");
}

/* A pipe or a device under the name of a file would hold us up for ever. */
static int
check_regular(const char *path, struct err *e)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(e, ERR_NOINPUT, "cannot open '%s'", path);
	return S_ISREG(st.st_mode) ? 0 : err_set(e, ERR_DATA, "'%s' is not a regular file", path);
}

static int
open_files(struct run *r, const char *info, const char *events, const char *rows, struct err *e)
{
	if (check_regular(info, e) < 0 || check_regular(events, e) < 0)
		return -1;
	r->info = json_read_file(info, RUN_JSON_MAX, e);
	if (!r->info)
		return -1;
	const char *format = json_string_value(json_object_get(r->info, "format"));
	if (!format || strcmp(format, "hone-run") != 0)
		return err_set(e, ERR_DATA, "'%s': 'format' is not \"hone-run\"", info);
	if (read_events(r, events, e) < 0)
		return -1;
	if (!path_exists(rows))
		return 0;
	return check_regular(rows, e) < 0 ? -1 : predictions_read(&r->rows, rows, e);
}

int
run_open(struct run *r, const char *path, struct err *e)
{
	*r = (struct run){.path = path, .name = base_name(path)};
	if (dir_check(path, DIR_RUN, e) < 0)
		return -1;
	char *info = path_join(path, "run.json"), *events = path_join(path, "metrics.jsonl"),
	     *rows = path_join(path, "predictions.jsonl"), *final = path_join(path, "final");
	int rc = open_files(r, info, events, rows, e);
	r->finished = path_exists(final);
	free(info);
	free(events);
	free(rows);
	free(final);
	return rc;
}

void
run_close(struct run *r)
{
	for (int c = 0; c < N_TRAIN_COLUMNS; c++)
		free(r->train[c]);
	for (size_t i = 0; i < r->n_evals; i++)
		json_decref(r->eval[i]);
	free(r->eval);
	json_decref(r->info);
	predictions_release(&r->rows);
	free(r->name);
	*r = (struct run){0};
}

/* ---- time, speed, memory ---- */

static void
add_up(const struct run *r, double *tokens, double *seconds, double *steps)
{
	*tokens = *seconds = *steps = 0;
	for (size_t i = 0; i < r->n_train; i++)
		if (r->train[TRAIN_SPEED][i] > 0 && r->train[TRAIN_TOKENS][i] >= 0) {
			*tokens += r->train[TRAIN_TOKENS][i];
			*seconds += r->train[TRAIN_TOKENS][i] / r->train[TRAIN_SPEED][i];
			*steps += 1;
		}
}

double
run_seconds(const struct run *r)
{
	double tokens, seconds, steps;
	add_up(r, &tokens, &seconds, &steps);
	return steps > 0 ? seconds * r->train[TRAIN_STEP][r->n_train - 1] / steps : NAN;
}

double
run_speed(const struct run *r)
{
	double tokens, seconds, steps;
	add_up(r, &tokens, &seconds, &steps);
	return seconds > 0 ? tokens / seconds : NAN;
}

double
run_memory(const struct run *r)
{
	double most = NAN;
	for (size_t i = 0; i < r->n_train; i++)
		most = fmax(most, r->train[TRAIN_RSS][i]);
	return most;
}

size_t
run_best(const struct run *r, const char *key, bool lower)
{
	size_t best = r->n_evals;
	for (size_t i = 0; i < r->n_evals; i++) {
		double v = run_eval(r, i, key), b = best < r->n_evals ? run_eval(r, best, key) : NAN;
		if (!isnan(v) && (isnan(b) || (lower ? v < b : v > b)))
			best = i;
	}
	return best;
}

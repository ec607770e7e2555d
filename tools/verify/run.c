/* Run directories of hone-train: what is in them besides directories. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "eval/predictions.h"
#include "fmt/adapter.h"
#include "fmt/dataset.h"
#include "fmt/manifest.h"
#include "verify.h"

enum { JSON_MAX = 1 << 24, EVENT_MAX = 1 << 24 };

/* ---- run.json ---- */

static json_t *
read_run_json(const char *run, struct err *e)
{
	char *path = path_join(run, "run.json");
	json_t *o = json_read_file(path, JSON_MAX, e);
	const char *format = json_string_value(json_object_get(o, "format"));
	if (o && (!format || strcmp(format, "hone-run") != 0)) {
		err_set(e, ERR_DATA, "'%s': its format is '%s', not 'hone-run'", path, format ? format : "");
		json_decref(o);
		o = NULL;
	}
	free(path);
	return o;
}

static void
add_input(json_t *inputs, const char *what, const json_t *path, const json_t *fingerprint)
{
	json_array_append_new(inputs, json_pack("{s:s, s:O?, s:O?}", "what", what, "path", path, "fingerprint", fingerprint));
}

static void
add_data(json_t *inputs, const char *what, const json_t *data)
{
	const json_t *paths = json_object_get(data, "paths");
	if (data)
		add_input(inputs, what, json_array_get(paths, 0), json_object_get(data, "fingerprint"));
}

/* run.json says what a provenance says, and more. */
static json_t *
provenance_of(const json_t *run)
{
	const json_t *hone = json_object_get(run, "hone"), *base = json_object_get(run, "base"), *data = json_object_get(run, "data");
	json_t *inputs = json_array();
	add_input(inputs, "base", json_object_get(base, "path"), json_object_get(base, "fingerprint"));
	if (json_object_get(run, "tokenizer"))
		add_input(inputs, "tokenizer", NULL, json_object_get(run, "tokenizer"));
	add_data(inputs, "data", json_object_get(data, "train"));
	add_data(inputs, "validation", json_object_get(data, "validation"));
	return json_pack("{s:s, s:O?, s:O?, s:O?, s:o}", "tool", "hone-train", "version", json_object_get(hone, "version"), "commit",
		json_object_get(hone, "commit"), "settings", json_object_get(run, "settings"), "inputs", inputs);
}

/* ---- the logs ---- */

/* The step of the last event; of a run that is not finished, the last line may be cut short. */
static int
check_events(const char *path, bool finished, int64_t *step, struct err *e)
{
	struct in in;
	const char *line;
	size_t n;
	int rc;
	bool cut = false;
	*step = 0;
	if (in_open(&in, path, e) < 0)
		return -1;
	for (long k = 1; (rc = in_line(&in, EVENT_MAX, &line, &n, e)) > 0; k++) {
		json_t *event = json_loadb(line, n, 0, NULL);
		int64_t at = json_integer_value(json_object_get(event, "step"));
		bool good = !cut && json_is_string(json_object_get(event, "event")) && at >= *step;
		json_decref(event);
		if (!good && (finished || cut)) {
			rc = err_set(e, ERR_DATA, "'%s': line %ld is no event, or out of order", path, k);
			break;
		}
		cut = !good;
		*step = good ? at : *step;
	}
	in_close(&in);
	return rc;
}

static int
check_predictions(const char *path, struct err *e)
{
	struct predictions p;
	int rc = predictions_read(&p, path, e);
	predictions_release(&p);
	return rc;
}

static int
check_logs(struct thing *t, bool finished, int64_t *step, struct err *e)
{
	char *events = path_join(t->path, "metrics.jsonl"), *rows = path_join(t->path, "predictions.jsonl");
	int rc = path_exists(events) ? check_events(events, finished, step, e) : 0;
	/* What is appended to it when a run is killed may end anywhere. */
	if (rc == 0 && finished && path_exists(rows))
		rc = check_predictions(rows, e);
	free(events);
	free(rows);
	return rc;
}

/* The hashes are those of the end: a run that goes on has others. */
int
verify_run(struct thing *t, struct err *e)
{
	int64_t step = 0;
	char *final = path_join(t->path, "final");
	bool finished = path_is_dir(final);
	free(final);
	t->kind = "run";
	json_t *run = read_run_json(t->path, e), *p = run ? provenance_of(run) : NULL;
	json_int_t steps = json_integer_value(json_object_get(json_object_get(run, "plan"), "total_steps"));
	int rc = run ? 0 : -1;
	thing_from(t, p);
	json_decref(p);
	json_decref(run);
	if (rc == 0 && finished && manifest_exists(t->path)) {
		t->hashes = manifest_check(t->path, manifest_of_run, e);
		rc = t->hashes < 0 ? -1 : 0;
	}
	if (rc == 0)
		rc = check_logs(t, finished, &step, e);
	buf_printf(&t->detail, "%s, step %lld of %lld", finished ? "finished" : "unfinished", (long long)step, (long long)steps);
	return rc;
}

/* ---- its parts ---- */

static int
compare_dataset(const char *path, const json_t *told, struct err *e)
{
	const char *want = json_string_value(json_object_get(told, "fingerprint"));
	struct dataset *d = dataset_open(path, e);
	if (!d)
		return -1;
	int rc = 0;
	if (want && strcmp(want, dataset_fingerprint(d)) != 0)
		rc = err_set(e, ERR_DATA, "'%s' is not the data of the run: its fingerprint is %s, run.json says %s", path,
			dataset_fingerprint(d), want);
	dataset_close(d);
	return rc;
}

static int
compare_base(const char *path, const json_t *base, struct err *e)
{
	const char *want = json_string_value(json_object_get(base, "fingerprint"));
	struct adapter a;
	if (adapter_open(&a, path, e) < 0)
		return -1;
	const char *noted = st_metadata(a.file, ADAPTER_BASE_KEY);
	int rc = 0;
	if (want && *want && (!noted || strcmp(want, noted) != 0))
		rc = err_set(e, ERR_DATA, "'%s' is not of the run: its base is %s, run.json says %s", path, noted ? noted : "not told",
			want);
	adapter_close(&a);
	return rc;
}

int
verify_run_part(const char *run, const char *name, const struct thing *part, struct err *e)
{
	json_t *told = read_run_json(run, e);
	const json_t *data = json_object_get(told, "data");
	int rc = 0;
	if (!told)
		return 0;  /* told of the run itself */
	if (strcmp(name, "data-train") == 0)
		rc = compare_dataset(part->path, json_object_get(data, "train"), e);
	else if (strcmp(name, "data-validation") == 0)
		rc = compare_dataset(part->path, json_object_get(data, "validation"), e);
	else if (part->kind && strcmp(part->kind, "adapter") == 0)
		rc = compare_base(part->path, json_object_get(told, "base"), e);
	json_decref(told);
	return rc;
}

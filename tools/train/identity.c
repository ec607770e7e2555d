/* What a run is: its settings, its base, its data. run.json holds it, a later command is held against that, and outputs
 * tell it of themselves. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/provenance.h"
#include "base/version.h"
#include "math/gemm.h"
#include "train.h"

enum { RUN_JSON_MAX = 1 << 24 };

/* ---- what a run is ---- */

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

/* Empty with --from-scratch. */
static const char *
base_fingerprint(const struct run *r)
{
	return r->model.weights ? weights_fingerprint(r->model.weights) : "";
}

/* NULL when there is none, or it cannot be told. */
static const char *
tokenizer_of(const struct run *r)
{
	const char *told = dataset_tokenizer(r->train);
	return *r->train_data.tokenizer ? r->train_data.tokenizer : told;
}

static json_t *
describe(const struct run *r)
{
	const struct settings *s = r->set;
	json_t *data = json_pack("{s:o}", "train", describe_data(&s->train, r->train));
	if (r->valid)
		json_object_set_new(data, "validation", describe_data(&s->valid, r->valid));
	return json_pack("{s:s, s:i, s:o, s:{s:s, s:s, s:s, s:I, s:I}, s:s*, s:o, s:{s:I, s:I}, s:{s:s, s:s, s:s}, s:{s:i, s:s}}",
		"format", "hone-run", "version", 1, "settings", opt_settings(&train_spec), "base", "path", r->model_dir,
		"model_type", r->model.config.family->model_type, "fingerprint", base_fingerprint(r), "parameters",
		(json_int_t)model_parameters(&r->model), "trained_parameters",
		(json_int_t)model_trained_parameters(&r->model), "tokenizer", tokenizer_of(r), "data", data, "plan", "steps_per_epoch",
		(json_int_t)r->steps_per_epoch, "total_steps", (json_int_t)r->total_steps, "hone", "tool", log_tool, "version", hone_version,
		"commit", hone_commit, "machine", "threads", math_threads(), "products", math_backend());
}

/* Settings that say where things are, when to stop, or how memory is used, or that act on what did not happen yet, or
 * what to accept: a run goes on when they change. */
static const char *const incidental[] = {"model", "train", "validation", "output", "deadline", "dry-run",
	"save-total-limit", "micro-tokens", "gradient-checkpointing", "keep-packed", "suffix", "outlier-action", "allow-other-base",
	"allow-other-tokenizer", NULL};

static bool
is_incidental(const char *key)
{
	for (const char *const *k = incidental; *k; k++)
		if (strcmp(*k, key) == 0)
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
	return err_set(e, ERR_CANTCREAT, "'%s' holds a run with other %s (%s, now %s); name another -o, or repeat the old command",
		r->set->run, what, a && *a ? a : "none", b && *b ? b : "none");
}

/* Runs whose data did not tell theirs have none. */
static int
compare_tokenizer(const struct run *r, const json_t *before, const json_t *now, struct err *e)
{
	const char *a = json_string_value(json_object_get(before, "tokenizer"));
	const char *b = json_string_value(json_object_get(now, "tokenizer"));
	if (!a || !b || strcmp(a, b) == 0)
		return 0;
	return err_set(e, ERR_CANTCREAT, "'%s' holds a run with another tokenizer (%s, now %s); name another -o", r->set->run, a, b);
}

static int
compare(const struct run *r, const json_t *before, const json_t *now, struct err *e)
{
	const json_t *a = json_object_get(before, "data"), *b = json_object_get(now, "data");
	if (compare_settings(r, json_object_get(before, "settings"), json_object_get(now, "settings"), e) < 0 ||
		compare_fingerprint(r, "base weights", json_object_get(before, "base"), json_object_get(now, "base"), e) < 0 ||
		compare_tokenizer(r, before, now, e) < 0 ||
		compare_fingerprint(r, "training data", json_object_get(a, "train"), json_object_get(b, "train"), e) < 0)
		return -1;
	return compare_fingerprint(r, "validation data", json_object_get(a, "validation"), json_object_get(b, "validation"), e);
}

int
identity_settle(struct run *r, struct err *e)
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

/* ---- what its outputs tell ---- */

static void
add_data(json_t *p, const char *what, const struct opt_list *paths, const struct dataset *d)
{
	provenance_add(p, what, paths->n == 1 ? paths->item[0] : NULL, dataset_fingerprint(d));
}

/* Without what is incidental: a run that is moved, or gone on with elsewhere, ends with the same bytes. */
json_t *
identity_provenance(const struct run *r)
{
	const struct settings *s = r->set;
	json_t *p = provenance_new(opt_settings_but(&train_spec, incidental));
	provenance_add(p, "base", r->model_dir, base_fingerprint(r));
	if (tokenizer_of(r))
		provenance_add(p, "tokenizer", NULL, tokenizer_of(r));
	if (s->init_adapter)
		provenance_add(p, "adapter", s->init_adapter, *r->init_adapter ? r->init_adapter : NULL);
	add_data(p, "data", &s->train, r->train);
	if (r->valid)
		add_data(p, "validation", s->valid.n ? &s->valid : &s->train, r->valid);
	json_object_set_new(p, "step", json_integer((json_int_t)r->step));
	return p;
}

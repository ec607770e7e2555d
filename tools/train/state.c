/* state.json of a checkpoint: where the run is, and all that decides how it goes on and is not a tensor. There is no
 * state of random numbers: order, initial values and dropout are functions of the seed and the step. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "train.h"

enum { STATE_VERSION = 2, STATE_MAX = 1 << 24 };

int
state_write(const struct run *r, const char *dir, struct err *e)
{
	json_t *state = json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:f, s:o, s:I, s:i, s:b, s:b, s:{s:o, s:o, s:o}, s:o}", "format",
		"hone-checkpoint", "version", STATE_VERSION, "step", (json_int_t)r->step, "optimizer_step",
		(json_int_t)r->optimizer.step, "elapsed_tokens", (json_int_t)r->elapsed_tokens, "elapsed_examples",
		(json_int_t)r->elapsed_examples, "learning_rate", schedule_rate(&r->schedule, r->step), "best_value",
		json_number(r->best_value), "best_step", (json_int_t)r->best_step, "evaluations_without_improvement", r->stale,
		"ended", r->ended, "due", r->due, "last", "loss", json_number(r->last.loss), "sequence_accuracy",
		json_number(r->last.sequence_accuracy), "token_accuracy", json_number(r->last.token_accuracy), "outliers",
		outliers_json(&r->outliers));
	if (!state)
		return err_set(e, ERR_BUG, "the state of the run cannot be written as JSON");
	char *path = path_join(dir, "state.json");
	int rc = json_write_file(path, true, state, JSON_INDENT(2), "\n", e);
	json_decref(state);
	free(path);
	return rc;
}

/* An absent number is -1 or NAN, so that what has to be there is told from what may be null. */
static int
take(struct run *r, const json_t *s, struct err *e)
{
	int64_t step = -1, updates = -1, tokens = -1, examples = -1, best_step = -1, stale = -1;
	const json_t *last = json_object_get(s, "last");
	r->best_value = NAN;
	r->last = (struct figures){NAN, NAN, NAN};
	if (json_get_int(s, "step", 1, r->total_steps, &step, e) < 0 ||
		json_get_int(s, "optimizer_step", 0, INT64_MAX, &updates, e) < 0 ||
		json_get_int(s, "elapsed_tokens", 0, INT64_MAX, &tokens, e) < 0 ||
		json_get_int(s, "elapsed_examples", 0, INT64_MAX, &examples, e) < 0 ||
		json_get_double(s, "best_value", &r->best_value, e) < 0 ||
		json_get_int(s, "best_step", 0, INT64_MAX, &best_step, e) < 0 ||
		json_get_int(s, "evaluations_without_improvement", 0, INT32_MAX, &stale, e) < 0 ||
		json_get_bool(s, "ended", &r->ended, e) < 0 || json_get_bool(s, "due", &r->due, e) < 0 ||
		json_get_double(last, "loss", &r->last.loss, e) < 0 ||
		json_get_double(last, "sequence_accuracy", &r->last.sequence_accuracy, e) < 0 ||
		json_get_double(last, "token_accuracy", &r->last.token_accuracy, e) < 0 ||
		outliers_load(&r->outliers, json_object_get(s, "outliers"), e) < 0)
		return -1;
	if (step < 0 || updates < 0 || tokens < 0 || examples < 0 || best_step < 0 || stale < 0)
		return err_set(e, ERR_DATA, "a member is missing");
	r->step = step;
	r->optimizer.step = updates;
	r->elapsed_tokens = tokens;
	r->elapsed_examples = examples;
	r->best_step = best_step;
	r->stale = (int)stale;
	return 0;
}

int
state_read(struct run *r, const char *dir, struct err *e)
{
	char *path = path_join(dir, "state.json");
	json_t *state = json_read_file(path, STATE_MAX, e);
	int64_t version = 0;
	int rc = state ? json_get_int(state, "version", 1, INT32_MAX, &version, e) : -1;
	if (rc == 0 && version != STATE_VERSION)
		rc = err_set(e, ERR_DATA, "'%s': version %lld is not known here", path, (long long)version);
	if (rc == 0 && (rc = take(r, state, e)) < 0)
		err_prefix(e, "'%s': ", path);
	json_decref(state);
	free(path);
	return rc;
}

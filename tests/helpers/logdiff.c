/* logdiff: compares the training events of two logs, step by step.
 *
 *   logdiff KEY=TOLERANCE... A B
 *
 * A and B are metrics.jsonl of hone-train (only the events "train" count) or a JSON array of steps, as the reference
 * logs are. Prints the largest error of each key and its step: relative to B's value, or absolute where that is 0.
 * Exits 1 when one is above its tolerance, or when the steps are not the same; 2 when it cannot tell. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

static json_t *
read_lines(const char *path)
{
	struct err e;
	struct in in;
	const char *line;
	size_t n;
	int got;
	json_t *steps = json_array();
	if (in_open(&in, path, &e) < 0)
		die(&e);
	while ((got = in_line(&in, 1 << 20, &line, &n, &e)) > 0) {
		json_t *event = json_read(path, line, n, &e);
		if (!event)
			die(&e);
		const char *kind = json_string_value(json_object_get(event, "event"));
		if (kind && strcmp(kind, "train") == 0)
			json_array_append(steps, event);
		json_decref(event);
	}
	if (got < 0)
		die(&e);
	in_close(&in);
	return steps;
}

static json_t *
read_log(const char *path)
{
	struct err e;
	size_t n = strlen(path);
	if (n > 6 && strcmp(path + n - 6, ".jsonl") == 0)
		return read_lines(path);
	json_t *steps = json_read_file(path, 1 << 24, &e);
	if (!steps)
		die(&e);
	return steps;
}

static double
error_at(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
	if (!json_is_number(x) || !json_is_number(y))
		return INFINITY;
	double want = json_number_value(y), error = fabs(json_number_value(x) - want);
	error = want != 0 ? error / fabs(want) : error;
	return isnan(error) ? INFINITY : error;
}

/* Whether one key, "loss=1e-4", agrees at every step. */
static bool
agrees(const json_t *a, const json_t *b, const char *what)
{
	const char *equals = strchr(what, '=');
	char *key = xstrndup(what, (size_t)(equals - what));
	double tolerance = strtod(equals + 1, NULL), worst = 0;
	size_t where = 0;
	for (size_t i = 0; i < json_array_size(b); i++) {
		double error = error_at(json_array_get(a, i), json_array_get(b, i), key);
		if (error > worst) {
			worst = error;
			where = i + 1;
		}
	}
	printf("%s: %.3g (step %zu)%s\n", key, worst, where, worst > tolerance ? " TOO LARGE" : "");
	free(key);
	return !(worst > tolerance);
}

int
main(int argc, char **argv)
{
	log_tool = "logdiff";
	for (int i = 1; i < argc - 2; i++)
		if (!strchr(argv[i], '='))
			argc = 0;
	if (argc < 4) {
		fprintf(stderr, "usage: logdiff KEY=TOLERANCE... A B\n");
		return 2;
	}
	json_t *a = read_log(argv[argc - 2]), *b = read_log(argv[argc - 1]);
	bool same = json_array_size(a) == json_array_size(b) && json_array_size(b) > 0;
	if (!same)
		printf("%zu steps, and %zu\n", json_array_size(a), json_array_size(b));
	for (int i = 1; i < argc - 2; i++)
		if (!agrees(a, b, argv[i]))
			same = false;
	json_decref(a);
	json_decref(b);
	return !same;
}

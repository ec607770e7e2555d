/* --require "KEY>=X": figures that a model must reach. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/near.h"
#include "base/num.h"
#include "eval.h"

enum operator { AT_LEAST, AT_MOST, EQUAL, UNEQUAL, ABOVE, BELOW };

/* Longer spellings first: "<=" is not "<". */
static const struct {
	const char *text;
	enum operator op;
} operators[] = {{">=", AT_LEAST}, {"<=", AT_MOST}, {"==", EQUAL}, {"!=", UNEQUAL}, {">", ABOVE}, {"<", BELOW}};

static struct gate {
	const char *text;  /* as given */
	char *key;
	enum operator op;
	double limit;
} *gates;
static size_t n_gates;

/* ---- parsing ---- */

static const char *const loss_keys[] = {"examples", "tokens", "targets", "loss", "perplexity", "token_accuracy",
	"sequence_accuracy"};
static const char *const count_keys[] = {"classification/examples", "classification/unlabelled",
	"classification/abstentions", "generation/examples"};

/* Calls f with every key that a gate can name, until it returns true; whether it did. */
static bool
each_key(bool has_loss, bool (*f)(void *ctx, const char *key), void *ctx)
{
	char key[METRICS_KEY_MAX];
	for (size_t i = 0; has_loss && i < sizeof loss_keys / sizeof *loss_keys; i++)
		if (f(ctx, loss_keys[i]))
			return true;
	for (size_t i = 0; i < sizeof count_keys / sizeof *count_keys; i++)
		if (f(ctx, count_keys[i]))
			return true;
	for (int i = 0; i < FIGURE_F + (int)settings.betas.n; i++) {
		metrics_key(key, i, &settings.betas);
		if (f(ctx, key))
			return true;
	}
	for (int i = 0; i < N_GENERATION_FIGURES; i++)
		if (f(ctx, generation_key(i)))
			return true;
	return false;
}

static bool
is_key(void *ctx, const char *key)
{
	return strcmp(ctx, key) == 0;
}

struct nearest {
	const char *name;
	char key[METRICS_KEY_MAX];
	int distance;
};

/* "f1" is near "classification/f1.0": what stands before the slash may be left out. */
static bool
take_nearest(void *ctx, const char *key)
{
	struct nearest *n = ctx;
	const char *slash = strchr(key, '/');
	int d = near_distance(n->name, key), short_d = slash ? near_distance(n->name, slash + 1) : d;
	if (short_d < d)
		d = short_d;
	if (strlen(n->name) > 1 && strstr(key, n->name))
		d = 0;
	if (d < n->distance) {
		n->distance = d;
		snprintf(n->key, sizeof n->key, "%s", key);
	}
	return false;
}

static void
check_key(const char *option, const char *text, char *key, bool has_loss)
{
	if (each_key(has_loss, is_key, key))
		return;
	struct nearest n = {.name = key, .distance = NEAR_MAX};
	each_key(has_loss, take_nearest, &n);
	die_usage("--%s '%s': there is no figure '%s' here; the nearest is '%s'", option, text, key, n.key);
}

/* The first operator in the text: which of the table, and where it stands. */
static bool
find_operator(const char *text, size_t *which, size_t *at)
{
	*at = strcspn(text, "<>=!");
	for (*which = 0; *which < sizeof operators / sizeof *operators; ++*which)
		if (strncmp(text + *at, operators[*which].text, strlen(operators[*which].text)) == 0)
			return true;
	return false;
}

static char *
trimmed(const char *text, size_t n)
{
	while (n && *text == ' ')
		text++, n--;
	while (n && text[n - 1] == ' ')
		n--;
	return xstrndup(text, n);
}

static void
parse(struct gate *g, const char *text)
{
	size_t which = 0, at = 0;
	g->text = text;
	if (!find_operator(text, &which, &at) || at == 0)
		die_usage("--require '%s' is not KEY, one of >= <= > < == !=, and a number", text);
	const char *behind = text + at + strlen(operators[which].text);
	g->key = trimmed(text, at);
	g->op = operators[which].op;
	char *number = trimmed(behind, strlen(behind)), *end;
	g->limit = strtod(number, &end);
	if (end == number || *end || !isfinite(g->limit))
		die_usage("--require '%s': '%s' is not a number", text, number);
	free(number);
}

void
gates_parse(bool has_loss)
{
	n_gates = settings.require.n;
	gates = xcalloc(n_gates, sizeof *gates);
	for (size_t i = 0; i < n_gates; i++) {
		parse(&gates[i], settings.require.item[i]);
		check_key("require", gates[i].text, gates[i].key, has_loss);
	}
	char *figure = settings.baseline_figure ? xstrdup(settings.baseline_figure) : NULL;
	if (figure)
		check_key("baseline-figure", figure, figure, has_loss);
	free(figure);
}

/* ---- deciding ---- */

static bool
holds(const struct gate *g, double v)
{
	switch (g->op) {
	case AT_LEAST:
		return v >= g->limit;
	case AT_MOST:
		return v <= g->limit;
	case EQUAL:
		return v == g->limit;
	case UNEQUAL:
		return v != g->limit;
	case ABOVE:
		return v > g->limit;
	case BELOW:
		return v < g->limit;
	}
	return false;
}

/* A figure without a value meets no requirement, "!=" included. */
static bool
decide(const struct gate *g, const json_t *v)
{
	if (json_is_number(v) && holds(g, json_number_value(v)))
		return true;
	if (json_is_number(v)) {
		char text[NUM_TEXT];
		num_text(text, json_number_value(v));
		log_error("not passed: '%s': it is %s", g->text, text);
	} else {
		log_error("not passed: '%s': it has no value%s", g->text,
			v ? ", being undefined for these data" : " in this evaluation");
	}
	return false;
}

bool
gates_pass(const struct subject *s)
{
	bool all = true;
	json_t *list = json_array();
	for (size_t i = 0; i < n_gates; i++) {
		const json_t *v = json_object_get(s->figures, gates[i].key);
		bool passed = decide(&gates[i], v);
		json_array_append_new(list, json_pack("{s:s, s:O, s:b}", "require", gates[i].text, "value", v ? v : json_null(),
			"passed", passed));
		all = all && passed;
	}
	if (n_gates)
		json_object_set_new(s->figures, "gates", list);
	else
		json_decref(list);
	return all;
}

/* What each run is: settings, data, base, program and machine. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { SETTINGS_MAX = 1000 };  /* more than that is no run.json of ours */

/* A value as people write it; nothing for null. */
static void
put_value(struct buf *b, const json_t *v)
{
	if (!v || json_is_null(v)) {
		buf_puts(b, "\xe2\x80\x93");
	} else if (json_is_string(v)) {
		put_text_n(b, json_string_value(v), json_string_length(v));
	} else if (json_is_integer(v) && json_integer_value(v) >= 10000) {
		put_count(b, (double)json_integer_value(v));
	} else if (json_is_boolean(v)) {
		buf_puts(b, json_is_true(v) ? "yes" : "no");
	} else {
		char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
		put_text(b, text ? text : "?");
		free(text);
	}
}

/* One name and value of a list. */
static void
put_fact(struct buf *b, const char *name, const json_t *v)
{
	if (!v)
		return;
	buf_puts(b, "<div><dt>");
	put_text(b, name);
	buf_puts(b, "</dt><dd>");
	put_value(b, v);
	buf_puts(b, "</dd></div>\n");
}

/* ---- provenance ---- */

static const struct {
	const char *name, *group, *key;
} facts[] = {
	{"base", "base", "path"},
	{"architecture", "base", "model_type"},
	{"parameters", "base", "parameters"},
	{"trained", "base", "trained_parameters"},
	{"base's fingerprint", "base", "fingerprint"},
	{"steps", "plan", "total_steps"},
	{"steps an epoch", "plan", "steps_per_epoch"},
	{"hone", "hone", "version"},
	{"commit", "hone", "commit"},
	{"threads", "machine", "threads"},
	{"products by", "machine", "products"},
};

static void
put_data(struct buf *b, const struct run *r, const char *which, const char *what)
{
	const json_t *d = json_object_get(json_object_get(r->info, "data"), which);
	char name[64];
	static const char *const keys[] = {"path", "examples", "tokens", "targets", "fingerprint"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		snprintf(name, sizeof name, "%s%s%s", what, i ? ": " : "", i ? keys[i] : "");
		put_fact(b, name, json_object_get(d, keys[i]));
	}
}

static void
put_provenance(struct buf *b, const struct run *r)
{
	buf_puts(b, "<dl class=\"facts two\">\n");
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		put_fact(b, facts[i].name, run_get(r, facts[i].group, facts[i].key));
	put_data(b, r, "train", "training data");
	put_data(b, r, "validation", "validation data");
	buf_puts(b, "</dl>\n");
}

/* ---- settings ---- */

static bool
differs(const struct run *runs, size_t n, const char *key)
{
	const json_t *first = run_get(&runs[0], "settings", key);
	for (size_t i = 1; i < n; i++) {
		const json_t *v = run_get(&runs[i], "settings", key);
		if (!v != !first || (v && !json_equal(v, first)))
			return true;
	}
	return false;
}

static void
put_setting_row(struct buf *b, const struct run *runs, size_t n, const char *key)
{
	buf_puts(b, "<tr><td class=\"dim\">");
	put_text(b, key);
	buf_puts(b, "</td>");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, "<td>");
		put_value(b, run_get(&runs[i], "settings", key));
		buf_puts(b, "</td>");
	}
	buf_puts(b, "</tr>\n");
}

static void
put_different(struct buf *b, const struct run *runs, size_t n, const json_t *keys)
{
	const char *key;
	json_t *ignored;
	buf_puts(b, "<div class=\"scroll\"><table><tr><th></th>");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, "<th>");
		put_run(b, runs, i);
		buf_puts(b, "</th>");
	}
	buf_puts(b, "</tr>\n");
	json_object_foreach((json_t *)keys, key, ignored)
		if (differs(runs, n, key))
			put_setting_row(b, runs, n, key);
	buf_puts(b, "</table></div>\n");
}

/* Those that all n runs have alike; of one run, all. */
static void
put_shared(struct buf *b, const struct run *runs, size_t n, const json_t *keys)
{
	const char *key;
	json_t *ignored;
	buf_puts(b, "<dl class=\"facts\">\n");
	json_object_foreach((json_t *)keys, key, ignored)
		if (!differs(runs, n, key))
			put_fact(b, key, run_get(&runs[0], "settings", key));
	buf_puts(b, "</dl>\n");
}

static json_t *
all_keys(const struct run *runs, size_t n)
{
	json_t *keys = json_object();
	for (size_t i = 0; i < n; i++) {
		const char *key;
		json_t *v, *settings = json_object_get(runs[i].info, "settings");
		json_object_foreach(settings, key, v)
			if (json_object_size(keys) < SETTINGS_MAX)
				json_object_set_new(keys, key, json_true());
	}
	return keys;
}

void
put_settings(struct buf *b, const struct run *runs, size_t n)
{
	json_t *keys = all_keys(runs, n);
	buf_puts(b, "<section><h2>Settings</h2>\n<div class=\"card\">\n");
	if (n > 1) {
		put_different(b, runs, n, keys);
		buf_puts(b, "<details><summary>settings that all runs share</summary>\n");
	}
	put_shared(b, runs, n, keys);
	buf_puts(b, n > 1 ? "</details>\n" : "");
	json_decref(keys);
	buf_puts(b, "</div></section>\n<section><h2>Provenance</h2>\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(b, "<div class=\"card\"%s>", i ? " style=\"margin-top:14px\"" : "");
		if (n > 1) {
			buf_puts(b, "<p>");
			put_run(b, runs, i);
			buf_puts(b, "</p>");
		}
		put_provenance(b, &runs[i]);
		buf_puts(b, "</div>\n");
	}
	buf_puts(b, "</section>\n");
}

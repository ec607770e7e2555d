/* The top of the page: what came out, how long it took. One run as tiles, several as a table. */
#include <math.h>
#include <string.h>

#include "report.h"

static double
last(const struct run *r, const char *key)
{
	return r->n_evals ? run_eval(r, r->n_evals - 1, key) : NAN;
}

static double
setting(const struct run *r, const char *key)
{
	const json_t *v = run_get(r, "settings", key);
	double x = json_is_number(v) ? json_number_value(v) : NAN;
	return fabs(x) < RUN_NUMBER_MAX ? x : NAN;
}

/* The 95 % interval of a classification figure of the last evaluation; whether there is one. */
static bool
interval(const struct run *r, const char *figure, double *low, double *high)
{
	const json_t *all = r->n_evals ? json_object_get(run_last_eval(r), "classification/intervals") : NULL;
	const json_t *pair = json_object_get(all, figure), *a = json_array_get(pair, 0), *b = json_array_get(pair, 1);
	*low = json_is_number(a) ? json_number_value(a) : NAN;
	*high = json_is_number(b) ? json_number_value(b) : NAN;
	return fabs(*low) < RUN_NUMBER_MAX && fabs(*high) < RUN_NUMBER_MAX;
}

static double
last_step(const struct run *r)
{
	return r->n_train ? r->train[TRAIN_STEP][r->n_train - 1] : NAN;
}

/* ---- one line ---- */

static const char *
last_part(const char *path)
{
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n > 0 && path[n - 1] != '/')
		n--;
	return path + n;
}

static void
put_state(struct buf *b, const struct run *r)
{
	const json_t *total = run_get(r, "plan", "total_steps");
	if (r->finished) {
		put_count(b, last_step(r));
		buf_puts(b, " steps");
		return;
	}
	buf_puts(b, "not finished: step ");
	put_count(b, last_step(r));
	buf_puts(b, " of ");
	put_count(b, json_is_integer(total) ? (double)json_integer_value(total) : NAN);
}

static void
put_subtitle(struct buf *b, const struct run *r)
{
	const char *base = run_text(r, "base", "path"), *method = run_text(r, "settings", "method");
	double rank = setting(r, "lora-r");
	buf_puts(b, "<p class=\"sub\">");
	if (base)
		put_text(b, last_part(base));
	buf_puts(b, " \xc2\xb7 ");
	if (method && strcmp(method, "full") == 0)
		buf_puts(b, "all weights");
	else if (!isnan(rank))
		buf_printf(b, "LoRA, r %.0f", rank);
	buf_puts(b, " \xc2\xb7 ");
	put_state(b, r);
	buf_puts(b, "</p>\n");
}

/* ---- tiles ---- */

static void
tile_begin(struct buf *b, const char *name)
{
	buf_printf(b, "<div class=\"card tile\"><span>%s</span><b>", name);
}

static void
put_best(struct buf *b, const struct run *r, const char *key, bool lower)
{
	size_t i = run_best(r, key, lower);
	if (i + 1 >= r->n_evals)
		return;
	buf_puts(b, "<span>best ");
	put_figure(b, run_eval(r, i, key));
	buf_printf(b, ", ep. %.2g</span>", run_eval(r, i, "epoch"));
}

static void
figure_tile(struct buf *b, const struct run *r, const char *name, const char *key, bool lower)
{
	double v = last(r, key), low, high;
	const char *figure = strchr(key, '/');
	if (isnan(v))
		return;
	tile_begin(b, name);
	put_figure(b, v);
	buf_puts(b, "</b>");
	if (figure && interval(r, figure + 1, &low, &high)) {
		buf_puts(b, "<span>95 %: ");
		put_figure(b, low);
		buf_puts(b, "\xe2\x80\x93");
		put_figure(b, high);
		buf_puts(b, "</span>");
	}
	put_best(b, r, key, lower);
	buf_puts(b, "</div>\n");
}

static void
cost_tiles(struct buf *b, const struct run *r)
{
	tile_begin(b, "Training time");
	put_duration(b, run_seconds(r));
	buf_puts(b, "</b><span>without evaluations</span></div>\n");
	tile_begin(b, "Speed");
	put_count(b, run_speed(r));
	buf_puts(b, "</b><span>tokens per second</span></div>\n");
	tile_begin(b, "Memory");
	put_bytes(b, run_memory(r));
	buf_puts(b, "</b><span>at most</span></div>\n");
}

static void
put_tiles(struct buf *b, const struct run *r)
{
	buf_puts(b, "<div class=\"tiles\">\n");
	figure_tile(b, r, "Accuracy", "classification/accuracy", false);
	figure_tile(b, r, "Macro F1", "classification/macro_f1_score", false);
	figure_tile(b, r, "AUROC", "classification/auroc", false);
	figure_tile(b, r, "Validation loss", "loss", true);
	if (isnan(last(r, "classification/accuracy")))
		figure_tile(b, r, "Token accuracy", "token_accuracy", false);
	cost_tiles(b, r);
	buf_puts(b, "</div>\n");
}

/* ---- a table of runs ---- */

/* Whether run i has the best value of all. */
static bool
is_best(const struct run *runs, size_t n, size_t i, const char *key, bool lower)
{
	double v = last(&runs[i], key);
	for (size_t k = 0; k < n; k++) {
		double other = last(&runs[k], key);
		if (lower ? other < v : other > v)
			return false;
	}
	return !isnan(v);
}

static const struct {
	const char *name, *key;
	bool lower;
} compared[] = {
	{"val. loss", "loss", true},
	{"token acc.", "token_accuracy", false},
	{"accuracy", "classification/accuracy", false},
	{"macro F1", "classification/macro_f1_score", false},
	{"AUROC", "classification/auroc", false},
};

enum { COMPARED = sizeof compared / sizeof *compared };

static bool
any_has(const struct run *runs, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!isnan(last(&runs[i], key)))
			return true;
	return false;
}

static void
put_row(struct buf *b, const struct run *runs, size_t n, size_t i)
{
	const struct run *r = &runs[i];
	const char *method = run_text(r, "settings", "method");
	buf_puts(b, "<tr><td>");
	put_run(b, runs, i);
	if (!r->finished)
		buf_puts(b, " <span class=\"dim\">(not finished)</span>");
	buf_puts(b, "</td><td>");
	put_text(b, method ? method : "");
	buf_printf(b, "</td><td class=\"n\">%.3g</td><td class=\"n\">", setting(r, "learning-rate"));
	put_count(b, last_step(r));
	buf_puts(b, "</td>");
	for (size_t c = 0; c < COMPARED; c++)
		if (any_has(runs, n, compared[c].key)) {
			buf_printf(b, "<td class=\"n%s\">", is_best(runs, n, i, compared[c].key, compared[c].lower) ? " best" : "");
			put_figure(b, last(r, compared[c].key));
			buf_puts(b, "</td>");
		}
	buf_puts(b, "<td class=\"n\">");
	put_duration(b, run_seconds(r));
	buf_puts(b, "</td><td class=\"n\">");
	put_count(b, run_speed(r));
	buf_puts(b, "</td><td class=\"n\">");
	put_bytes(b, run_memory(r));
	buf_puts(b, "</td></tr>\n");
}

static void
put_table(struct buf *b, const struct run *runs, size_t n)
{
	buf_puts(b, "<div class=\"card scroll\" style=\"margin-top:24px\"><table><tr><th>run</th><th>method</th>"
		"<th class=\"n\">rate</th><th class=\"n\">steps</th>");
	for (size_t c = 0; c < COMPARED; c++)
		if (any_has(runs, n, compared[c].key))
			buf_printf(b, "<th class=\"n\">%s</th>", compared[c].name);
	buf_puts(b, "<th class=\"n\">time</th><th class=\"n\">tokens/s</th><th class=\"n\">memory</th></tr>\n");
	for (size_t i = 0; i < n; i++)
		put_row(b, runs, n, i);
	buf_puts(b, "</table></div>\n<p class=\"note\">Figures of each run's last evaluation; the best of a column is bold.</p>\n");
}

void
put_summary(struct buf *b, const struct run *runs, size_t n)
{
	if (n == 1)
		put_subtitle(b, &runs[0]);
	buf_puts(b, "</header>\n");
	if (n == 1)
		put_tiles(b, &runs[0]);
	else
		put_table(b, runs, n);
}

/* Which charts a report has: what training logged by step, and what evaluations found by epoch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

struct charts {
	struct chart *v;
	size_t n, cap;
};

static struct chart *
add(struct charts *all, const char *title, const char *x_name)
{
	GROW(all->v, all->cap, all->n + 1);
	struct chart *c = &all->v[all->n++];
	*c = (struct chart){.title = title, .x_name = x_name, .y_max = NAN};
	return c;
}

/* Takes the last chart back when nothing is in it. */
static void
drop_empty(struct charts *all)
{
	struct chart *c = &all->v[all->n - 1];
	size_t points = 0;
	for (size_t i = 0; i < c->n; i++)
		points += c->series[i].n;
	if (points == 0) {
		chart_release(c);
		all->n--;
	}
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The value below which 85 % of all drawn values lie, and the highest. */
static double
usual_height(const struct chart *c, double *highest)
{
	size_t n = 0, at = 0;
	for (size_t s = 0; s < c->n; s++)
		n += c->series[s].n;
	double *v = xcalloc(n + 1, sizeof *v);
	for (size_t s = 0; s < c->n; s++)
		for (size_t i = 0; i < c->series[s].n; i++)
			v[at++] = c->series[s].y[i];
	qsort(v, n, sizeof *v, by_size);
	double usual = n ? v[(n - 1) * 85 / 100] : NAN;
	*highest = n ? v[n - 1] : NAN;
	free(v);
	return usual;
}

/* The first steps of a run can be so far off that nothing else could be told apart: the scale ends below them then, and the
 * note says so. */
static void
cut_peaks(struct chart *c)
{
	double highest, usual = usual_height(c, &highest);
	if (!(highest > 3 * usual && usual > 0))
		return;
	size_t at = strlen(c->note);
	c->y_max = 1.5 * usual;
	snprintf(c->note + at, sizeof c->note - at, "%sbeyond the scale: up to %.3g", at ? "; " : "", highest);
}

/* ---- training, by step ---- */

/* Over how many steps the mean of a run of n logged steps goes: an odd number. */
static double
smoothing_span(size_t n)
{
	return 2 * floor((double)n / 60) + 1;
}

/* The values faint and their mean on top, where there are enough to be smoothed. */
static void
add_smoothed(struct chart *c, const struct run *r, size_t run, int column, const char *name)
{
	const double *x = r->train[TRAIN_STEP], *y = r->train[column];
	double span = smoothing_span(r->n_train);
	if (span < 3) {
		struct series *s = chart_add(c, x, y, r->n_train);
		s->run = run;
		s->name = name;
		return;
	}
	double *mean = xcalloc(r->n_train, sizeof *mean);
	smooth(mean, y, r->n_train, (size_t)span / 2);
	struct series *faint = chart_add(c, x, y, r->n_train);
	faint->run = run;
	faint->style = SERIES_FAINT;
	struct series *s = chart_add(c, x, mean, r->n_train);
	s->run = run;
	s->name = name;
	free(mean);
}

static void
training_chart(struct charts *all, const struct run *runs, size_t n, int column, const char *title, bool smoothed,
	bool from_zero)
{
	struct chart *c = add(all, title, "step");
	c->from_zero = from_zero;
	for (size_t i = 0; i < n; i++) {
		if (smoothed) {
			add_smoothed(c, &runs[i], i, column, NULL);
			continue;
		}
		chart_add(c, runs[i].train[TRAIN_STEP], runs[i].train[column], runs[i].n_train)->run = i;
	}
	cut_peaks(c);
	drop_empty(all);
}

/* ---- evaluations ---- */

static struct series *
add_evaluations(struct chart *c, const struct run *r, size_t run, const char *x_key, const char *key)
{
	double *x = xcalloc(r->n_evals, sizeof *x), *y = xcalloc(r->n_evals, sizeof *y);
	for (size_t i = 0; i < r->n_evals; i++) {
		x[i] = run_eval(r, i, x_key);
		y[i] = run_eval(r, i, key);
	}
	struct series *s = chart_add(c, x, y, r->n_evals);
	s->run = run;
	s->style = SERIES_DOTS;
	free(x);
	free(y);
	return s;
}

static void
evaluation_chart(struct charts *all, const struct run *runs, size_t n, const char *key, const char *title, bool share)
{
	struct chart *c = add(all, title, "epoch");
	c->y_max = share ? 1 : NAN;
	for (size_t i = 0; i < n; i++)
		add_evaluations(c, &runs[i], i, "epoch", key);
	drop_empty(all);
}

/* Training and validation loss of one run on one scale; of several, each in a chart of its own. */
static void
loss_charts(struct charts *all, const struct run *runs, size_t n)
{
	struct chart *c = add(all, n == 1 ? "Loss" : "Training loss", "step");
	size_t longest = 0;
	for (size_t i = 0; i < n; i++) {
		longest = runs[i].n_train > longest ? runs[i].n_train : longest;
		add_smoothed(c, &runs[i], i, TRAIN_LOSS, n == 1 ? "training" : NULL);
	}
	if (smoothing_span(longest) >= 3)
		snprintf(c->note, sizeof c->note, "mean over %.0f steps; faint: every step", smoothing_span(longest));
	if (n == 1)
		add_evaluations(c, &runs[0], 1, "step", "loss")->name = "validation";
	cut_peaks(c);
	drop_empty(all);
	if (n > 1)
		evaluation_chart(all, runs, n, "loss", "Validation loss", false);
}

/* Steps an epoch, where all runs agree; else 0. */
static double
common_epoch(const struct run *runs, size_t n)
{
	double common = 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = run_get(&runs[i], "plan", "steps_per_epoch");
		double steps = json_is_integer(v) ? (double)json_integer_value(v) : 0;
		if (!(steps >= 1) || (i > 0 && steps != common))
			return 0;
		common = steps;
	}
	return common;
}

size_t
curves_make(struct chart **charts, const struct run *runs, size_t n)
{
	struct charts all = {0};
	loss_charts(&all, runs, n);
	evaluation_chart(&all, runs, n, "classification/accuracy", "Accuracy", true);
	evaluation_chart(&all, runs, n, "classification/macro_f1_score", "Macro F1", true);
	evaluation_chart(&all, runs, n, "classification/auroc", "AUROC", true);
	evaluation_chart(&all, runs, n, "classification/log_loss", "Log loss of the labels", false);
	evaluation_chart(&all, runs, n, "classification/expected_calibration_error", "Calibration error", false);
	evaluation_chart(&all, runs, n, "token_accuracy", "Token accuracy", true);
	evaluation_chart(&all, runs, n, "sequence_accuracy", "Sequence accuracy", true);
	training_chart(&all, runs, n, TRAIN_RATE, "Learning rate", false, true);
	training_chart(&all, runs, n, TRAIN_GRAD_NORM, "Gradient norm, before clipping", true, true);
	training_chart(&all, runs, n, TRAIN_SPEED, "Tokens per second", true, true);
	double epoch = common_epoch(runs, n);
	for (size_t i = 0; i < all.n; i++)
		all.v[i].epoch = strcmp(all.v[i].x_name, "step") == 0 ? epoch : 0;
	*charts = all.v;
	return all.n;
}

void
curves_free(struct chart *charts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		chart_release(&charts[i]);
	free(charts);
}

/* Metrics as JSON and as a table for people. */
#include <math.h>

#include "base/json.h"
#include "base/plain.h"
#include "eval/metrics.h"

enum { PRINTED_CONFUSION_MAX = 20 };  /* classes whose matrix still fits a terminal */

/* ---- JSON ---- */

static void
put(json_t *o, const char *key, double v)
{
	json_object_set_new(o, key, json_number(v));
}

static void
put_binary(json_t *o, const struct metrics *m)
{
	json_object_set_new(o, "classification/positive_class", json_string(m->class[m->positive].name));
	put(o, "classification/precision", m->precision);
	put(o, "classification/recall", m->recall);
	put(o, "classification/auroc", m->auroc);
	put(o, "classification/auprc", m->auprc);
	for (size_t i = 0; i < m->betas.n; i++) {
		char key[METRICS_KEY_MAX];
		metrics_beta_key(key, m->betas.v[i]);
		put(o, key, m->f[i]);
	}
}

static json_t *
classes_json(const struct metrics *m)
{
	json_t *all = json_array();
	for (const struct metrics_class *c = m->class; c < m->class + m->K; c++) {
		json_t *o = json_object();
		json_object_set_new(o, "name", json_string(c->name));
		json_object_set_new(o, "support", json_integer(c->support));
		json_object_set_new(o, "predicted", json_integer(c->predicted));
		put(o, "precision", c->precision);
		put(o, "recall", c->recall);
		put(o, "f1", c->f1);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *
confusion_json(const struct metrics *m)
{
	json_t *rows = json_array();
	for (int t = 0; t < m->K; t++) {
		json_t *row = json_array();
		for (int k = 0; k < m->K; k++)
			json_array_append_new(row, json_integer(m->confusion[(size_t)t * (size_t)m->K + (size_t)k]));
		json_array_append_new(rows, row);
	}
	return rows;
}

/* How many figures there are: those of a positive class come last. */
static int
n_figures(const struct metrics *m)
{
	return m->positive < 0 ? FIGURE_PRECISION : FIGURE_F + (int)m->betas.n;
}

static json_t *
intervals_json(const struct metrics *m)
{
	json_t *o = json_pack("{s:f, s:i, s:I}", "level", 0.95, "resamples", m->bootstrap.resamples, "seed",
		(json_int_t)m->bootstrap.seed);
	for (int i = 0; i < n_figures(m); i++) {
		char key[METRICS_KEY_MAX];
		const struct interval *x = &m->interval[i];
		metrics_key(key, i, &m->betas);
		json_t *pair = isfinite(x->low) ? json_pack("[f, f]", x->low, x->high) : json_null();
		json_object_set_new(o, key + sizeof "classification/" - 1, pair);
	}
	return o;
}

json_t *
metrics_json(const struct metrics *m)
{
	json_t *o = json_object();
	json_object_set_new(o, "classification/examples", json_integer(m->examples));
	json_object_set_new(o, "classification/unlabelled", json_integer(m->unlabelled));
	json_object_set_new(o, "classification/abstentions", json_integer(m->abstentions));
	put(o, "classification/accuracy", m->accuracy);
	put(o, "classification/weighted_f1_score", m->weighted_f1);
	put(o, "classification/macro_f1_score", m->macro_f1);
	put(o, "classification/micro_f1_score", m->micro_f1);
	if (m->positive >= 0)
		put_binary(o, m);
	put(o, "classification/mcc", m->mcc);
	put(o, "classification/kappa", m->kappa);
	put(o, "classification/log_loss", m->log_loss);
	put(o, "classification/expected_calibration_error", m->ece);
	put(o, "classification/mass_outside_labels", m->outside);
	if (m->bootstrap.resamples)
		json_object_set_new(o, "classification/intervals", intervals_json(m));
	json_object_set_new(o, "classification/classes", classes_json(m));
	if (m->confusion)
		json_object_set_new(o, "classification/confusion", confusion_json(m));
	return o;
}

/* ---- text ---- */

/* A name between quotes: a leading space is often part of it. */
static void
print_name(FILE *f, const char *name)
{
	fputc('\'', f);
	plain_put(f, name);
	fputc('\'', f);
}

static void
print_figure(FILE *f, const char *name, double v, const struct metrics *m, int figure)
{
	const struct interval *x = &m->interval[figure];
	if (!isfinite(v))
		fprintf(f, "%-28s -\n", name);
	else if (m->bootstrap.resamples && isfinite(x->low))
		fprintf(f, "%-28s %.4f   %.4f to %.4f\n", name, v, x->low, x->high);
	else
		fprintf(f, "%-28s %.4f\n", name, v);
}

static void
print_binary(FILE *f, const struct metrics *m)
{
	fprintf(f, "%-28s ", "positive class");
	print_name(f, m->class[m->positive].name);
	fputc('\n', f);
	print_figure(f, "precision", m->precision, m, FIGURE_PRECISION);
	print_figure(f, "recall", m->recall, m, FIGURE_RECALL);
	for (size_t i = 0; i < m->betas.n; i++) {
		char key[METRICS_KEY_MAX];
		metrics_beta_key(key, m->betas.v[i]);
		print_figure(f, key + sizeof "classification/" - 1, m->f[i], m, FIGURE_F + (int)i);
	}
	print_figure(f, "auroc", m->auroc, m, FIGURE_AUROC);
	print_figure(f, "auprc", m->auprc, m, FIGURE_AUPRC);
}

static void
print_cell(FILE *f, double v)
{
	if (isfinite(v))
		fprintf(f, " %9.4f", v);
	else
		fprintf(f, " %9s", "-");
}

/* Names stand last in a line: their width on a terminal is not known. */
static void
print_classes(FILE *f, const struct metrics *m)
{
	fprintf(f, "\n%10s %10s %9s %9s %9s  class\n", "support", "predicted", "precision", "recall", "f1");
	for (const struct metrics_class *c = m->class; c < m->class + m->K; c++) {
		fprintf(f, "%10lld %10lld", (long long)c->support, (long long)c->predicted);
		print_cell(f, c->precision);
		print_cell(f, c->recall);
		print_cell(f, c->f1);
		fputs("  ", f);
		print_name(f, c->name);
		fputc('\n', f);
	}
}

static void
print_confusion(FILE *f, const struct metrics *m)
{
	if (!m->confusion || m->K > PRINTED_CONFUSION_MAX)
		return;
	fputs("\nconfusion: a row for each label, a column for each prediction, both in the order above\n", f);
	for (int t = 0; t < m->K; t++) {
		for (int k = 0; k < m->K; k++)
			fprintf(f, "%7lld", (long long)m->confusion[(size_t)t * (size_t)m->K + (size_t)k]);
		fputs("  ", f);
		print_name(f, m->class[t].name);
		fputc('\n', f);
	}
}

void
metrics_print(FILE *f, const struct metrics *m)
{
	fprintf(f, "%-28s %lld\n", "with a label", (long long)m->examples);
	if (m->unlabelled)
		fprintf(f, "%-28s %lld (left out)\n", "without a label", (long long)m->unlabelled);
	if (m->abstentions)
		fprintf(f, "%-28s %lld (count as wrong)\n", "without a prediction", (long long)m->abstentions);
	if (m->bootstrap.resamples && m->examples)
		fprintf(f, "%-28s of 95 %%, by %d resamples (seed %llu)\n", "intervals", m->bootstrap.resamples,
			(unsigned long long)m->bootstrap.seed);
	print_figure(f, "accuracy", m->accuracy, m, FIGURE_ACCURACY);
	print_figure(f, "weighted f1", m->weighted_f1, m, FIGURE_WEIGHTED_F1);
	print_figure(f, "macro f1", m->macro_f1, m, FIGURE_MACRO_F1);
	print_figure(f, "micro f1", m->micro_f1, m, FIGURE_MICRO_F1);
	if (m->positive >= 0)
		print_binary(f, m);
	print_figure(f, "mcc", m->mcc, m, FIGURE_MCC);
	print_figure(f, "kappa", m->kappa, m, FIGURE_KAPPA);
	print_figure(f, "log loss", m->log_loss, m, FIGURE_LOG_LOSS);
	print_figure(f, "expected calibration error", m->ece, m, FIGURE_ECE);
	print_figure(f, "mass outside labels", m->outside, m, FIGURE_OUTSIDE);
	print_classes(f, m);
	print_confusion(f, m);
}

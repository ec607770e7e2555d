#include "eval/metrics.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

/* ---- betas ---- */

static bool
has_beta(const struct metrics_betas *b, double beta)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i] == beta)
			return true;
	return false;
}

int
metrics_betas_set(struct metrics_betas *b, const double *betas, size_t n, struct err *e)
{
	*b = (struct metrics_betas){.v = {1.0}, .n = 1};
	for (size_t i = 0; i < n; i++) {
		if (!(betas[i] >= 0.001 && betas[i] <= 1000))
			return err_set(e, ERR_USAGE, "beta %g is not within 0.001 and 1000", betas[i]);
		if (has_beta(b, betas[i]))
			continue;
		if (b->n == METRICS_BETAS_MAX)
			return err_set(e, ERR_USAGE, "more than %d betas", METRICS_BETAS_MAX - 1);
		b->v[b->n++] = betas[i];
	}
	return 0;
}

int
metrics_betas_parse(struct metrics_betas *b, const char *text, struct err *e)
{
	double v[METRICS_BETAS_MAX];
	size_t n = 0;
	for (const char *p = text; p && *p;) {
		char *end;
		if (n == METRICS_BETAS_MAX)
			return err_set(e, ERR_USAGE, "more than %d betas", METRICS_BETAS_MAX - 1);
		v[n++] = strtod(p, &end);
		if (end == p || (*end && *end != ','))
			return err_set(e, ERR_USAGE, "'%s' is not a list of betas (0.5,2)", text);
		p = *end ? end + 1 : end;
	}
	return metrics_betas_set(b, v, n, e);
}

void
metrics_beta_key(char key[METRICS_KEY_MAX], double beta)
{
	char text[NUM_TEXT];
	num_text(text, beta);
	snprintf(key, METRICS_KEY_MAX, "classification/f%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

/* ---- keys ---- */

static const char *const names[FIGURE_F] = {
	[FIGURE_ACCURACY] = "accuracy",
	[FIGURE_WEIGHTED_F1] = "weighted_f1_score",
	[FIGURE_MACRO_F1] = "macro_f1_score",
	[FIGURE_MICRO_F1] = "micro_f1_score",
	[FIGURE_MCC] = "mcc",
	[FIGURE_KAPPA] = "kappa",
	[FIGURE_LOG_LOSS] = "log_loss",
	[FIGURE_ECE] = "expected_calibration_error",
	[FIGURE_OUTSIDE] = "mass_outside_labels",
	[FIGURE_PRECISION] = "precision",
	[FIGURE_RECALL] = "recall",
	[FIGURE_AUROC] = "auroc",
	[FIGURE_AUPRC] = "auprc",
};

void
metrics_key(char key[METRICS_KEY_MAX], int figure, const struct metrics_betas *b)
{
	if (figure >= FIGURE_F)
		metrics_beta_key(key, b->v[figure - FIGURE_F]);
	else
		snprintf(key, METRICS_KEY_MAX, "classification/%s", names[figure]);
}

int
metrics_figure(const char *key, const struct metrics_betas *b)
{
	for (int i = 0; i < FIGURE_F + (int)b->n; i++) {
		char k[METRICS_KEY_MAX];
		metrics_key(k, i, b);
		if (strcmp(k, key) == 0)
			return i;
	}
	return -1;
}

bool
metrics_lower_is_better(int figure)
{
	return figure == FIGURE_LOG_LOSS || figure == FIGURE_ECE || figure == FIGURE_OUTSIDE;
}

/* ---- counts ---- */

static void
init(struct metrics *m, const struct predictions *p)
{
	size_t K = (size_t)p->n_classes;
	m->K = p->n_classes;
	m->class = xcalloc(K, sizeof *m->class);
	for (size_t k = 0; k < K; k++)
		m->class[k].name = xstrdup(p->name[k]);
	if (K <= METRICS_CONFUSION_MAX)
		m->confusion = xcalloc(K * K, sizeof *m->confusion);
}

static void
count_rows(struct metrics *m, const struct predictions *p)
{
	for (const struct prediction *r = p->row; r < p->row + p->n; r++) {
		m->examples += r->label >= 0;
		m->unlabelled += r->label < 0;
		m->abstentions += r->label >= 0 && r->prediction < 0;
		if (m->confusion && r->label >= 0 && r->prediction >= 0)
			m->confusion[(size_t)r->label * (size_t)m->K + (size_t)r->prediction]++;
	}
}

static void
class_figures(struct metrics *m, const struct figure_counts *c)
{
	for (int k = 0; k < m->K; k++) {
		struct metrics_class *x = &m->class[k];
		x->support = c->support[k];
		x->predicted = c->predicted[k];
		x->correct = c->correct[k];
		x->precision = figure_precision(c, k);
		x->recall = figure_recall(c, k);
		x->f1 = figure_f1(c, k);
	}
}

/* ---- all of it ---- */

static void
name_figures(struct metrics *m, const double *v)
{
	m->accuracy = v[FIGURE_ACCURACY];
	m->weighted_f1 = v[FIGURE_WEIGHTED_F1];
	m->macro_f1 = v[FIGURE_MACRO_F1];
	m->micro_f1 = v[FIGURE_MICRO_F1];
	m->mcc = v[FIGURE_MCC];
	m->kappa = v[FIGURE_KAPPA];
	m->log_loss = v[FIGURE_LOG_LOSS];
	m->ece = v[FIGURE_ECE];
	m->outside = v[FIGURE_OUTSIDE];
	m->precision = v[FIGURE_PRECISION];
	m->recall = v[FIGURE_RECALL];
	m->auroc = v[FIGURE_AUROC];
	m->auprc = v[FIGURE_AUPRC];
	memcpy(m->f, v + FIGURE_F, sizeof m->f);
}

static void
resampled_figures(void *ctx, const uint32_t *weight, double *out, void *scratch)
{
	const struct figure_rows *r = ctx;
	int64_t *counts = scratch;
	struct figure_counts c = {counts, counts + r->K, counts + 2 * (size_t)r->K};
	figures_compute(out, &c, r, weight);
}

double *
metrics_resample(const struct figure_rows *r, const struct bootstrap *b)
{
	const struct bootstrap_job job = {.n = r->n, .count = FIGURES_MAX, .f = resampled_figures, .ctx = (void *)r,
		.scratch_bytes = 3 * (size_t)r->K * sizeof(int64_t)};
	return bootstrap_run(b, &job);
}

static void
find_intervals(struct metrics *m, const struct figure_rows *r)
{
	size_t R = (size_t)m->bootstrap.resamples;
	double *v = metrics_resample(r, &m->bootstrap);
	for (size_t i = 0; i < FIGURES_MAX; i++)
		m->interval[i] = v ? bootstrap_interval(v + i * R, R) : (struct interval){NAN, NAN};
	free(v);
}

int
metrics_compute(struct metrics *m, const struct predictions *p, const struct metrics_options *o,
	struct err *e)
{
	assert(p->n <= INT_MAX && o->positive >= -1 && o->positive < p->n_classes);
	*m = (struct metrics){.positive = o->positive, .bootstrap = o->bootstrap};
	init(m, p);
	if (metrics_betas_set(&m->betas, o->betas, o->n_betas, e) < 0)
		return -1;
	count_rows(m, p);
	struct figure_rows r;
	struct figure_counts c;
	double v[FIGURES_MAX];
	figure_rows_init(&r, p, o->positive, &m->betas);
	figure_counts_init(&c, m->K);
	figures_compute(v, &c, &r, NULL);
	name_figures(m, v);
	class_figures(m, &c);
	find_intervals(m, &r);
	figure_counts_release(&c);
	figure_rows_release(&r);
	return 0;
}

void
metrics_release(struct metrics *m)
{
	for (int k = 0; k < m->K; k++)
		free(m->class[k].name);
	free(m->class);
	free(m->confusion);
	*m = (struct metrics){0};
}

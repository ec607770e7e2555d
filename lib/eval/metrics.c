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

/* ---- counts ---- */

static double
ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

static double
or_zero(double v)
{
	return isnan(v) ? 0 : v;
}

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
		if (r->label < 0) {
			m->unlabelled++;
			continue;
		}
		m->examples++;
		m->class[r->label].support++;
		if (r->prediction < 0) {
			m->abstentions++;
			continue;
		}
		m->class[r->prediction].predicted++;
		m->class[r->label].correct += r->label == r->prediction;
		if (m->confusion)
			m->confusion[(size_t)r->label * (size_t)m->K + (size_t)r->prediction]++;
	}
}

/* F = (1 + beta²) PR / (beta² P + R), in counts, which is defined also where P or R alone is not. */
static double
f_beta(const struct metrics_class *c, double beta)
{
	double b2 = beta * beta;
	return ratio((1 + b2) * (double)c->correct, b2 * (double)c->support + (double)c->predicted);
}

static void
class_figures(struct metrics_class *c)
{
	c->precision = or_zero(ratio((double)c->correct, (double)c->predicted));
	c->recall = or_zero(ratio((double)c->correct, (double)c->support));
	c->f1 = or_zero(f_beta(c, 1));
}

/* Matthews' coefficient for K classes (Gorodkin 2004) and Cohen's kappa. Abstention is a further
 * class, which no example has: it adds to the sum of squares of what was predicted, and to nothing else.
 * Integers below 2^62, so that a denominator is 0 exactly when it should be. */
static void
agreement(struct metrics *m, int64_t correct)
{
	int64_t n = m->examples, tp = 0, tt = 0, pp = m->abstentions * m->abstentions;
	for (const struct metrics_class *c = m->class; c < m->class + m->K; c++) {
		tp += c->support * c->predicted;
		tt += c->support * c->support;
		pp += c->predicted * c->predicted;
	}
	double spread = (double)(n * n - tt) * (double)(n * n - pp);
	m->mcc = spread > 0 ? (double)(correct * n - tp) / sqrt(spread) : 0;
	m->kappa = 1 - ratio((double)(n * (n - correct)), (double)(n * n - tp));
}

static void
count_figures(struct metrics *m)
{
	int64_t correct = 0, predicted = 0;
	double f1 = 0, weighted = 0;
	for (struct metrics_class *c = m->class; c < m->class + m->K; c++) {
		class_figures(c);
		correct += c->correct;
		predicted += c->predicted;
		f1 += c->f1;
		weighted += c->f1 * (double)c->support;
	}
	m->accuracy = (double)correct / (double)m->examples;
	m->macro_f1 = f1 / m->K;
	m->weighted_f1 = weighted / (double)m->examples;
	m->micro_f1 = 2 * (double)correct / (double)(m->examples + predicted);
	agreement(m, correct);
}

/* ---- scores ---- */

static bool
all_scored(const struct predictions *p)
{
	for (const struct prediction *r = p->row; r < p->row + p->n; r++)
		if (r->label >= 0 && !r->n_scores)
			return false;
	return true;
}

static double
log_loss(const struct predictions *p, int64_t n)
{
	double sum = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->row[i].label >= 0)
			sum -= log(fmax(predictions_score(p, i, p->row[i].label), 1e-15));
	return sum / (double)n;
}

/* A bin's share of rows times |accuracy - mean confidence| is |right - sum of confidence| over all rows. */
static double
calibration_error(const struct predictions *p)
{
	double right[METRICS_ECE_BINS] = {0}, confidence[METRICS_ECE_BINS] = {0}, error = 0;
	int64_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct prediction *r = &p->row[i];
		if (r->label < 0 || r->prediction < 0)
			continue;
		double c = predictions_score(p, i, r->prediction);
		int bin = c > 0 ? (int)ceil(c * METRICS_ECE_BINS) - 1 : 0;
		right[bin] += r->label == r->prediction;
		confidence[bin] += c;
		n++;
	}
	for (int b = 0; b < METRICS_ECE_BINS; b++)
		error += fabs(right[b] - confidence[b]);
	return ratio(error, (double)n);
}

struct ranked {
	double p;
	bool positive;
};

static int
by_falling_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	return (x->p < y->p) - (x->p > y->p);
}

/* Examples by falling score of the positive class; the order within equal scores does not matter. */
static struct ranked *
rank_examples(const struct metrics *m, const struct predictions *p)
{
	struct ranked *v = xcalloc((size_t)m->examples, sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		int label = p->row[i].label;
		if (label >= 0)
			v[n++] = (struct ranked){predictions_score(p, i, m->positive), label == m->positive};
	}
	qsort(v, n, sizeof *v, by_falling_score);
	return v;
}

/* Area under the ROC curve by trapezoids (equal scores count one half), and average precision: the sum of
 * precision × step of recall over the distinct scores. */
static void
rank_figures(struct metrics *m, const struct predictions *p)
{
	struct ranked *v = rank_examples(m, p);
	double positives = (double)m->class[m->positive].support, negatives = (double)m->examples - positives;
	double tp = 0, fp = 0, area = 0, average = 0;
	for (size_t i = 0, next; i < (size_t)m->examples; i = next) {
		double hits = 0;
		for (next = i; next < (size_t)m->examples && v[next].p == v[i].p; next++)
			hits += v[next].positive;
		double misses = (double)(next - i) - hits;
		tp += hits;
		fp += misses;
		area += hits * (negatives - fp + misses / 2);
		average += hits * (tp / (tp + fp));
	}
	m->auroc = ratio(area, positives * negatives);
	m->auprc = ratio(average, positives);
	free(v);
}

/* ---- all of it ---- */

static void
undefine(struct metrics *m)
{
	m->accuracy = m->weighted_f1 = m->macro_f1 = m->micro_f1 = m->mcc = m->kappa = NAN;
	m->log_loss = m->ece = m->precision = m->recall = m->auroc = m->auprc = NAN;
	for (size_t i = 0; i < METRICS_BETAS_MAX; i++)
		m->f[i] = NAN;
}

static void
binary_figures(struct metrics *m)
{
	const struct metrics_class *c = &m->class[m->positive];
	m->precision = ratio((double)c->correct, (double)c->predicted);
	m->recall = ratio((double)c->correct, (double)c->support);
	for (size_t i = 0; i < m->betas.n; i++)
		m->f[i] = f_beta(c, m->betas.v[i]);
}

int
metrics_compute(struct metrics *m, const struct predictions *p, const struct metrics_options *o,
	struct err *e)
{
	assert(p->n <= INT_MAX && o->positive >= -1 && o->positive < p->n_classes);
	*m = (struct metrics){.positive = o->positive};
	undefine(m);
	init(m, p);
	if (metrics_betas_set(&m->betas, o->betas, o->n_betas, e) < 0)
		return -1;
	count_rows(m, p);
	if (m->examples == 0)
		return 0;
	count_figures(m);
	if (m->positive >= 0)
		binary_figures(m);
	if (!all_scored(p))
		return 0;
	m->log_loss = log_loss(p, m->examples);
	m->ece = calibration_error(p);
	if (m->positive >= 0)
		rank_figures(m, p);
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

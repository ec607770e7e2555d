#include "eval/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- rows as columns ---- */

static void
score_columns(struct figure_rows *r, size_t at, const struct predictions *p, size_t row)
{
	const struct prediction *x = &p->row[row];
	double c = x->prediction < 0 ? NAN : predictions_score(p, row, x->prediction);
	r->loss[at] = -log(fmax(predictions_score(p, row, x->label), 1e-15));
	r->confidence[at] = c;
	r->bin[at] = c > 0 ? (uint8_t)(ceil(c * FIGURE_ECE_BINS) - 1) : 0;
}

struct ranked {
	double score;
	uint32_t row;
};

static int
by_falling_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return (x->row > y->row) - (x->row < y->row);
}

static void
rank_rows(struct figure_rows *r, const struct predictions *p)
{
	struct ranked *v = xcalloc(r->n, sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->row[i].label >= 0) {
			v[n] = (struct ranked){predictions_score(p, i, r->positive), (uint32_t)n};
			n++;
		}
	qsort(v, n, sizeof *v, by_falling_score);
	r->rank = xcalloc(n, sizeof *r->rank);
	r->tied = xcalloc(n, sizeof *r->tied);
	for (size_t i = 0; i < n; i++) {
		r->rank[i] = v[i].row;
		r->tied[i] = i > 0 && v[i].score == v[i - 1].score;
	}
	free(v);
}

static void
count_rows(struct figure_rows *r, const struct predictions *p)
{
	r->scored = r->has_outside = true;
	for (const struct prediction *x = p->row; x < p->row + p->n; x++) {
		if (x->label < 0)
			continue;
		r->n++;
		r->scored = r->scored && x->n_scores > 0;
		r->has_outside = r->has_outside && !isnan(x->outside);
	}
	r->scored = r->scored && r->n;
	r->has_outside = r->has_outside && r->n;
}

void
figure_rows_init(struct figure_rows *r, const struct predictions *p, int positive, const struct metrics_betas *betas)
{
	*r = (struct figure_rows){.K = p->n_classes, .positive = positive, .betas = *betas};
	count_rows(r, p);
	r->label = xcalloc(r->n, sizeof *r->label);
	r->prediction = xcalloc(r->n, sizeof *r->prediction);
	r->loss = xcalloc(r->n, sizeof *r->loss);
	r->confidence = xcalloc(r->n, sizeof *r->confidence);
	r->bin = xcalloc(r->n, sizeof *r->bin);
	r->outside = xcalloc(r->n, sizeof *r->outside);
	for (size_t i = 0, at = 0; i < p->n; i++) {
		if (p->row[i].label < 0)
			continue;
		r->label[at] = p->row[i].label;
		r->prediction[at] = p->row[i].prediction;
		r->outside[at] = p->row[i].outside;
		if (r->scored)
			score_columns(r, at, p, i);
		at++;
	}
	if (r->scored && positive >= 0)
		rank_rows(r, p);
}

void
figure_rows_release(struct figure_rows *r)
{
	free(r->label);
	free(r->prediction);
	free(r->loss);
	free(r->confidence);
	free(r->bin);
	free(r->outside);
	free(r->rank);
	free(r->tied);
	*r = (struct figure_rows){0};
}

/* ---- counts ---- */

void
figure_counts_init(struct figure_counts *c, int K)
{
	c->support = xcalloc((size_t)K, sizeof *c->support);
	c->predicted = xcalloc((size_t)K, sizeof *c->predicted);
	c->correct = xcalloc((size_t)K, sizeof *c->correct);
}

void
figure_counts_release(struct figure_counts *c)
{
	free(c->support);
	free(c->predicted);
	free(c->correct);
	*c = (struct figure_counts){0};
}

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

/* F = (1 + beta²) PR / (beta² P + R), in counts, which is defined also where P or R alone is not. */
static double
f_beta(const struct figure_counts *c, int k, double beta)
{
	double b2 = beta * beta;
	return ratio((1 + b2) * (double)c->correct[k], b2 * (double)c->support[k] + (double)c->predicted[k]);
}

double
figure_precision(const struct figure_counts *c, int k)
{
	return ratio((double)c->correct[k], (double)c->predicted[k]);
}

double
figure_recall(const struct figure_counts *c, int k)
{
	return ratio((double)c->correct[k], (double)c->support[k]);
}

double
figure_f1(const struct figure_counts *c, int k)
{
	return f_beta(c, k, 1);
}

static int64_t
weight_of(const uint32_t *weight, size_t i)
{
	return weight ? weight[i] : 1;
}

/* How many rows there are, each as often as its weight says. */
static int64_t
count(struct figure_counts *c, const struct figure_rows *r, const uint32_t *weight)
{
	size_t bytes = (size_t)r->K * sizeof(int64_t);
	int64_t n = 0;
	memset(c->support, 0, bytes);
	memset(c->predicted, 0, bytes);
	memset(c->correct, 0, bytes);
	for (size_t i = 0; i < r->n; i++) {
		int64_t w = weight_of(weight, i);
		n += w;
		c->support[r->label[i]] += w;
		if (r->prediction[i] >= 0)
			c->predicted[r->prediction[i]] += w;
		if (r->prediction[i] == r->label[i])
			c->correct[r->label[i]] += w;
	}
	return n;
}

/* Matthews' coefficient for K classes (Gorodkin 2004) and Cohen's kappa. Abstention is a further
 * class, which no example has: it adds to the sum of squares of what was predicted, and to nothing else.
 * Integers below 2^62, so that a denominator is 0 exactly when it should be. */
static void
agreement(double *out, const struct figure_counts *c, int K, int64_t n, int64_t correct, int64_t predicted)
{
	int64_t tp = 0, tt = 0, pp = (n - predicted) * (n - predicted);
	for (int k = 0; k < K; k++) {
		tp += c->support[k] * c->predicted[k];
		tt += c->support[k] * c->support[k];
		pp += c->predicted[k] * c->predicted[k];
	}
	double spread = (double)(n * n - tt) * (double)(n * n - pp);
	out[FIGURE_MCC] = spread > 0 ? (double)(correct * n - tp) / sqrt(spread) : 0;
	out[FIGURE_KAPPA] = 1 - ratio((double)(n * (n - correct)), (double)(n * n - tp));
}

static void
count_figures(double *out, const struct figure_counts *c, int K, int64_t n)
{
	int64_t correct = 0, predicted = 0;
	double f1 = 0, weighted = 0;
	for (int k = 0; k < K; k++) {
		double f = or_zero(figure_f1(c, k));
		correct += c->correct[k];
		predicted += c->predicted[k];
		f1 += f;
		weighted += f * (double)c->support[k];
	}
	out[FIGURE_ACCURACY] = (double)correct / (double)n;
	out[FIGURE_MACRO_F1] = f1 / K;
	out[FIGURE_WEIGHTED_F1] = weighted / (double)n;
	out[FIGURE_MICRO_F1] = 2 * (double)correct / (double)(n + predicted);
	agreement(out, c, K, n, correct, predicted);
}

static void
binary_figures(double *out, const struct figure_counts *c, const struct figure_rows *r)
{
	out[FIGURE_PRECISION] = figure_precision(c, r->positive);
	out[FIGURE_RECALL] = figure_recall(c, r->positive);
	for (size_t i = 0; i < r->betas.n; i++)
		out[FIGURE_F + i] = f_beta(c, r->positive, r->betas.v[i]);
}

/* ---- scores ---- */

static double
weighted_mean(const double *v, const struct figure_rows *r, const uint32_t *weight, int64_t n)
{
	double sum = 0;
	for (size_t i = 0; i < r->n; i++)
		sum += (double)weight_of(weight, i) * v[i];
	return sum / (double)n;
}

/* A bin's share of rows times |accuracy - mean confidence| is |right - sum of confidence| over all rows. */
static double
calibration_error(const struct figure_rows *r, const uint32_t *weight)
{
	double right[FIGURE_ECE_BINS] = {0}, confidence[FIGURE_ECE_BINS] = {0}, error = 0, n = 0;
	for (size_t i = 0; i < r->n; i++) {
		double w = (double)weight_of(weight, i);
		if (r->prediction[i] < 0)
			continue;
		right[r->bin[i]] += r->label[i] == r->prediction[i] ? w : 0;
		confidence[r->bin[i]] += w * r->confidence[i];
		n += w;
	}
	for (int b = 0; b < FIGURE_ECE_BINS; b++)
		error += fabs(right[b] - confidence[b]);
	return ratio(error, n);
}

/* Area under the ROC curve by trapezoids (equal scores count one half), and average precision: the sum of
 * precision × step of recall over the distinct scores. */
static void
rank_figures(double *out, const struct figure_rows *r, const struct figure_counts *c, const uint32_t *weight, int64_t n)
{
	double positives = (double)c->support[r->positive], negatives = (double)n - positives;
	double tp = 0, fp = 0, area = 0, average = 0;
	for (size_t i = 0; i < r->n;) {
		double hits = 0, misses = 0;
		do {
			double w = (double)weight_of(weight, r->rank[i]);
			bool positive = r->label[r->rank[i]] == r->positive;
			hits += positive ? w : 0;
			misses += positive ? 0 : w;
		} while (++i < r->n && r->tied[i]);
		tp += hits;
		fp += misses;
		area += hits * (negatives - fp + misses / 2);
		average += hits > 0 ? hits * (tp / (tp + fp)) : 0;
	}
	out[FIGURE_AUROC] = ratio(area, positives * negatives);
	out[FIGURE_AUPRC] = ratio(average, positives);
}

/* ---- all of it ---- */

void
figures_compute(double *out, struct figure_counts *c, const struct figure_rows *r, const uint32_t *weight)
{
	for (int i = 0; i < FIGURES_MAX; i++)
		out[i] = NAN;
	int64_t n = count(c, r, weight);
	if (n == 0)
		return;
	count_figures(out, c, r->K, n);
	if (r->positive >= 0)
		binary_figures(out, c, r);
	if (r->has_outside)
		out[FIGURE_OUTSIDE] = weighted_mean(r->outside, r, weight, n);
	if (!r->scored)
		return;
	out[FIGURE_LOG_LOSS] = weighted_mean(r->loss, r, weight, n);
	out[FIGURE_ECE] = calibration_error(r, weight);
	if (r->rank)
		rank_figures(out, r, c, weight, n);
}

/* Confusion matrix, calibration and the figures of each class, out of a run's last predictions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics.h"
#include "report.h"
#include "text/unicode.h"

enum { MATRIX_MAX = 40, TABLE_MAX = 500, LABEL_SHOWN = 18 };  /* classes; classes; characters of a label */

/* ---- labels ---- */

/* How wide a character is, in narrow ones. */
static int
width_of(uint32_t c)
{
	return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xffdf) || c >= 0x1f000 ? 2 : 1;
}

/* The start of a name that fits into `max` narrow characters; its length in bytes, and its width. */
static size_t
fitting(const char *name, int max, int *width)
{
	size_t at = 0, len, n = strlen(name);
	*width = 0;
	for (; at < n; at += len) {
		uint32_t c;
		len = uni_decode(name + at, &c);
		if (*width + width_of(c) > max)
			break;
		*width += width_of(c);
	}
	return at;
}

static void
put_label(struct buf *b, const char *name)
{
	int width;
	size_t n = fitting(name, LABEL_SHOWN, &width);
	put_text_n(b, name, n);
	if (name[n])
		buf_puts(b, "\xe2\x80\xa6");
}

static int
widest(const struct metrics *m)
{
	int most = 1;
	for (int k = 0; k < m->K; k++) {
		int width;
		fitting(m->class[k].name, LABEL_SHOWN, &width);
		most = width > most ? width : most;
	}
	return most;
}

/* ---- the matrix ---- */

struct matrix {
	const struct metrics *m;
	double cell, left, top;
	bool turned;  /* column labels stand on end */
};

static void
put_cell(struct buf *b, const struct matrix *x, int t, int p)
{
	const struct metrics *m = x->m;
	int64_t n = m->confusion[(size_t)t * (size_t)m->K + (size_t)p], support = m->class[t].support;
	double share = support ? (double)n / (double)support : 0, left = x->left + p * x->cell, top = x->top + t * x->cell;
	buf_printf(b, "<g><title>label ");
	put_text(b, m->class[t].name);
	buf_puts(b, ", predicted ");
	put_text(b, m->class[p].name);
	buf_printf(b, ": %lld of %lld</title><rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\"/>",
		(long long)n, (long long)support, left + 1, top + 1, x->cell - 2, x->cell - 2);
	if (n)
		buf_printf(b, "<rect class=\"%s\" fill-opacity=\"%.3f\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\"/>",
			t == p ? "good" : "bad", 0.07 + 0.93 * share, left + 1, top + 1, x->cell - 2, x->cell - 2);
	if (x->cell >= 20)
		buf_printf(b, "<text class=\"count%s\" x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\">%lld</text>",
			!n ? " zero" : share > 0.5 ? " on" : "", left + x->cell / 2, top + x->cell / 2 + 4.2, fmin(13, x->cell / 2.6 + 2),
			(long long)n);
	buf_puts(b, "</g>\n");
}

static void
put_names(struct buf *b, const struct matrix *x)
{
	for (int k = 0; k < x->m->K; k++) {
		double middle = (k + 0.5) * x->cell;
		buf_printf(b, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", x->left - 8, x->top + middle + 4);
		put_label(b, x->m->class[k].name);
		buf_printf(b, "</text><text class=\"label\" text-anchor=\"%s\" transform=\"translate(%.1f %.1f)%s\">",
			x->turned ? "start" : "middle", x->left + middle + (x->turned ? 4 : 0), x->top - 8, x->turned ? " rotate(-90)" : "");
		put_label(b, x->m->class[k].name);
		buf_puts(b, "</text>\n");
	}
}

static void
put_matrix(struct buf *b, const struct metrics *m)
{
	double name = 6.6 * widest(m) + 8;
	struct matrix x = {.m = m, .cell = fmin(64, fmax(15, 400.0 / m->K))};
	x.turned = name > x.cell;
	x.left = fmax(name + 22, 40);
	x.top = (x.turned ? name : 14) + 26;
	double width = x.left + m->K * x.cell + 4, height = x.top + m->K * x.cell + 4;
	buf_printf(b, "<svg viewBox=\"0 0 %.0f %.0f\" style=\"max-width:%.0fpx\" role=\"img\" aria-label=\"confusion matrix\">\n"
		"<text class=\"tick\" x=\"%.1f\" y=\"12\">predicted \xe2\x86\x92</text>"
		"<text class=\"tick\" transform=\"translate(11 %.1f) rotate(-90)\" text-anchor=\"end\">label \xe2\x86\x92</text>\n",
		width, height, width, x.left + 2, x.top + 2);
	put_names(b, &x);
	for (int t = 0; t < m->K; t++)
		for (int p = 0; p < m->K; p++)
			put_cell(b, &x, t, p);
	buf_puts(b, "</svg>\n");
}

/* ---- calibration ---- */

struct bin {
	double n, right, confidence;
};

static double
fill_bins(struct bin bins[FIGURE_ECE_BINS], const struct predictions *p)
{
	double most = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct prediction *r = &p->row[i];
		double c = r->label < 0 || r->prediction < 0 ? NAN : predictions_score(p, i, r->prediction);
		if (isnan(c))
			continue;
		struct bin *x = &bins[c > 0 ? (int)ceil(c * FIGURE_ECE_BINS) - 1 : 0];
		x->n++;
		x->right += r->label == r->prediction;
		x->confidence += c;
		most = fmax(most, x->n);
	}
	return most;
}

static void
put_calibration(struct buf *b, const struct predictions *p)
{
	enum { SIZE = 300, LEFT = 44, TOP = 22 };
	struct bin bins[FIGURE_ECE_BINS] = {{0}};
	double most = fill_bins(bins, p);
	if (most == 0)
		return;
	buf_printf(b, "<figure class=\"card\"><figcaption><h3>Calibration</h3><span class=\"legend\">area: examples</span></figcaption>\n"
		"<svg viewBox=\"0 0 520 %d\" role=\"img\" aria-label=\"accuracy by confidence\">\n", TOP + SIZE + 40);
	for (int i = 0; i <= 4; i++) {
		double at = (double)SIZE * i / 4;
		buf_printf(b, "<path class=\"grid\" d=\"M%d %.1fh440M%.1f %dv%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" "
			"text-anchor=\"end\">%.2f</text><text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.2f</text>\n",
			LEFT, TOP + SIZE - at, LEFT + 440.0 * i / 4, TOP, SIZE, LEFT - 8, TOP + SIZE - at + 4, i / 4.0,
			LEFT + 440.0 * i / 4, TOP + SIZE + 17, i / 4.0);
	}
	buf_printf(b, "<path class=\"diagonal\" d=\"M%d %dL%d %d\"/>\n", LEFT, TOP + SIZE, LEFT + 440, TOP);
	for (int i = 0; i < FIGURE_ECE_BINS; i++) {
		const struct bin *x = &bins[i];
		if (x->n > 0)
			buf_printf(b, "<circle class=\"bubble\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%.0f examples: confidence %.3f, "
				"accuracy %.3f</title></circle>\n", LEFT + 440 * x->confidence / x->n, TOP + SIZE - SIZE * x->right / x->n,
				3 + 15 * sqrt(x->n / most), x->n, x->confidence / x->n, x->right / x->n);
	}
	buf_printf(b, "<text class=\"tick name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">confidence of the prediction; upwards its accuracy"
		"</text></svg></figure>\n", LEFT + 440, TOP + SIZE + 34);
}

/* ---- the table ---- */

static void
put_bar(struct buf *b, double v)
{
	buf_puts(b, "<td class=\"bar\">");
	put_figure(b, v);
	buf_printf(b, "<span style=\"--v:%.1f%%\"></span></td>", isnan(v) ? 0 : 100 * v);
}

static void
put_table(struct buf *b, const struct metrics *m)
{
	buf_puts(b, "<div class=\"card scroll\" style=\"margin-top:14px\"><table><tr><th>class</th><th class=\"n\">examples</th>"
		"<th class=\"n\">predicted</th><th class=\"n\">precision</th><th class=\"n\">recall</th><th class=\"n\">F1</th></tr>\n");
	for (const struct metrics_class *c = m->class; c < m->class + m->K && c < m->class + TABLE_MAX; c++) {
		buf_puts(b, "<tr><td><span class=\"tag\">");
		put_text(b, c->name);
		buf_puts(b, "</span></td><td class=\"n\">");
		put_count(b, (double)c->support);
		buf_puts(b, "</td><td class=\"n\">");
		put_count(b, (double)c->predicted);
		buf_puts(b, "</td>");
		put_bar(b, c->precision);
		put_bar(b, c->recall);
		put_bar(b, c->f1);
		buf_puts(b, "</tr>\n");
	}
	buf_puts(b, "</table></div>\n");
	if (m->K > TABLE_MAX)
		buf_printf(b, "<p class=\"note\">The first %d of %d classes.</p>\n", TABLE_MAX, m->K);
}

void
put_classes(struct buf *b, const struct run *r, bool named)
{
	struct metrics m;
	struct err ignored;
	if (r->rows.n == 0 || metrics_compute(&m, &r->rows, &(struct metrics_options){.positive = -1}, &ignored) < 0)
		return;
	buf_puts(b, "<section><h2>Classes");
	if (named) {
		buf_puts(b, " \xc2\xb7 ");
		put_text(b, r->name);
	}
	buf_printf(b, "</h2>\n<p class=\"note\">%lld examples of the validation data at step %lld", (long long)m.examples,
		(long long)r->rows.step);
	if (m.abstentions)
		buf_printf(b, ", %lld of them without a prediction", (long long)m.abstentions);
	buf_puts(b, "</p>\n<div class=\"pair\">\n");
	if (m.confusion && m.K <= MATRIX_MAX) {
		buf_puts(b, "<figure class=\"card\"><figcaption><h3>Confusion</h3><span class=\"legend\">shade: share of the label"
			"</span></figcaption>\n");
		put_matrix(b, &m);
		buf_puts(b, "</figure>\n");
	}
	put_calibration(b, &r->rows);
	buf_puts(b, "</div>\n");
	put_table(b, &m);
	buf_puts(b, "</section>\n");
	metrics_release(&m);
}

/* Scales, ticks and points of charts, the same for SVG and for the terminal. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* ---- scales ---- */

/* 1, 2 or 5 times a power of ten, at least x. */
static double
round_step(double x)
{
	double power = pow(10, floor(log10(x))), m = x / power;
	return (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10) * power;
}

struct scale
scale_cover(double low, double high, int n)
{
	if (!(high - low > 1e-9 * fmax(fabs(low), fabs(high)))) {
		double half = fabs(low) > 0 ? fabs(low) / 10 : 0.5;
		low -= half;
		high += half;
	}
	double step = round_step((high - low) / n);
	double digits = -floor(log10(step) + 1e-9);
	return (struct scale){floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step,
		digits > 0 ? (int)digits : 0};
}

static void
extremes(const struct chart *c, bool vertical, double *low, double *high)
{
	*low = DBL_MAX;
	*high = -DBL_MAX;
	for (size_t s = 0; s < c->n; s++)
		for (size_t i = 0; i < c->series[s].n; i++) {
			double v = vertical ? c->series[s].y[i] : c->series[s].x[i];
			*low = fmin(*low, v);
			*high = fmax(*high, v);
		}
	if (*low > *high)
		*low = *high = 0;
}

struct scale
chart_x(const struct chart *c, int n)
{
	double low, high;
	extremes(c, false, &low, &high);
	struct scale s = scale_cover(0, high > 0 ? high : 1, n);
	/* The curves go to the edge; the last tick stands where it falls. */
	s.high = high > 0 ? high : 1;
	return s;
}

struct scale
chart_y(const struct chart *c, int n)
{
	double low, high;
	extremes(c, true, &low, &high);
	if (c->from_zero && low > 0)
		low = 0;
	if (!isnan(c->y_max) && high > c->y_max)
		high = c->y_max;
	low = fmin(low, high);  /* all of it may lie beyond */
	struct scale s = scale_cover(low, high, n);
	/* A share has no tick beyond 1, nor below 0. */
	if (c->y_max == 1 && s.high > 1)
		s.high = 1;
	return s;
}

void
scale_label(const struct scale *s, double v, char text[LABEL_MAX])
{
	double most = fmax(fabs(s->low), fabs(s->high));
	if (fabs(v) < s->step / 1e6)
		snprintf(text, LABEL_MAX, "0");
	else if (most >= 1e6)
		snprintf(text, LABEL_MAX, "%.*fM", s->step >= 1e6 ? 0 : s->step >= 1e5 ? 1 : 2, v / 1e6);
	else if (most >= 1e4)
		snprintf(text, LABEL_MAX, "%.*fk", s->step >= 1e3 ? 0 : s->step >= 1e2 ? 1 : 2, v / 1e3);
	else if (most < 1e-2)
		snprintf(text, LABEL_MAX, "%.3g", v);
	else
		snprintf(text, LABEL_MAX, "%.*f", s->digits, v);
}

/* ---- series ---- */

struct series *
chart_add(struct chart *c, const double *x, const double *y, size_t n)
{
	GROW(c->series, c->cap, c->n + 1);
	struct series *s = &c->series[c->n++];
	*s = (struct series){.x = xcalloc(n, sizeof *s->x), .y = xcalloc(n, sizeof *s->y)};
	for (size_t i = 0; i < n; i++)
		if (!isnan(x[i]) && !isnan(y[i])) {
			s->x[s->n] = x[i];
			s->y[s->n++] = y[i];
		}
	return s;
}

void
chart_release(struct chart *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->series[i].x);
		free(c->series[i].y);
	}
	free(c->series);
	*c = (struct chart){0};
}

static size_t
put_point(const struct series *s, size_t i, double *x, double *y, size_t at)
{
	x[at] = s->x[i];
	y[at] = s->y[i];
	return at + 1;
}

/* Of points from .. to-1 the first, the extremes in their order, and the last. */
static size_t
thin_column(const struct series *s, size_t from, size_t to, double *x, double *y, size_t at)
{
	size_t low = from, high = from;
	for (size_t i = from; i < to; i++) {
		low = s->y[i] < s->y[low] ? i : low;
		high = s->y[i] > s->y[high] ? i : high;
	}
	size_t a = low < high ? low : high, b = low < high ? high : low;
	at = put_point(s, from, x, y, at);
	if (a > from)
		at = put_point(s, a, x, y, at);
	if (b > a)
		at = put_point(s, b, x, y, at);
	if (to - 1 > b)
		at = put_point(s, to - 1, x, y, at);
	return at;
}

size_t
series_thin(const struct series *s, const struct scale *scale, int columns, double *x, double *y)
{
	size_t n = 0;
	double width = (scale->high - scale->low) / columns;
	for (size_t from = 0, to; from < s->n; from = to) {
		double column = fmin(floor((s->x[from] - scale->low) / width), columns - 1);
		for (to = from + 1; to < s->n && fmin(floor((s->x[to] - scale->low) / width), columns - 1) <= column; to++)
			;
		n = thin_column(s, from, to, x, y, n);
	}
	return n;
}

void
smooth(double *out, const double *y, size_t n, size_t half)
{
	double sum = 0;
	size_t in = 0, from = 0, to = 0;
	for (size_t i = 0; i < n; i++) {
		for (; to < n && to <= i + half; to++)
			if (!isnan(y[to]))
				sum += y[to], in++;
		for (; from + half < i; from++)
			if (!isnan(y[from]))
				sum -= y[from], in--;
		out[i] = in ? sum / (double)in : NAN;
	}
}

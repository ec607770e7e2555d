/* A chart as SVG within the page: colours and fonts are the page's (style.c). */
#include <math.h>
#include <stdlib.h>

#include "report.h"

enum { WIDTH = 560, HEIGHT = 236, LEFT = 50, RIGHT = 10, TOP = 14, BOTTOM = 40 };
enum { EPOCHS_MARKED = 20, DOTS_MAX = 60, COLOURS = 8 };

struct plane {
	struct scale x, y;
};

static double
at_x(const struct plane *p, double v)
{
	return LEFT + (v - p->x.low) / (p->x.high - p->x.low) * (WIDTH - LEFT - RIGHT);
}

static double
at_y(const struct plane *p, double v)
{
	double share = (v - p->y.low) / (p->y.high - p->y.low);
	return HEIGHT - BOTTOM - fmin(fmax(share, -2), 3) * (HEIGHT - TOP - BOTTOM);  /* the page clips it */
}

/* ---- axes ---- */

static void
put_y_axis(struct buf *b, const struct plane *p)
{
	for (int i = 0; p->y.low + i * p->y.step <= p->y.high + p->y.step / 2; i++) {
		char label[LABEL_MAX];
		double v = p->y.low + i * p->y.step, y = at_y(p, v);
		scale_label(&p->y, v, label);
		buf_printf(b, "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 3.8, label);
	}
}

static void
put_x_axis(struct buf *b, const struct plane *p, const char *name)
{
	int base = HEIGHT - BOTTOM;
	for (int i = 0; p->x.low + i * p->x.step <= p->x.high * (1 + 1e-9); i++) {
		char label[LABEL_MAX];
		double v = p->x.low + i * p->x.step, x = at_x(p, v);
		scale_label(&p->x, v, label);
		buf_printf(b, "<path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
			x, base, x, base + 17, label);
	}
	buf_printf(b, "<path class=\"axis\" d=\"M%d %dH%d\"/><text class=\"tick name\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
		LEFT, base, WIDTH - RIGHT, WIDTH - RIGHT, base + 33, name);
}

static void
put_epochs(struct buf *b, const struct chart *c, const struct plane *p)
{
	if (c->epoch <= 0 || p->x.high / c->epoch > EPOCHS_MARKED)
		return;
	for (int i = 1; i * c->epoch < p->x.high * 0.999; i++)
		buf_printf(b, "<path class=\"epoch\" d=\"M%.1f %dV%d\"><title>end of epoch %d</title></path>\n", at_x(p, i * c->epoch),
			TOP, HEIGHT - BOTTOM, i);
}

/* ---- series ---- */

static void
put_line(struct buf *b, const struct series *s, const struct plane *p)
{
	int columns = WIDTH - LEFT - RIGHT;
	double *x = xcalloc((size_t)columns * 4, sizeof *x), *y = xcalloc((size_t)columns * 4, sizeof *y);
	size_t n = series_thin(s, &p->x, columns, x, y);
	buf_printf(b, "<path class=\"line%s c%zu\" d=\"", s->style == SERIES_FAINT ? " faint" : "", s->run % COLOURS);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%c%.1f %.1f", i ? 'L' : 'M', at_x(p, x[i]), at_y(p, y[i]));
	buf_puts(b, "\"/>\n");
	free(x);
	free(y);
}

static void
put_dots(struct buf *b, const struct chart *c, const struct series *s, const struct plane *p)
{
	for (size_t i = 0; i < s->n && s->n <= DOTS_MAX; i++)
		buf_printf(b, "<circle class=\"dot c%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>%s %.6g: %.6g</title></circle>\n",
			s->run % COLOURS, at_x(p, s->x[i]), at_y(p, s->y[i]), c->x_name, s->x[i], s->y[i]);
}

static void
put_series(struct buf *b, const struct chart *c, const struct plane *p)
{
	for (int faint = 1; faint >= 0; faint--)
		for (size_t i = 0; i < c->n; i++)
			if ((c->series[i].style == SERIES_FAINT) == faint && c->series[i].n > 1)
				put_line(b, &c->series[i], p);
	for (size_t i = 0; i < c->n; i++)
		if (c->series[i].style == SERIES_DOTS || c->series[i].n == 1)
			put_dots(b, c, &c->series[i], p);
}

/* ---- the whole ---- */

/* Beside the title: what the colours are, and where each curve ends. */
static void
put_legend(struct buf *b, const struct chart *c)
{
	buf_puts(b, "<span class=\"legend\">");
	for (size_t i = 0; i < c->n; i++) {
		const struct series *s = &c->series[i];
		if (s->style == SERIES_FAINT || s->n == 0)
			continue;
		buf_printf(b, "<span><i class=\"c%zu\"></i>", s->run % COLOURS);
		if (s->name)
			buf_printf(b, "%s ", s->name);
		buf_printf(b, "<b>%.4g</b></span>", s->y[s->n - 1]);
	}
	buf_puts(b, "</span>");
}

void
chart_svg(struct buf *b, const struct chart *c)
{
	const struct plane p = {chart_x(c, 7), chart_y(c, 4)};
	buf_printf(b, "<figure class=\"card\"><figcaption><h3>%s</h3>", c->title);
	put_legend(b, c);
	buf_printf(b, "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s by %s\">\n", WIDTH, HEIGHT, c->title,
		c->x_name);
	put_y_axis(b, &p);
	put_epochs(b, c, &p);
	put_x_axis(b, &p, c->x_name);
	buf_printf(b, "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" viewBox=\"%d %d %d %d\">\n", LEFT - 5, TOP - 5,
		WIDTH - LEFT - RIGHT + 10, HEIGHT - TOP - BOTTOM + 10, LEFT - 5, TOP - 5, WIDTH - LEFT - RIGHT + 10,
		HEIGHT - TOP - BOTTOM + 10);
	put_series(b, c, &p);
	buf_puts(b, "</svg></svg>");
	if (*c->note)
		buf_printf(b, "<p class=\"note\">%s</p>", c->note);
	buf_puts(b, "</figure>\n");
}

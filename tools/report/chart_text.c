/* A chart for the terminal. Braille characters are two dots wide and four high; without UTF-8 each run has a letter. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "text/unicode.h"

enum { ROWS = 11, LABEL_COLUMNS = 8, COLOURS = 6 };

/* ANSI colours that are legible on light and dark: blue, yellow, green, magenta, cyan, red. */
static const int ansi[COLOURS] = {34, 33, 32, 35, 36, 31};

struct canvas {
	int columns;             /* characters; ROWS high */
	bool utf8;
	int across, down;        /* dots in a character */
	unsigned char *dots;     /* [ROWS][columns]: dots set, as braille numbers them; or a letter */
	unsigned char *run;      /* [ROWS][columns]: 1 + who drew last; 0: nobody */
};

static void
set_dot(struct canvas *v, int x, int y, size_t run)
{
	static const unsigned char bit[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
	if (x < 0 || y < 0 || x >= v->columns * v->across || y >= ROWS * v->down)
		return;
	size_t at = (size_t)(y / v->down) * (size_t)v->columns + (size_t)(x / v->across);
	if (v->utf8)
		v->dots[at] |= bit[y % 4][x % 2];
	else
		v->dots[at] = (unsigned char)('a' + run % 26);
	v->run[at] = (unsigned char)(1 + run % COLOURS);
}

/* A line through every dot between two points. */
static void
draw_line(struct canvas *v, double x0, double y0, double x1, double y1, size_t run)
{
	int steps = (int)fmax(fabs(x1 - x0), fabs(y1 - y0)) + 1;
	for (int i = 0; i <= steps; i++) {
		double t = (double)i / steps;
		set_dot(v, (int)lround(x0 + t * (x1 - x0)), (int)lround(y0 + t * (y1 - y0)), run);
	}
}

static void
draw_series(struct canvas *v, const struct series *s, const struct scale *xs, const struct scale *ys)
{
	int w = v->columns * v->across - 1, h = ROWS * v->down - 1;
	double *x = xcalloc((size_t)w * 4, sizeof *x), *y = xcalloc((size_t)w * 4, sizeof *y);
	size_t n = series_thin(s, xs, w, x, y);
	for (size_t i = 0; i < n; i++) {
		x[i] = (x[i] - xs->low) / (xs->high - xs->low) * w;
		y[i] = h - fmin(fmax((y[i] - ys->low) / (ys->high - ys->low), 0), 1) * h;
		draw_line(v, i ? x[i - 1] : x[i], i ? y[i - 1] : y[i], x[i], y[i], s->run);
	}
	free(x);
	free(y);
}

/* ---- printing ---- */

static void
put_cell(struct buf *b, const struct canvas *v, size_t at, const struct terminal *t)
{
	char text[4];
	if (!v->run[at]) {
		buf_putc(b, ' ');
		return;
	}
	if (t->colour)
		buf_printf(b, "\033[%dm", ansi[v->run[at] - 1]);
	if (v->utf8)
		buf_append(b, text, uni_encode(0x2800u + v->dots[at], text));
	else
		buf_putc(b, (char)v->dots[at]);
	if (t->colour)
		buf_puts(b, "\033[0m");
}

static void
put_rows(struct buf *b, const struct canvas *v, const struct scale *ys, const struct terminal *t)
{
	for (int row = 0; row < ROWS; row++) {
		char label[LABEL_MAX] = "";
		if (row % 5 == 0)
			snprintf(label, sizeof label, "%.3g", ys->high - (ys->high - ys->low) * row / (ROWS - 1));
		buf_printf(b, "%*s %s", LABEL_COLUMNS, label, t->utf8 ? "│" : "|");
		for (int x = 0; x < v->columns; x++)
			put_cell(b, v, (size_t)row * (size_t)v->columns + (size_t)x, t);
		while (b->data[b->len - 1] == ' ')
			b->len--;
		buf_putc(b, '\n');
	}
}

static void
put_base(struct buf *b, const struct canvas *v, const struct scale *xs, const char *name, const struct terminal *t)
{
	char high[LABEL_MAX];
	buf_printf(b, "%*s %s", LABEL_COLUMNS, "", t->utf8 ? "└" : "+");
	for (int x = 0; x < v->columns; x++)
		buf_puts(b, t->utf8 ? "─" : "-");
	scale_label(xs, xs->high, high);
	buf_printf(b, "\n%*s  0%*s\n", LABEL_COLUMNS, "", v->columns - 1, "");
	b->len -= strlen(high) + strlen(name) + 2;
	buf_printf(b, "%s %s\n", name, high);
}

/* Title, and the last value of each series behind its mark. */
static void
put_title(struct buf *b, const struct chart *c, const struct terminal *t)
{
	buf_printf(b, "%s%s%s", t->colour ? "\033[1m" : "", c->title, t->colour ? "\033[0m" : "");
	for (size_t i = 0; i < c->n; i++) {
		const struct series *s = &c->series[i];
		if (s->style == SERIES_FAINT || s->n == 0)
			continue;
		buf_puts(b, "   ");
		if (t->colour)
			buf_printf(b, "\033[%dm%s\033[0m ", ansi[s->run % COLOURS], t->utf8 ? "●" : "*");
		if (s->name)
			buf_printf(b, "%s ", s->name);
		else if (c->n > 1)
			buf_printf(b, "%c ", (int)('a' + s->run % 26));
		buf_printf(b, "%.4g", s->y[s->n - 1]);
	}
	buf_putc(b, '\n');
}

void
chart_text(struct buf *b, const struct chart *c, const struct terminal *t)
{
	struct canvas v = {.columns = t->width - LABEL_COLUMNS - 2, .utf8 = t->utf8, .across = t->utf8 ? 2 : 1,
		.down = t->utf8 ? 4 : 1};
	v.dots = xcalloc(ROWS, (size_t)v.columns);
	v.run = xcalloc(ROWS, (size_t)v.columns);
	const struct scale xs = chart_x(c, 5), ys = chart_y(c, 4);
	put_title(b, c, t);
	for (size_t i = 0; i < c->n; i++)
		if (c->series[i].style != SERIES_FAINT)
			draw_series(&v, &c->series[i], &xs, &ys);
	put_rows(b, &v, &ys, t);
	put_base(b, &v, &xs, c->x_name, t);
	buf_putc(b, '\n');
	free(v.dots);
	free(v.run);
}

/* The page, and how text and numbers are put into it. */
#include <math.h>
#include <string.h>

#include "base/provenance.h"
#include "base/version.h"
#include "report.h"
#include "text/unicode.h"

/* ---- text ---- */

/* Line feeds and tabs stay; other control characters, and those that turn the direction of text, are shown as U+FFFD. */
static bool
is_steering(uint32_t c)
{
	return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
		(c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void
put_character(struct buf *b, const char *p, size_t n, uint32_t c)
{
	switch (c) {
	case '&':
		buf_puts(b, "&amp;");
		break;
	case '<':
		buf_puts(b, "&lt;");
		break;
	case '>':
		buf_puts(b, "&gt;");
		break;
	case '"':
		buf_puts(b, "&quot;");
		break;
	case '\'':
		buf_puts(b, "&#39;");
		break;
	default:
		if (is_steering(c))
			buf_puts(b, "\xef\xbf\xbd");
		else
			buf_append(b, p, n);
	}
}

void
put_text_n(struct buf *b, const char *text, size_t n)
{
	struct buf valid = {0};
	uni_append_lossy(&valid, text, n);
	for (size_t i = 0, len; i < valid.len; i += len) {
		uint32_t c;
		len = uni_decode(valid.data + i, &c);
		put_character(b, valid.data + i, len, c);
	}
	buf_release(&valid);
}

void
put_text(struct buf *b, const char *text)
{
	put_text_n(b, text, strlen(text));
}

void
put_plain(struct buf *b, const char *text)
{
	for (size_t i = 0, len, n = strlen(text); i < n; i += len) {
		uint32_t c;
		len = uni_decode(text + i, &c);
		if (is_steering(c) || c < 0x20)
			buf_puts(b, "\xef\xbf\xbd");
		else
			buf_append(b, text + i, len);
	}
}

void
put_run(struct buf *b, const struct run *runs, size_t i)
{
	buf_printf(b, "<span class=\"run\"><i class=\"c%zu\"></i>", i % 8);
	put_text(b, runs[i].name);
	buf_puts(b, "</span>");
}

/* ---- numbers ---- */

static const char dash[] = "\xe2\x80\x93";

void
put_count(struct buf *b, double v)
{
	if (isnan(v)) {
		buf_puts(b, dash);
		return;
	}
	char digits[32];
	int n = snprintf(digits, sizeof digits, "%.0f", v);
	for (int i = 0; i < n; i++) {
		buf_putc(b, digits[i]);
		if (i + 1 < n && (n - i - 1) % 3 == 0 && digits[i] != '-')
			buf_putc(b, ',');
	}
}

void
put_duration(struct buf *b, double s)
{
	if (isnan(s))
		buf_puts(b, dash);
	else if (s >= 3600)
		buf_printf(b, "%.0f h %02d min", floor(s / 3600), (int)fmod(s / 60, 60));
	else if (s >= 60)
		buf_printf(b, "%d min %02d s", (int)(s / 60), (int)fmod(s, 60));
	else
		buf_printf(b, "%.1f s", s);
}

void
put_bytes(struct buf *b, double v)
{
	if (isnan(v))
		buf_puts(b, dash);
	else if (v >= 1e9)
		buf_printf(b, "%.1f GB", v / 1e9);
	else
		buf_printf(b, "%.0f MB", v / 1e6);
}

void
put_figure(struct buf *b, double v)
{
	if (isnan(v))
		buf_puts(b, dash);
	else if (fabs(v) >= 1e5)
		buf_printf(b, "%.4g", v);
	else
		buf_printf(b, "%.*f", fabs(v) < 10 ? 3 : 1, v);
}

/* ---- the page ---- */

static void
put_title(struct buf *b, const struct run *runs, size_t n, const char *title)
{
	if (title) {
		put_text(b, title);
		return;
	}
	for (size_t i = 0; i < n && i < 4; i++) {
		buf_puts(b, i ? ", " : "");
		put_text(b, runs[i].name);
	}
	if (n > 4)
		buf_printf(b, " and %zu more", n - 4);
}

static void
put_curves(struct buf *b, const struct run *runs, size_t n)
{
	struct chart *charts;
	size_t n_charts = curves_make(&charts, runs, n);
	buf_puts(b, "<section><h2>Curves</h2>\n");
	if (n > 1) {
		buf_puts(b, "<div class=\"runs\">");
		for (size_t i = 0; i < n; i++)
			put_run(b, runs, i);
		buf_puts(b, "</div>\n");
	}
	buf_puts(b, "<div class=\"charts\">\n");
	for (size_t i = 0; i < n_charts; i++)
		chart_svg(b, &charts[i]);
	buf_puts(b, "</div></section>\n");
	curves_free(charts, n_charts);
}

void
page_write(struct buf *b, const struct run *runs, size_t n, const struct report_options *o)
{
	char hash[HASH_HEX];
	uni_init();
	buf_puts(b, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
	put_title(b, runs, n, o->title);
	buf_printf(b, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<header><h1>", page_style);
	put_title(b, runs, n, o->title);
	buf_puts(b, "</h1>\n");
	put_summary(b, runs, n);
	put_curves(b, runs, n);
	for (size_t i = 0; i < n; i++)
		put_classes(b, &runs[i], n > 1);
	for (size_t i = 0; i < n; i++)
		put_mistakes(b, &runs[i], n > 1, o->mistakes);
	put_settings(b, runs, n);
	buf_printf(b, "<footer>hone-report %s (%s)</footer>\n</main>\n</body>\n</html>\n", hone_version, hone_commit);
	hash_bytes(b->data, b->len, hash);
	buf_printf(b, "<!-- " PAGE_SEAL " %s -->\n", hash);
}

/* hone-report: runs as a page to look at, or as curves in the terminal. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/opt.h"
#include "report.h"

enum { WIDTH_MIN = 40, WIDTH_MAX = 400, WIDTH_DEFAULT = 80 };

static const char *output = "-", *title;
static bool text, force;
static int mistakes = 20, width;

static const struct opt options[] = {
	{OPT_STRING, 'o', "output", &output, "FILE", "where to write"},
	{OPT_FLAG, 'f', "force", &force, NULL, "replace an existing FILE"},
	{OPT_FLAG, 0, "text", &text, NULL, "draw the curves in the terminal instead"},
	{OPT_STRING, 0, "title", &title, "TEXT", "heading (default: the runs' names)"},
	{OPT_INT, 0, "mistakes", &mistakes, "N", "most confident mistakes shown of each run", 0, 10000},
	{OPT_INT, 0, "width", &width, "N", "columns of --text (0: those of the terminal, or 80)", 0, WIDTH_MAX},
	{0},
};

static const struct opt_spec spec = {
	.tool = "hone-report",
	.operands = "RUN...",
	.summary = "A page about runs of hone-train, for a browser: settings, curves, classes, mistakes, time and memory. One\n"
		   "file of HTML that loads nothing.",
	.opts = options,
	.min_operands = 1,
	.max_operands = 64,
};

/* ---- the terminal ---- */

/* What the environment says of characters; no program calls setlocale. */
static bool
has_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *v = getenv(names[i]);
		if (!v || !*v)
			continue;
		const char *dot = strchr(v, '.');
		return dot && (strncasecmp(dot + 1, "utf-8", 5) == 0 || strncasecmp(dot + 1, "utf8", 4) == 0);
	}
	return false;
}

static int
terminal_width(void)
{
	struct winsize w;
	int n = width;
	if (!n && isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
		n = w.ws_col;
	n = n ? n : WIDTH_DEFAULT;
	return n < WIDTH_MIN ? WIDTH_MIN : n > WIDTH_MAX ? WIDTH_MAX : n;
}

static void
write_text(struct buf *b, const struct run *runs, size_t n)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	bool terminal = strcmp(output, "-") == 0 && isatty(STDOUT_FILENO);
	const struct terminal t = {.width = terminal_width(), .utf8 = has_utf8(),
		.colour = terminal && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0)};
	struct chart *charts;
	size_t n_charts = curves_make(&charts, runs, n);
	for (size_t i = 0; n > 1 && i < n; i++) {
		buf_printf(b, "%c  ", (int)('a' + i % 26));
		put_plain(b, runs[i].name);
		buf_putc(b, '\n');
	}
	if (n > 1)
		buf_putc(b, '\n');
	for (size_t i = 0; i < n_charts; i++)
		chart_text(b, &charts[i], &t);
	curves_free(charts, n_charts);
}

/* ---- running ---- */

/* The page may stand in a run's directory, but not in the place of what it was made of. */
static int
check_output(const struct run *runs, size_t n, struct err *e)
{
	static const char *const inputs[] = {"run.json", "metrics.jsonl", "predictions.jsonl", "results.csv"};
	int rc = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof inputs / sizeof *inputs && rc == 0; k++) {
			char *input = path_join(runs[i].path, inputs[k]);
			rc = out_check_input(output, input, e);
			free(input);
		}
	return rc;
}

static int
write_output(const struct buf *b, struct err *e)
{
	struct out out;
	if (out_open(&out, output, force, e) < 0)
		return -1;
	if (b->len)
		out_write(&out, b->data, b->len);
	return out_commit(&out, e);
}

static int
report(const struct run *runs, size_t n, struct err *e)
{
	struct buf b = {0};
	if (check_output(runs, n, e) < 0)
		return -1;
	if (text)
		write_text(&b, runs, n);
	else
		page_write(&b, runs, n, &(struct report_options){.title = title, .mistakes = mistakes});
	int rc = write_output(&b, e);
	buf_release(&b);
	return rc;
}

int
main(int argc, char **argv)
{
	struct opt_list operands;
	struct err e;
	opt_parse(&spec, argc, argv, &operands);
	struct run *runs = xcalloc(operands.n, sizeof *runs);
	int rc = 0;
	for (size_t i = 0; i < operands.n && rc == 0; i++)
		rc = run_open(&runs[i], operands.item[i], &e);
	if (rc == 0)
		rc = report(runs, operands.n, &e);
	for (size_t i = 0; i < operands.n; i++)
		run_close(&runs[i]);
	free(runs);
	if (rc < 0)
		die(&e);
	tool_exit(0);
}

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

const char *log_tool = "hone";
int log_level = 1;
static bool line_shown;  /* a progress line stands on the terminal */

static void
clear_line(void)
{
	if (line_shown)
		fputs("\r\033[K", stderr);
	line_shown = false;
}

static void
say(const char *kind, const char *fmt, va_list ap)
{
	clear_line();
	fprintf(stderr, "%s: %s", log_tool, kind);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void
die(const struct err *e)
{
	clear_line();
	fprintf(stderr, "%s: %s\n", log_tool, e->msg);
	exit(e->code);
}

void
die_usage(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: try '%s -h'\n", log_tool, log_tool);
	exit(ERR_USAGE);
}

#define LOGGER(name, level, kind)            \
	void name(const char *fmt, ...)      \
	{                                    \
		if (log_level < (level))     \
			return;              \
		va_list ap;                  \
		va_start(ap, fmt);           \
		say(kind, fmt, ap);          \
		va_end(ap);                  \
	}

LOGGER(log_warn, 1, "warning: ")
LOGGER(log_note, 1, "")
LOGGER(log_detail, 2, "")

char *
size_text(char out[SIZE_TEXT], uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	double v = (double)bytes / 1000;
	int i = 0;
	if (bytes < 1000) {
		snprintf(out, SIZE_TEXT, "%d B", (int)bytes);
		return out;
	}
	for (; v >= 999.5; i++)
		v /= 1000;
	snprintf(out, SIZE_TEXT, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[i]);
	return out;
}

double
clock_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t
peak_rss_bytes(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)u.ru_maxrss * 1024;
}

void
log_unknown_keys(const char *file, const char *keys)
{
	if (keys)
		log_warn("'%s' has keys that are not known here: %s", file, keys);
}

void
progress_start(struct progress *p, const char *what, const char *unit, uint64_t total)
{
	const char *term = getenv("TERM");
	double now = clock_seconds();
	*p = (struct progress){.what = what, .total = total, .unit = unit, .started = now};
	p->on = log_level > 0 && isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb") != 0);
	p->shown = p->on ? 0 : now;
}

static void
print_left(double seconds)
{
	if (seconds >= 3600)
		fprintf(stderr, ", %d h %02d min left", (int)(seconds / 3600), (int)(seconds / 60) % 60);
	else if (seconds >= 60)
		fprintf(stderr, ", %.0f min left", seconds / 60);
	else
		fprintf(stderr, ", %.0f s left", seconds);
}

/* "950", "1.2 k", "34 M": a rate to be glanced at. */
static void
print_rate(double rate, const char *unit)
{
	static const char prefix[] = " kMG";
	int i = 0;
	for (; rate >= 999.5 && i < 3; i++)
		rate /= 1000;
	fprintf(stderr, ", %.*f %.*s%s%s/s", rate < 9.95 ? 1 : 0, rate, i > 0, prefix + i, i > 0 ? " " : "", unit);
}

/* What it says of the rate is left to `more`, where there is that. */
static void
print_progress(const struct progress *p, uint64_t done, const char *more)
{
	double seconds = clock_seconds() - p->started + 1e-9, rate = (double)(done - p->first) / seconds;
	fprintf(stderr, "%s: %s %llu", log_tool, p->what, (unsigned long long)done);
	if (p->total)
		fprintf(stderr, " of %llu", (unsigned long long)p->total);
	fprintf(stderr, "%s%s%s%s", *p->unit ? " " : "", p->unit, more ? ", " : "", more ? more : "");
	if (!more)
		print_rate(rate, p->unit);
	if (p->total && done > p->first && done <= p->total)
		print_left((double)(p->total - done) / rate);
	else if (p->share > 0 && p->share <= 1)
		print_left(seconds / p->share * (1 - p->share));
}

void
progress_show(struct progress *p, uint64_t done, const char *more)
{
	double now = clock_seconds();
	bool plain = !p->on && p->plain_every > 0 && log_level > 0;
	if (now - p->shown < (plain ? p->plain_every : 0.2) || !(p->on || plain))
		return;
	p->shown = now;
	clear_line();
	/* A terminal is told to cut a line that is too wide, as only one could be cleared. */
	fputs(plain ? "" : "\033[?7l", stderr);
	print_progress(p, done, more);
	fputs(plain ? "\n" : "\033[?7h", stderr);
	fflush(stderr);
	line_shown = p->on;
}

void
progress_end(struct progress *p)
{
	if (p->on)
		clear_line();
	p->on = false;
}

void
tool_exit(int status)
{
	if (fflush(stdout) != 0 || fclose(stdout) != 0) {
		fprintf(stderr, "%s: cannot write 'standard output': %s\n", log_tool, strerror(errno));
		exit(ERR_IO);
	}
	exit(status);
}

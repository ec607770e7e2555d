#define _DEFAULT_SOURCE  /* flock */
#include "base/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"

static bool line_shown;    /* a line stands on the terminal */
static int terminal = -1;  /* held while it is this process that shows lines there */

void
progress_clear(void)
{
	if (line_shown)
		fputs("\r\033[K", stderr);
	line_shown = false;
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

/* Whether the terminal's line is ours: the first process that asks has it until a progress_end. What a pipeline inherits
 * is one open file to a lock, so the terminal is opened anew. Where that cannot be done, nobody is asked. */
static bool
have_terminal(void)
{
	const char *name;
	if (terminal >= 0 || !(name = ttyname(STDERR_FILENO)))
		return true;
	int fd = open(name, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		close(fd);
		return false;
	}
	terminal = fd;
	return true;
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

static bool
in_bytes(const struct progress *p)
{
	return strcmp(p->unit, "B") == 0;
}

static void
print_amount(const struct progress *p, uint64_t n)
{
	char size[SIZE_TEXT];
	if (in_bytes(p))
		fputs(size_text(size, n), stderr);
	else
		fprintf(stderr, "%llu", (unsigned long long)n);
}

/* "950", "1.2 k", "34 M": a rate to be glanced at. */
static void
print_rate(const struct progress *p, double rate)
{
	static const char prefix[] = " kMG";
	char size[SIZE_TEXT];
	int i = 0;
	if (in_bytes(p)) {
		fprintf(stderr, ", %s/s", size_text(size, (uint64_t)rate));
		return;
	}
	for (; rate >= 999.5 && i < 3; i++)
		rate /= 1000;
	fprintf(stderr, ", %.*f %.*s%s%s/s", rate < 9.95 ? 1 : 0, rate, i > 0, prefix + i, i > 0 ? " " : "", p->unit);
}

/* What it says of the rate is left to `more`, where there is that. */
static void
print_line(const struct progress *p, uint64_t done, const char *more)
{
	double seconds = clock_seconds() - p->started + 1e-9, rate = (double)(done - p->first) / seconds;
	fprintf(stderr, "%s: %s ", log_tool, p->what);
	print_amount(p, done);
	if (p->total) {
		fputs(" of ", stderr);
		print_amount(p, p->total);
	}
	if (!in_bytes(p) && *p->unit)
		fprintf(stderr, " %s", p->unit);
	if (more)
		fprintf(stderr, ", %s", more);
	else
		print_rate(p, rate);
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
	if (p->on && !have_terminal())
		return;
	progress_clear();
	/* A terminal is told to cut a line that is too wide, as only one could be cleared. */
	fputs(plain ? "" : "\033[?7l", stderr);
	print_line(p, done, more);
	fputs(plain ? "\n" : "\033[?7h", stderr);
	fflush(stderr);
	line_shown = p->on;
}

void
progress_told(void *progress, uint64_t done, uint64_t total)
{
	struct progress *p = progress;
	p->total = total;
	progress_show(p, done, NULL);
}

void
progress_share(void *progress, uint64_t done, double share)
{
	struct progress *p = progress;
	p->share = share;
	progress_show(p, done, NULL);
}

void
progress_end(struct progress *p)
{
	if (p->on)
		progress_clear();
	if (terminal >= 0)
		close(terminal);
	terminal = -1;
	p->on = false;
}

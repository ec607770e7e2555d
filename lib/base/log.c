#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "base/plain.h"
#include "base/progress.h"

const char *log_tool = "hone";
int log_level = 1;
const char *usage_file;

/* One line, in one write: names out of files are in it, and other processes write there, too. */
static void
put_line(const char *kind, const char *text)
{
	struct buf b = {0};
	progress_clear();
	buf_printf(&b, "%s: ", log_tool);
	buf_plain(&b, kind);
	buf_plain(&b, text);
	buf_putc(&b, '\n');
	fwrite(b.data, 1, b.len, stderr);
	buf_release(&b);
}

static void
say(const char *kind, const char *fmt, va_list ap)
{
	char *text = xvasprintf(fmt, ap);
	put_line(kind, text);
	free(text);
}

void
die(const struct err *e)
{
	put_line("", e->msg);
	exit(e->code);
}

void
die_usage(const char *fmt, ...)
{
	va_list ap;
	char *from = usage_file ? xasprintf("'%s': ", usage_file) : NULL;
	va_start(ap, fmt);
	say(from ? from : "", fmt, ap);
	va_end(ap);
	free(from);
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

LOGGER(log_error, 0, "")
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
tool_exit(int status)
{
	if (fflush(stdout) != 0 || fclose(stdout) != 0) {
		fprintf(stderr, "%s: cannot write 'standard output': %s\n", log_tool, strerror(errno));
		exit(ERR_IO);
	}
	exit(status);
}

/* usage: faults -l INTERPOSE.so [OPTION...] BEFORE -- COMMAND...
 *
 * Runs a command over and over in copies of the directory BEFORE, each time with one fault (preload/interpose.c) at one
 * call, and holds what comes of it against the run that nothing disturbed:
 *
 *   - it ends with status 0, the same files (but for what a failing removal left hidden) and the same standard output; or
 *     with a status that fits the fault and one line on stderr that names the file, or says that memory is out; never by a signal that the fault did not send;
 *   - what has its final name is as before, or as after; all of an output (-o) as one;
 *   - the same command again, undisturbed, ends with 0 and the same bytes as the undisturbed run, nothing left over.
 *
 *   -o NAME     an output that is old or new as a whole, in the copy; repeatable
 *   -g PATTERN  names that may have any content, or be there or not, until the rerun; repeatable
 *   -i PATTERN  names that are never compared; repeatable
 *   -c COMMAND  for the shell, in the copy: must hold after each fault
 *   -f LIST     faults to try, by the first letters of their names, with commas between; all by default
 *   -m MAX      calls to try for each fault: the first of each stack of callers, then some spread evenly [all]
 *   -n N        this call only; what its rerun has left stays in DIR/faulty
 *   -e STATUS   of the undisturbed run [0]
 *   -d DIR      where to work [.]
 *   -s FILE     standard input of the command [/dev/null]
 *   -v          a line for each fault
 *
 * Prints what was tried, and how often it was survived, refused, killed. Exit status 1 when something did not hold. */
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "preload/kinds.h"
#include "preload/run.h"

enum { LIST_MAX = 32, SHOWN_MAX = 12 };

struct names {
	const char *name[LIST_MAX];
	int n;
};

static struct names outputs, growing, ignored;
static const char *check, *wanted, *before_dir;
static char **command;
static struct place place = {.input = "/dev/null"};
static uint32_t most = UINT32_MAX, only;  /* only: the call to try, 0: more than one */
static int clean_status;
static bool verbose;
static volatile struct faults *state;

static struct tree before;
static struct outcome clean;
static unsigned bad;

/* ---- running ---- */

static void
wipe(void)
{
	struct err e;
	if (path_remove(place.dir, &e) < 0)
		die(&e);
}

static void
ask(uint32_t calls, enum action action, int error, uint32_t n, uint32_t times)
{
	struct faults *s = (struct faults *)state;
	s->calls = calls;
	s->action = action;
	s->error = error;
	s->n = n;
	s->times = times;
	s->count = s->fired = s->kind = s->n_stacks = 0;
	s->path[0] = '\0';
}

/* The command in a fresh copy. */
static void
run_afresh(struct outcome *o)
{
	wipe();
	tree_copy(before_dir, place.dir);
	run_command(&place, command, o);
}

/* ---- judging ---- */

static bool
matches(const struct names *patterns, const char *path)
{
	for (int i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->name[i], path, 0) == 0)
			return true;
	return false;
}

static bool
same_entry(const struct tree_entry *a, const struct tree_entry *b)
{
	return a == b || (a && b && a->kind == b->kind && a->hash == b->hash);
}

/* The first name of `a` that differs in `b` among those that are compared, or NULL; what is staged counts if `staged`. */
static const char *
first_difference(const struct tree *a, const struct tree *b, bool staged)
{
	for (size_t i = 0; i < a->n; i++)
		if (!matches(&ignored, a->entry[i].path) && (staged || !tree_is_staged(a->entry[i].path)) &&
			!same_entry(&a->entry[i], tree_find(b, a->entry[i].path)))
			return a->entry[i].path;
	return NULL;
}

/* What has its final name and is neither as it was nor as it will be; NULL when all is. */
static const char *
halfway(const struct tree *now)
{
	for (int i = 0; i < outputs.n; i++)
		if (!tree_same(now, &before, outputs.name[i]) && !tree_same(now, &clean.tree, outputs.name[i]))
			return outputs.name[i];
	for (size_t i = 0; i < now->n; i++) {
		const struct tree_entry *x = &now->entry[i];
		if (tree_is_staged(x->path) || matches(&growing, x->path) || matches(&ignored, x->path))
			continue;
		if (!same_entry(x, tree_find(&before, x->path)) && !same_entry(x, tree_find(&clean.tree, x->path)))
			return x->path;
	}
	for (size_t i = 0; i < before.n; i++)
		if (!tree_find(now, before.entry[i].path) && tree_find(&clean.tree, before.entry[i].path) &&
			!matches(&growing, before.entry[i].path) && !matches(&ignored, before.entry[i].path))
			return before.entry[i].path;
	return NULL;
}

/* The last part of a path without what makes it a staging name; new. */
static char *
final_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *mark = name[0] == '.' ? strstr(name, ".hone-") : NULL;
	return mark ? xstrndup(name + 1, (size_t)(mark - name - 1)) : xstrdup(name);
}

/* Whether a message names the file: by the last part of its path, or that of the directory which is staged. */
static bool
names_file(const char *message, const char *path)
{
	if (path[0] == '\0' || strchr(path, ':') || strcmp(path, "/dev/urandom") == 0)
		return true;
	char *copy = xstrdup(path), *deleted = strstr(copy, " (deleted)");
	if (deleted)
		*deleted = '\0';
	bool named = false;
	for (int up = 0; up < 2 && !named; up++) {
		char *name = final_name(copy), *slash = strrchr(copy, '/');
		named = *name && strstr(message, name);
		free(name);
		if (slash)
			*slash = '\0';
	}
	free(copy);
	return named;
}

/* What is wrong with a message for a failure; NULL when nothing is. */
static const char *
wrong_message(const struct fault *f, const struct buf *err)
{
	const char *end = err->len ? memchr(err->data, '\n', err->len) : NULL;
	if (err->len == 0)
		return "no message";
	if (!end || end + 1 != err->data + err->len)
		return "more than one line";
	if (f->error == ENOMEM)
		return strstr(err->data, "memory") ? NULL : "the message does not say that memory is out";
	return names_file(err->data, (const char *)state->path) ? NULL : "the message does not name the file";
}

static bool
status_fits(const struct fault *f, int status)
{
	for (int i = 0; i < STATUSES && f->status[i] > 0; i++)
		if (f->status[i] == status)
			return true;
	return false;
}

static bool
is_kill(const struct fault *f)
{
	return f->action >= ACT_KILL;
}

/* The run that had the fault, but not its files; NULL when it is as it should be. */
static const char *
wrong_end(const struct fault *f, const struct outcome *o)
{
	if (o->late)
		return "it does not end";
	if (is_kill(f))
		return f->action == ACT_KILL_ONE || WIFSIGNALED(o->status) ? NULL : "not killed";
	if (!WIFEXITED(o->status))
		return "ended by a signal";
	int status = WEXITSTATUS(o->status);
	if (status == clean_status)
		return o->out.len != clean.out.len ||
				(o->out.len && memcmp(o->out.data, clean.out.data, o->out.len) != 0)
			? "another standard output"
			: NULL;
	if (f->status[0] == -1)
		return "not survived";
	return status_fits(f, status) ? wrong_message(f, &o->err) : "the wrong exit status";
}

/* Where what is in an outcome differs from the undisturbed run. */
static const char *
difference(const struct outcome *o, bool staged)
{
	const char *path = first_difference(&o->tree, &clean.tree, staged);
	return path ? path : first_difference(&clean.tree, &o->tree, staged);
}

static bool
survived(const struct fault *f, const struct outcome *o)
{
	return !is_kill(f) && WIFEXITED(o->status) && WEXITSTATUS(o->status) == clean_status;
}

static void
complain(const struct fault *f, uint32_t n, const char *what, const char *subject, const struct outcome *o)
{
	if (bad++ >= SHOWN_MAX)
		return;
	printf("%s at call %u of '%s': %s%s%s%s; %s %d\n%s", f->name, n, (const char *)state->path, what,
		subject ? ": '" : "", subject ? subject : "", subject ? "'" : "",
		WIFSIGNALED(o->status) ? "signal" : "status",
		WIFSIGNALED(o->status) ? WTERMSIG(o->status) : WEXITSTATUS(o->status), o->err.len ? o->err.data : "");
	fflush(stdout);
}

static bool
holds(void)
{
	char *argv[] = {"/bin/sh", "-c", (char *)check, NULL};
	struct outcome o = {0};
	run_command(&place, argv, &o);
	bool good = WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0;
	outcome_release(&o);
	return good;
}

/* The same command again. An output that had been published by then may be there, which is no matter. */
static void
judge_rerun(const struct fault *f, uint32_t n)
{
	char path[FAULTS_PATH];
	snprintf(path, sizeof path, "%s", (const char *)state->path);
	struct outcome again = {0};
	ask(0, ACT_FAIL, 0, 0, 0);
	run_command(&place, command, &again);
	snprintf((char *)state->path, FAULTS_PATH, "%s", path);
	const char *other = difference(&again, true);
	bool exists = WIFEXITED(again.status) && WEXITSTATUS(again.status) == 73 && again.err.len &&
		strstr(again.err.data, "exists");
	if (exists && outputs.n && tree_same(&again.tree, &clean.tree, outputs.name[0]))
		other = NULL;
	else if (!WIFEXITED(again.status) || WEXITSTATUS(again.status) != clean_status)
		complain(f, n, "the same command again fails", NULL, &again);
	if (other)
		complain(f, n, "the same command again ends otherwise", other, &again);
	outcome_release(&again);
}

/* One run with the fault at call n. Returns 0 when it survived, 1 when not, 2 when the fault did not come about. */
static int
try_fault(const struct fault *f, uint32_t n)
{
	struct outcome o = {0};
	ask(f->calls, f->action, f->error, n, f->times);
	run_afresh(&o);
	bool fired = state->fired;
	const char *wrong = fired ? wrong_end(f, &o) : NULL, *half = NULL;
	bool well = survived(f, &o);
	if (wrong)
		complain(f, n, wrong, NULL, &o);
	if (well && !wrong && (half = difference(&o, false)))
		complain(f, n, "survived with another result", half, &o);
	if (!well && (half = halfway(&o.tree)))
		complain(f, n, "neither old nor new", half, &o);
	ask(0, ACT_FAIL, 0, 0, 0);
	if (check && !well && !holds())
		complain(f, n, "the check does not hold", NULL, &o);
	if (fired && !wrong && (!well || difference(&o, true)))
		judge_rerun(f, n);
	if (verbose)
		printf("%s %u: status %d, %s", f->name, n,
			WIFSIGNALED(o.status) ? -WTERMSIG(o.status) : WEXITSTATUS(o.status),
			o.err.len ? o.err.data : "\n");
	outcome_release(&o);
	return !fired ? 2 : !well;
}

/* ---- which calls ---- */

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* The N to try of `count` calls, ascending; *n of them, new. */
static uint32_t *
choose(uint32_t count, uint32_t *n)
{
	uint32_t *at = xcalloc(count + 1, sizeof *at), stacks = state->n_stacks, k = 0;
	if (only) {
		at[k++] = only;
	} else if (count <= most) {
		for (uint32_t i = 0; i < count; i++)
			at[k++] = i + 1;
	} else {
		uint32_t take = stacks < most ? stacks : most;
		for (uint32_t i = 0; i < take; i++)
			at[k++] = state->first[(uint64_t)i * stacks / take];
		for (uint32_t i = 0; k < most; i++)
			at[k++] = 1 + (uint32_t)((uint64_t)i * count / (most - take));
	}
	qsort(at, k, sizeof *at, by_number);
	*n = 0;
	for (uint32_t i = 0; i < k; i++)
		if (i == 0 || at[i] != at[i - 1])
			at[(*n)++] = at[i];
	return at;
}

static bool
is_wanted(const char *name)
{
	if (!wanted)
		return true;
	for (const char *at = wanted; *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, name, strcspn(at, ",")) == 0)
			return true;
	return false;
}

/* Tries a fault at each of its calls; adds to the sums. */
static void
try_all(const struct fault *f, unsigned sums[4])
{
	struct outcome o = {0};
	uint32_t n, gone = 0, survivors = 0;
	ask(f->calls, ACT_COUNT, 0, 0, 0);
	run_afresh(&o);
	uint32_t count = state->count, *at = choose(count, &n);
	if (!WIFEXITED(o.status) || WEXITSTATUS(o.status) != clean_status || difference(&o, true))
		complain(f, 0, "undisturbed, and it ends otherwise", difference(&o, true), &o);
	outcome_release(&o);
	for (uint32_t i = 0; i < n; i++) {
		int rc = try_fault(f, at[i]);
		gone += rc == 2;
		survivors += rc == 0;
	}
	free(at);
	if (n)
		printf("  %-22s %6u calls, %5u tried: %5u survived, %5u %s\n", f->name, count, n - gone, survivors,
			n - gone - survivors, is_kill(f) ? "killed" : "refused");
	fflush(stdout);
	sums[0] += n - gone;
	sums[1] += survivors;
	sums[is_kill(f) ? 3 : 2] += n - gone - survivors;
}

/* ---- the command line ---- */

static void
add_name(struct names *list, const char *name)
{
	if (list->n == LIST_MAX)
		exit(2);
	list->name[list->n++] = name;
}

static void
set_up(const char *library, const char *dir)
{
	int fd = anonymous_file("faults");
	if (ftruncate(fd, sizeof *state) < 0)
		exit(2);
	state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state == MAP_FAILED)
		exit(2);
	place.library = xasprintf("LD_PRELOAD=%s", library);
	place.state = xasprintf("%s=/proc/%ld/fd/%d", FAULTS_STATE, (long)getpid(), fd);
	place.dir = xasprintf("%s/faulty", dir);
	wipe();
}

int
main(int argc, char **argv)
{
	const char *library = NULL, *dir = ".";
	int c;
	log_tool = "faults";
	while ((c = getopt(argc, argv, "+l:o:g:i:c:f:m:n:e:d:s:v")) != -1) {
		switch (c) {
		case 'l':
			library = optarg;
			break;
		case 'o':
			add_name(&outputs, optarg);
			break;
		case 'g':
			add_name(&growing, optarg);
			break;
		case 'i':
			add_name(&ignored, optarg);
			break;
		case 'c':
			check = optarg;
			break;
		case 'f':
			wanted = optarg;
			break;
		case 'm':
			most = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			only = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'e':
			clean_status = (int)strtol(optarg, NULL, 10);
			break;
		case 'd':
			dir = optarg;
			break;
		case 's':
			place.input = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (!library || argc - optind < 3 || strcmp(argv[optind + 1], "--") != 0 || most == 0)
		return 2;
	before_dir = argv[optind];
	command = argv + optind + 2;
	set_up(library, dir);
	tree_read(&before, before_dir);
	ask(0, ACT_FAIL, 0, 0, 0);
	run_afresh(&clean);
	if (!WIFEXITED(clean.status) || WEXITSTATUS(clean.status) != clean_status) {
		printf("undisturbed, it ends with status %d\n%s", WEXITSTATUS(clean.status),
			clean.err.len ? clean.err.data : "");
		return 1;
	}
	unsigned sums[4] = {0};
	for (const struct fault *f = fault_table; f->name; f++)
		if (is_wanted(f->name))
			try_all(f, sums);
	printf("%u faults: %u survived, %u refused, %u killed; %u did not hold\n", sums[0], sums[1], sums[2], sums[3],
		bad);
	if (!only)
		wipe();
	return bad || sums[0] == 0;
}

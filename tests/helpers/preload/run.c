#define _GNU_SOURCE
#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

enum { OUTPUT_MAX = 1 << 26, SECONDS_MAX = 60 };

void
outcome_release(struct outcome *o)
{
	buf_release(&o->out);
	buf_release(&o->err);
	tree_free(&o->tree);
}

int
anonymous_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0) {
		perror("faults: memfd_create");
		exit(2);
	}
	return fd;
}

static void
child(const struct place *p, char **argv, int out, int err)
{
	int in = open(p->input, O_RDONLY);
	setpgid(0, 0);
	if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || chdir(p->dir) < 0)
		_exit(126);
	putenv(p->library);
	putenv(p->state);
	execvp(argv[0], argv);
	_exit(127);
}

/* Waits for the group's leader, no longer than SECONDS_MAX, and leaves none of the group. */
static void
reap(pid_t pid, struct outcome *o)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = {.fd = fd, .events = POLLIN};
	o->late = poll(&end, 1, SECONDS_MAX * 1000) == 0;
	kill(-pid, SIGKILL);
	waitpid(pid, &o->status, 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	close(fd);
}

static void
slurp(int fd, struct buf *b)
{
	char path[64];
	struct err e;
	*b = (struct buf){0};
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (file_read(path, OUTPUT_MAX, b, &e) < 0)
		die(&e);
	close(fd);
}

void
run_command(const struct place *p, char **argv, struct outcome *o)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans are ours, too */
	int out = anonymous_file("out"), err = anonymous_file("err");
	pid_t pid = fork();
	if (pid < 0) {
		perror("faults: fork");
		exit(2);
	}
	if (pid == 0)
		child(p, argv, out, err);
	setpgid(pid, pid);
	reap(pid, o);
	slurp(out, &o->out);
	slurp(err, &o->err);
	tree_read(&o->tree, p->dir);
}

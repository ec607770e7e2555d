/* usage: peak FILE COMMAND [ARGUMENT...]
 *
 * Runs a command, and adds a line to FILE: its name, the most memory it held (resident, pages of mapped files among
 * them) in bytes, the seconds it took, and those of its processors. The exit status is the command's. */
#define _DEFAULT_SOURCE  /* wait4 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double
of(struct timeval t)
{
	return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static int
note(const char *file, const char *command, const struct rusage *u, double took)
{
	const char *slash = strrchr(command, '/');
	FILE *f = fopen(file, "a");
	if (!f)
		return -1;
	fprintf(f, "%s %ju %.2f %.2f\n", slash ? slash + 1 : command, (uintmax_t)u->ru_maxrss * 1024, took,
		of(u->ru_utime) + of(u->ru_stime));
	return fclose(f);
}

int
main(int argc, char **argv)
{
	int status;
	struct rusage u;
	if (argc < 3) {
		fprintf(stderr, "usage: peak FILE COMMAND [ARGUMENT...]\n");
		return 64;
	}
	double start = seconds();
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &u) < 0 || note(argv[1], argv[2], &u, seconds() - start) < 0) {
		perror("peak");
		return 71;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

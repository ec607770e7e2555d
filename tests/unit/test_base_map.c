/* What is given back of a mapped file: as far as the kernel keeps pages together, whatever the order. And what is said when it is
 * cut short while a piece of it is written elsewhere. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

enum { MB = 1 << 20, HEADER = 1000, SIZE = 40 * MB + HEADER, PART = 8 * MB };

/* The bytes of a mapping that are in memory now. */
static long
resident(const struct map *m)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	char line[512];
	long kb = -1;
	bool here = false;
	while (fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2)
			here = from == (uintptr_t)m->data;
		else if (here && sscanf(line, "Rss: %ld kB", &kb) == 1)
			break;
	}
	fclose(f);
	assert_true(kb >= 0);
	return kb * 1024;
}

static int
sum(const uint8_t *at, size_t n)
{
	int all = 0;
	for (size_t i = 0; i < n; i++)
		all += at[i];
	return all;
}

static const char template[] = "/tmp/hone-map-XXXXXX";

/* A file of zeros, most of them holes, mapped; it stays at path. */
static void
map_file_of_zeros(struct map *m, char path[sizeof template])
{
	struct err e;
	memcpy(path, template, sizeof template);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	close(fd);
	assert_int_equal(map_open(m, path, &e), 0);
}

static void
map_zeros(struct map *m)
{
	char path[sizeof template];
	map_file_of_zeros(m, path);
	unlink(path);
}

static void
parts_in_any_order_are_given_back(void **state)
{
	(void)state;
	static const size_t order[] = {1, 0, 4, 2, 3};
	struct map m;
	if (getenv("HONE_EMULATED"))
		skip();  /* QEMU gives no pages of files back */
	map_zeros(&m);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const uint8_t *at = m.data + HEADER + order[i] * PART;
		assert_int_equal(sum(at, PART), 0);
		assert_true(resident(&m) >= PART);
		map_forget(at, PART);
		assert_true(resident(&m) <= sysconf(_SC_PAGESIZE));
	}
	map_close(&m);
}

static void
what_is_forgotten_is_read_anew(void **state)
{
	(void)state;
	struct map m;
	map_zeros(&m);
	map_forget(m.data, 1);
	map_forget(m.data + SIZE - 1, 1);
	map_forget(m.data, SIZE);
	assert_int_equal(resident(&m), 0);
	assert_int_equal(sum(m.data, SIZE), 0);
	map_close(&m);
}

static struct sigaction on_bus;  /* ours, which cmocka puts its own in the place of */

/* Writes n bytes from `at` to a pipe, in a process of its own, whose status is returned; `said` is what it has on stderr. */
static int
write_elsewhere(const uint8_t *at, size_t n, char *said, size_t room)
{
	int pipes[2][2], status;
	assert_int_equal(pipe(pipes[0]) | pipe(pipes[1]), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sigaction(SIGBUS, &on_bus, NULL);
		dup2(pipes[0][1], STDERR_FILENO);
		_exit(fd_write_all(pipes[1][1], at, n) < 0 ? 1 : 0);
	}
	close(pipes[0][1]);
	ssize_t k = read(pipes[0][0], said, room - 1), more;
	while (k > 0 && (more = read(pipes[0][0], said + k, room - 1 - (size_t)k)) > 0)
		k += more;
	said[k > 0 ? k : 0] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pipes[0][0]);
	close(pipes[1][0]);
	close(pipes[1][1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The kernel, which is handed the piece, sends no signal. */
static void
a_file_cut_short_while_it_is_written_elsewhere_is_named(void **state)
{
	(void)state;
	char path[sizeof template], said[256];
	struct map m;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);  /* what is left of the last one can still be read */
	if (getenv("HONE_SANITIZER"))
		skip();  /* it has a handler of its own */
	map_file_of_zeros(&m, path);
	assert_int_equal(write_elsewhere(m.data + SIZE - 100, 100, said, sizeof said), 0);
	assert_string_equal(said, "");
	assert_int_equal(truncate(path, (off_t)page), 0);
	for (size_t before = 0; before <= 96; before += 96) {  /* the end of what is there in the midst of the piece, or ahead */
		assert_int_equal(write_elsewhere(m.data + page - before, page, said, sizeof said), ERR_IO);
		assert_non_null(strstr(said, "cannot read '"));
		assert_non_null(strstr(said, path));
	}
	map_close(&m);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_in_any_order_are_given_back),
		cmocka_unit_test(what_is_forgotten_is_read_anew),
		cmocka_unit_test(a_file_cut_short_while_it_is_written_elsewhere_is_named),
	};
	struct map m;
	map_zeros(&m);
	map_close(&m);
	sigaction(SIGBUS, NULL, &on_bus);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

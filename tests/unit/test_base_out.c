/* Outputs that appear whole or not at all: staging, what stands in the way, and what killed processes leave. */
#define _GNU_SOURCE  /* renameat2 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char dir[] = "/tmp/hone-out-XXXXXX";
static char *name;  /* of the output, within dir */

/* ---- system calls that fail when told to; the library, linked in, calls these ---- */

static int renameat2_errno;
static bool rmdir_fails, parent_sync_fails, unlink_plants, readdir_fails;

int
renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (renameat2_errno) {
		errno = renameat2_errno;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int
rmdir(const char *path)
{
	if (rmdir_fails) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

/* Someone else puts a link in the place of what is removed. */
int
unlink(const char *path)
{
	int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	return unlink_plants ? symlink("other", path) : rc;
}

int
fsync(int fd)
{
	struct stat a, b;
	if (parent_sync_fails && fstat(fd, &a) == 0 && stat(dir, &b) == 0 && a.st_ino == b.st_ino) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

struct dirent *
readdir(DIR *d)
{
	static struct dirent *(*real)(DIR *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, sizeof(off_t) == sizeof(long) ? "readdir64" : "readdir");
	if (readdir_fails) {
		errno = EIO;
		return NULL;
	}
	return real(d);
}

/* ---- helpers ---- */

static int
set_up(void **state)
{
	(void)state;
	strcpy(strrchr(dir, '-') + 1, "XXXXXX");
	renameat2_errno = 0;
	rmdir_fails = parent_sync_fails = unlink_plants = false;
	if (!mkdtemp(dir))
		return -1;
	name = path_join(dir, "name");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	struct err e;
	rmdir_fails = false;
	free(name);
	return path_remove(dir, &e);
}

/* Makes dir/NAME, with a file "content" of that text in it when it is a directory. */
static void
put(const char *as, bool directory, const char *text)
{
	char *path = path_join(dir, as), *file = directory ? path_join(path, "content") : NULL;
	if (directory)
		assert_int_equal(mkdir(path, 0777), 0);
	FILE *f = fopen(file ? file : path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(file);
	free(path);
}

/* That dir/AS is there with this text, or absent for NULL. */
static void
assert_text(const char *as, const char *want)
{
	struct buf b = {0};
	struct err e;
	char *path = path_join(dir, as);
	if (want) {
		assert_int_equal(file_read(path, 100, &b, &e), 0);
		assert_string_equal(b.data, want);
	} else {
		assert_false(path_exists(path));
	}
	buf_release(&b);
	free(path);
}

static char *
staged(long pid, const char *end)
{
	return xasprintf(".name.hone-%ld%s", pid, end);
}

static long
dead_pid(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void
stage_dir(struct dir_out *d, bool force, const char *text)
{
	struct err e;
	assert_int_equal(dir_open(d, name, force, &e), 0);
	char *file = path_join(d->tmp, "content");
	assert_int_equal(file_write(file, false, text, strlen(text), &e), 0);
	free(file);
}

/* ---- files ---- */

static void
a_pipe_is_written_and_stays(void **state)
{
	(void)state;
	struct err e;
	struct stat st;
	char text[8] = "";
	assert_int_equal(mkfifo(name, 0666), 0);
	int fd = open(name, O_RDONLY | O_NONBLOCK);
	assert_int_equal(file_write(name, false, "text", 4, &e), 0);
	assert_int_equal(read(fd, text, sizeof text), 4);
	assert_string_equal(text, "text");
	close(fd);
	assert_int_equal(stat(name, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(file_write("/dev/null", true, "text", 4, &e), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

static void
errors_of_a_device_name_it(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(file_write("/dev/full", false, "text", 4, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.msg, "'/dev/full'"));
}

static void
a_link_stays_and_its_file_is_replaced(void **state)
{
	(void)state;
	struct err e;
	put("file", false, "old");
	assert_int_equal(symlink("file", name), 0);
	assert_int_equal(file_write(name, false, "new", 3, &e), -1);
	assert_text("file", "old");
	assert_int_equal(file_write(name, true, "new", 3, &e), 0);
	struct stat st;
	assert_int_equal(lstat(name, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_text("file", "new");
}

static void
a_directory_is_no_file(void **state)
{
	(void)state;
	struct err e;
	struct out o;
	put("name", true, "text");
	assert_int_equal(out_open(&o, name, true, &e), -1);
	assert_int_equal(e.code, ERR_CANTCREAT);
	assert_text("name/content", "text");
}

/* A leftover with our own number, were it a link, would have its end truncated. */
static void
staging_follows_no_link(void **state)
{
	(void)state;
	struct err e;
	put("other", false, "untouched");
	char *tmp = staged(getpid(), ""), *path = path_join(dir, tmp);
	assert_int_equal(symlink("other", path), 0);
	assert_int_equal(file_write(name, false, "text", 4, &e), 0);
	assert_text("name", "text");
	assert_text("other", "untouched");
	assert_int_equal(path_remove(name, &e), 0);
	unlink_plants = true;
	assert_int_equal(file_write(name, false, "text", 4, &e), -1);
	assert_int_equal(e.code, ERR_CANTCREAT);
	unlink_plants = false;
	assert_text("other", "untouched");
	free(path);
	free(tmp);
}

static void
file_appears_meanwhile(int error)
{
	struct err e;
	struct out o;
	renameat2_errno = error;
	assert_int_equal(out_open(&o, name, false, &e), 0);
	char *tmp = xstrdup(o.tmp);
	out_puts(&o, "ours");
	put("name", false, "theirs");
	assert_int_equal(out_commit(&o, &e), -1);
	assert_int_equal(e.code, ERR_CANTCREAT);
	assert_non_null(strstr(e.msg, "exists"));
	assert_text("name", "theirs");
	assert_false(path_exists(tmp));
	free(tmp);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(file_write(name, false, "ours", 4, &e), 0);
	assert_text("name", "ours");
	assert_int_equal(unlink(name), 0);
}

static void
a_file_that_appears_meanwhile_stays(void **state)
{
	(void)state;
	file_appears_meanwhile(0);
	file_appears_meanwhile(EINVAL);
	file_appears_meanwhile(ENOSYS);
}

static void
a_written_file_is_no_error(void **state)
{
	(void)state;
	struct err e;
	parent_sync_fails = true;
	assert_int_equal(file_write(name, false, "text", 4, &e), 0);
	assert_text("name", "text");
}

/* ---- directories ---- */

static void
dir_appears_meanwhile(int error)
{
	struct err e;
	struct dir_out d;
	renameat2_errno = error;
	stage_dir(&d, false, "ours");
	char *tmp = xstrdup(d.tmp);
	put("name", true, "theirs");
	assert_int_equal(dir_commit(&d, &e), -1);
	assert_int_equal(e.code, ERR_CANTCREAT);
	assert_non_null(strstr(e.msg, "exists"));
	assert_text("name/content", "theirs");
	assert_false(path_exists(tmp));
	free(tmp);
	assert_int_equal(path_remove(name, &e), 0);
	stage_dir(&d, false, "ours");
	assert_int_equal(dir_commit(&d, &e), 0);
	assert_text("name/content", "ours");
	assert_int_equal(path_remove(name, &e), 0);
}

static void
a_directory_that_appears_meanwhile_stays(void **state)
{
	(void)state;
	dir_appears_meanwhile(0);
	dir_appears_meanwhile(EINVAL);
}

static void
replace(int error)
{
	struct err e;
	struct dir_out d;
	renameat2_errno = error;
	for (int i = 0; i < 2; i++) {  /* nothing there, then the first */
		stage_dir(&d, true, i ? "second" : "first");
		char *tmp = xstrdup(d.tmp), *old = xasprintf("%s.old", tmp);
		assert_int_equal(dir_commit(&d, &e), 0);
		assert_text("name/content", i ? "second" : "first");
		assert_false(path_exists(tmp));
		assert_false(path_exists(old));
		free(old);
		free(tmp);
	}
	assert_int_equal(path_remove(name, &e), 0);
}

static void
force_replaces_a_directory(void **state)
{
	(void)state;
	replace(0);
	replace(EINVAL);
	replace(ENOSYS);
}

static volatile bool watching;
static volatile long absences;

static void *
watch(void *path)
{
	while (watching)
		absences += !path_exists(path);
	return NULL;
}

static void
the_name_is_never_absent(void **state)
{
	(void)state;
	struct err e;
	struct dir_out d;
	pthread_t thread;
	put("name", true, "text");
	char *a = path_join(dir, "a");
	put("a", true, "x");
	/* Not every file system can exchange names. */
	if (renameat2(AT_FDCWD, a, AT_FDCWD, name, RENAME_EXCHANGE) == 0) {
		watching = true;
		assert_int_equal(pthread_create(&thread, NULL, watch, name), 0);
		for (int i = 0; i < 300; i++) {
			stage_dir(&d, true, "text");
			assert_int_equal(dir_commit(&d, &e), 0);
		}
		watching = false;
		pthread_join(thread, NULL);
		assert_int_equal(absences, 0);
	}
	free(a);
}

static void
a_replaced_directory_is_no_error(void **state)
{
	(void)state;
	struct err e;
	struct dir_out d;
	put("name", true, "old");
	stage_dir(&d, true, "new");
	rmdir_fails = parent_sync_fails = true;
	assert_int_equal(dir_commit(&d, &e), 0);
	assert_text("name/content", "new");
}

static void
a_link_stays_and_its_directory_is_replaced(void **state)
{
	(void)state;
	struct err e;
	struct dir_out d;
	struct stat st;
	put("other", true, "old");
	assert_int_equal(symlink("other", name), 0);
	stage_dir(&d, true, "new");
	assert_int_equal(dir_commit(&d, &e), 0);
	assert_int_equal(lstat(name, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_text("other/content", "new");
}

/* ---- leftovers ---- */

static void
what_was_moved_aside_comes_back(void **state)
{
	(void)state;
	struct err e;
	struct dir_out d;
	char *old = staged(dead_pid(), ".old");
	put(old, true, "precious");
	assert_int_equal(dir_open(&d, name, false, &e), -1);
	assert_non_null(strstr(e.msg, "exists"));
	assert_text("name/content", "precious");
	assert_text(old, NULL);
	put(old, true, "stale");
	assert_int_equal(dir_open(&d, name, true, &e), 0);
	dir_abort(&d);
	assert_text("name/content", "precious");
	assert_text(old, NULL);
	free(old);
}

static void
sweeping(void **state)
{
	(void)state;
	long dead = dead_pid();
	char *gone = staged(dead, ""), *old = staged(dead, ".old"), *lives = staged(getppid(), "");
	char *other = xasprintf(".x.hone-y.hone-%ld", dead);
	put(gone, true, "half");
	put(old, true, "precious");
	put(lives, false, "half");
	put(other, false, "half");
	put(".name.hone-", false, "mine");
	put(".name.hone-0", false, "mine");
	put(".name.hone-12x", false, "mine");
	put("name.hone-99", false, "mine");
	dir_sweep(dir);
	assert_text(gone, NULL);
	assert_text(old, NULL);
	assert_text(other, NULL);
	assert_text(lives, NULL);  /* its number may be another process's by now */
	assert_text("name/content", "precious");
	assert_text(".name.hone-", "mine");
	assert_text(".name.hone-0", "mine");
	assert_text(".name.hone-12x", "mine");
	assert_text("name.hone-99", "mine");
	dir_sweep("/nonexistent");
	free(gone);
	free(old);
	free(lives);
	free(other);
}

static void
discarding(void **state)
{
	(void)state;
	struct err e;
	char *tmp = staged(getpid(), "");
	assert_int_equal(path_discard(name, &e), 0);
	put("name", true, "text");
	put(tmp, true, "left behind");
	assert_int_equal(path_discard(name, &e), 0);
	assert_text("name", NULL);
	assert_text(tmp, NULL);
	/* When removing stops half-way, as by a kill, nothing is left under the name. */
	put("name", true, "text");
	rmdir_fails = true;
	assert_int_equal(path_discard(name, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_text("name", NULL);
	rmdir_fails = false;
	dir_sweep(dir);
	assert_text(tmp, NULL);
	free(tmp);
}

/* ---- descriptors ---- */

static void
on_alarm(int signal)
{
	(void)signal;
}

/* A pipe that is read slowly, and signals without SA_RESTART: short writes and EINTR. */
static void
all_is_written(void **state)
{
	(void)state;
	enum { N = 1 << 20 };
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	pid_t pid = fork();
	if (pid == 0) {
		static char part[4096];
		long total = 0;
		close(fd[1]);
		for (ssize_t n; (n = read(fd[0], part, sizeof part)) > 0; total += n) {
			for (ssize_t i = 0; i < n; i++)
				if (part[i] != (char)((total + i) % 251))
					_exit(1);
			kill(getppid(), SIGALRM);
		}
		_exit(total == N ? 0 : 2);
	}
	struct sigaction act = {.sa_handler = on_alarm}, before;
	assert_int_equal(sigaction(SIGALRM, &act, &before), 0);
	close(fd[0]);
	char *data = xmalloc(N);
	for (size_t i = 0; i < N; i++)
		data[i] = (char)(i % 251);
	assert_int_equal(fd_write_all(fd[1], data, N), 0);
	free(data);
	close(fd[1]);
	int status = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(status, 0);
	assert_int_equal(fd_write_all(-1, "x", 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(fd_write_all(-1, "", 0), 0);
}

/* Its number is taken until somebody waits for it; that it is gone is told by the lock. */
static void
a_killed_process_that_nobody_waited_for_holds_nothing(void **state)
{
	(void)state;
	struct err e;
	struct dir_out d;
	siginfo_t info;
	pid_t pid = fork();
	if (pid == 0) {
		dir_open(&d, name, false, &e);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	char *entry = staged(pid, ""), *path = path_join(dir, entry);
	assert_true(path_exists(path));
	stage_dir(&d, false, "ours");
	assert_false(path_exists(path));
	assert_int_equal(dir_commit(&d, &e), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	free(path);
	free(entry);
}

/* ---- directories that cannot be read ---- */

static void
names_are_all_or_an_error(void **state)
{
	(void)state;
	struct err e;
	size_t n;
	put("b", false, "");
	put("a", false, "");
	char **names = dir_names(dir, &n, &e);
	assert_non_null(names);
	assert_int_equal(n, 2);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "b");
	assert_null(names[2]);
	names_free(names);
	readdir_fails = true;
	names = dir_names(dir, &n, &e);
	readdir_fails = false;
	assert_null(names);
	assert_int_equal(e.code, ERR_IO);
	assert_null(dir_names("/nowhere", NULL, &e));
	assert_int_equal(e.code, ERR_NOINPUT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pipe_is_written_and_stays),
		TEST(errors_of_a_device_name_it),
		TEST(a_link_stays_and_its_file_is_replaced),
		TEST(a_directory_is_no_file),
		TEST(staging_follows_no_link),
		TEST(a_file_that_appears_meanwhile_stays),
		TEST(a_written_file_is_no_error),
		TEST(a_directory_that_appears_meanwhile_stays),
		TEST(force_replaces_a_directory),
		TEST(the_name_is_never_absent),
		TEST(a_replaced_directory_is_no_error),
		TEST(a_link_stays_and_its_directory_is_replaced),
		TEST(what_was_moved_aside_comes_back),
		TEST(sweeping),
		TEST(discarding),
		TEST(all_is_written),
		TEST(a_killed_process_that_nobody_waited_for_holds_nothing),
		TEST(names_are_all_or_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

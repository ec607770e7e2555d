/* The time that control groups give, out of files like the kernel's. */
#define _GNU_SOURCE  /* mkdtemp, setenv */
#include "examples.h"

#include "base/cpus.h"
#include "base/mem.h"

static char *root;

static void
put(const char *file, const char *text)
{
	char *path = xasprintf("%s/%s", root, file), *command = xasprintf("mkdir -p \"$(dirname '%s')\"", path);
	assert_int_equal(system(command), 0);
	write_file(path, text, strlen(text));
	free(command);
	free(path);
}

static int
set_up(void **state)
{
	(void)state;
	root = temporary_directory();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	remove_directory(root);
	return 0;
}

static void
nothing_is_no_limit(void **state)
{
	(void)state;
	assert_int_equal(cpus_quota(root), 0);
	put("proc/self/cgroup", "0::/a\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/a/cpu.max", "max 100000\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/a/cpu.max", "");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/a/cpu.max", "100000 0\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/a/cpu.max", "-5 100000\n");
	assert_int_equal(cpus_quota(root), 0);
	put("proc/self/cgroup", "what is this\n0:\n::\n");
	assert_int_equal(cpus_quota(root), 0);
}

static void
version_2_is_rounded_up(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/a/b\n");
	put("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
	assert_int_equal(cpus_quota(root), 2);
	put("sys/fs/cgroup/a/b/cpu.max", "5000 100000\n");
	assert_int_equal(cpus_quota(root), 1);
	put("sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
	assert_int_equal(cpus_quota(root), 4);
	put("sys/fs/cgroup/a/b/cpu.max", "9223372036854775807 1\n");
	assert_true(cpus_quota(root) > 1000);
}

static void
what_is_around_counts(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/a/b/c\n");
	put("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
	put("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	assert_int_equal(cpus_quota(root), 3);
	put("sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
	assert_int_equal(cpus_quota(root), 3);
	put("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
	assert_int_equal(cpus_quota(root), 2);
}

/* A container may see its group as the root, and be told its name outside. */
static void
a_container_has_its_own_at_the_root(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/docker/0123456789\n");
	put("sys/fs/cgroup/cpu.max", "200000 100000\n");
	assert_int_equal(cpus_quota(root), 2);
	put("proc/self/cgroup", "0::/\n");
	assert_int_equal(cpus_quota(root), 2);
}

static void
version_1(void **state)
{
	(void)state;
	put("proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/x\n0::/\n");
	put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
	put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpus_quota(root), 0);
	put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "250000\n");
	assert_int_equal(cpus_quota(root), 3);
	put("proc/self/cgroup", "4:cpuacct:/x\n");
	assert_int_equal(cpus_quota(root), 0);
}

static void
what_was_asked_for_stands(void **state)
{
	(void)state;
	assert_int_equal(threads_wanted(7), 7);
	assert_true(threads_wanted(0) >= 1);
	setenv("OMP_NUM_THREADS", "1", 1);  /* too late for OpenMP, which has read it */
	assert_true(threads_wanted(0) >= 1);
	unsetenv("OMP_NUM_THREADS");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_no_limit),
		TEST(version_2_is_rounded_up),
		TEST(what_is_around_counts),
		TEST(a_container_has_its_own_at_the_root),
		TEST(version_1),
		cmocka_unit_test(what_was_asked_for_stands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

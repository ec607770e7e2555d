#define _GNU_SOURCE  /* sched_getaffinity */
#include "base/cpus.h"

#include <limits.h>
#include <omp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The numbers that a small file begins with, at most two; how many there are. "max", of version 2, is none. */
static int
read_numbers(const char *root, const char *mount, const char *group, const char *file, long long number[2])
{
	char *path = xasprintf("%s/sys/fs/cgroup%s%s/%s", root, mount, group, file);
	FILE *f = fopen(path, "r");
	int n = f ? fscanf(f, "%lld %lld", &number[0], &number[1]) : 0;
	if (f)
		fclose(f);
	free(path);
	return n < 0 ? 0 : n;
}

/* One group's: version 2 has quota and period in one file, version 1 (-1: no limit) in two. */
static int
group_quota(const char *root, bool second, const char *group)
{
	long long time[2] = {0, 0}, period[2] = {0, 0};
	if (second && read_numbers(root, "", group, "cpu.max", time) < 2)
		return 0;
	if (!second && (!read_numbers(root, "/cpu", group, "cpu.cfs_quota_us", time) ||
		!read_numbers(root, "/cpu", group, "cpu.cfs_period_us", period)))
		return 0;
	period[0] = second ? time[1] : period[0];
	if (time[0] <= 0 || period[0] <= 0)
		return 0;
	long long cpus = time[0] / period[0] + (time[0] % period[0] != 0);
	return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* The least of a group's and of those that it is in. In a container its own may be where the root is. */
static int
least_quota(const char *root, bool second, char *group)
{
	int least = 0;
	for (char *end = group + strlen(group);; end = strrchr(group, '/')) {
		if (!end)
			return least;
		*end = '\0';
		int quota = group_quota(root, second, group);
		if (quota && (!least || quota < least))
			least = quota;
	}
}

static bool
has_cpu(const char *controllers)
{
	for (size_t n; *controllers; controllers += n + (controllers[n] == ',')) {
		n = strcspn(controllers, ",");
		if (n == 3 && strncmp(controllers, "cpu", n) == 0)
			return true;
	}
	return false;
}

int
cpus_quota(const char *root)
{
	char line[4096], *path = xasprintf("%s/proc/self/cgroup", root);
	FILE *f = fopen(path, "r");
	int least = 0;
	free(path);
	while (f && fgets(line, sizeof line, f)) {  /* number:controllers:group */
		line[strcspn(line, "\n")] = '\0';
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		bool second = strcmp(line, "0:") == 0;
		int quota = second || has_cpu(controllers + 1) ? least_quota(root, second, group) : 0;
		if (quota && (!least || quota < least))
			least = quota;
	}
	if (f)
		fclose(f);
	return least;
}

static int
usable(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : omp_get_num_procs(), quota = cpus_quota("");
	return quota && quota < n ? quota : n;
}

int
threads_wanted(int n)
{
	static int asked;  /* what $OMP_NUM_THREADS came to, before anything was set */
	if (!asked)
		asked = omp_get_max_threads();
	return n > 0 ? n : getenv("OMP_NUM_THREADS") ? asked : usable();
}

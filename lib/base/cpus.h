/* How many threads are worth having. */
#ifndef HONE_BASE_CPUS_H
#define HONE_BASE_CPUS_H

/* n, or for 0 what $OMP_NUM_THREADS says, or else the processors that this process may run on (taskset), but no more than its
 * control groups give it the time of (docker --cpus, systemd's CPUQuota): more would only wait for each other. */
int threads_wanted(int n);

/* That time in whole processors, rounded up, as cgroup(7) tells it below a root directory, "" for the system's; 0: there is no
 * limit, or none that could be read. */
int cpus_quota(const char *root);

#endif

/* How fast memory can be read: the limit of what reads every weight once. */
#ifndef HONE_BENCH_READ_RATE_H
#define HONE_BENCH_READ_RATE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Sums of all 64-bit words, on all threads: the least that a program can do with what it reads. */
static inline double
read_rate(void)
{
	enum { TIMES = 7 };
	const size_t n = (size_t)1 << 26;
	uint64_t *p = xreallocarray(NULL, n, sizeof *p), sum = 0;
	memset(p, 1, n * sizeof *p);
	double best = 1e30;
	for (int i = 0; i < TIMES; i++) {
		double start = clock_seconds();
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 1 << 17)
		for (size_t j = 0; j < n; j++)
			sum += p[j];
		double took = clock_seconds() - start;
		best = took < best ? took : best;
	}
	free(p);
	return sum ? (double)(n * sizeof *p) / best : 0;
}

#endif

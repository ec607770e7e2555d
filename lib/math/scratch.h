/* Memory of the calling thread's own: made when it first asks, kept, and freed when the thread ends. */
#ifndef HONE_MATH_SCRATCH_H
#define HONE_MATH_SCRATCH_H

#include <stddef.h>

enum scratch { SCRATCH_FLOATS, SCRATCH_PANELS, SCRATCH_TILES, SCRATCH_SUMS, N_SCRATCH };  /* gemm.h's math_scratch; tiled.c; tiled.c; below */

/* At least `bytes`, the same for every call of one kind; aligned to 64. */
void *thread_scratch(enum scratch kind, size_t bytes);

/* Floats for what threads sum up separately until it is added up. */
enum { SUMS_SCRATCH = 1 << 20 };

static inline float *
sums_scratch(void)
{
	return thread_scratch(SCRATCH_SUMS, SUMS_SCRATCH * sizeof(float));
}

#endif

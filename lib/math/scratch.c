#include "math/scratch.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

static pthread_key_t keys[N_SCRATCH];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_keys(void)
{
	for (int i = 0; i < N_SCRATCH; i++)
		if (pthread_key_create(&keys[i], free) != 0)
			abort();
}

void *
thread_scratch(enum scratch kind, size_t bytes)
{
	pthread_once(&once, make_keys);
	void *own = pthread_getspecific(keys[kind]);
	if (!own) {
		own = xalloc_aligned(1, bytes);
		if (pthread_setspecific(keys[kind], own) != 0)
			mem_die(bytes);
	}
	return own;
}

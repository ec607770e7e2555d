#define _DEFAULT_SOURCE  /* MAP_ANONYMOUS */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/mem.h"

void *
arena_take(struct arena *a, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - a->used - 64)
		mem_die(SIZE_MAX);
	size_t at = a->used;
	a->used += (bytes + 63) / 64 * 64;
	if (!a->base)
		return NULL;
	assert(a->used <= a->size);
	return a->base + at;
}

void
arena_make(struct arena *a)
{
	a->size = a->used ? a->used : 64;
	a->used = 0;
	a->base = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->base == MAP_FAILED)
		mem_die(a->size);
}

void
arena_release(struct arena *a)
{
	if (a->base)
		munmap(a->base, a->size);
	*a = (struct arena){0};
}

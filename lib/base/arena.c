#include "base/arena.h"

#include <assert.h>
#include <stdint.h>

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
	a->base = mem_map(1, a->size);
}

void
arena_release(struct arena *a)
{
	mem_unmap(a->base, 1, a->size);
	*a = (struct arena){0};
}

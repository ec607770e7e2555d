/* A bump allocator over one anonymous mapping. The function that hands out the pointers is run twice: first over an
 * arena without memory, which only counts, then over the memory that arena_make provides. So a size is never
 * computed apart from the pointers it serves. */
#ifndef HONE_BASE_ARENA_H
#define HONE_BASE_ARENA_H

#include <stddef.h>

struct arena {
	char *base;         /* NULL while counting */
	size_t used, size;  /* bytes */
};

/* n elements of `size` bytes, aligned to 64; NULL while counting. Memory is zero when first handed out. */
void *arena_take(struct arena *a, size_t n, size_t size);

/* Turns a counting arena into one with as much memory as was counted. */
void arena_make(struct arena *a);
void arena_release(struct arena *a);

#define ARENA_TAKE(a, type, n) ((type *)arena_take((a), (n), sizeof(type)))

#endif

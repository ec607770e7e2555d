#include "base/table.h"

#include <stdint.h>

#include "base/mem.h"

static size_t
bytes_of(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		mem_die(SIZE_MAX);
	return bytes ? bytes : 1;
}

void *
table_alloc(size_t n, size_t size)
{
	return mem_map(bytes_of(n, size));
}

void
table_free(void *p, size_t n, size_t size)
{
	mem_unmap(p, bytes_of(n, size));
}

#define _DEFAULT_SOURCE  /* MAP_ANONYMOUS, madvise */
#include "base/table.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/mem.h"

enum { HUGE = 2 << 20 };

static size_t
bytes_of(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - HUGE)
		mem_die(SIZE_MAX);
	return bytes ? bytes : 1;
}

void *
table_alloc(size_t n, size_t size)
{
	size_t bytes = bytes_of(n, size);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		mem_die(bytes);
#ifdef MADV_HUGEPAGE
	if (bytes >= HUGE)
		madvise(p, bytes, MADV_HUGEPAGE);  /* a wish: nothing depends on it */
#endif
	return p;
}

void
table_free(void *p, size_t n, size_t size)
{
	if (p)
		munmap(p, bytes_of(n, size));
}

#define _DEFAULT_SOURCE  /* MAP_ANONYMOUS, madvise */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/log.h"

void
mem_die(size_t bytes)
{
	fprintf(stderr, "%s: out of memory: %zu bytes asked for\n", log_tool, bytes);
	exit(ERR_MEMORY);
}

/* n * size, or death when that is more than there can be. */
static size_t
product(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - 64)
		mem_die(SIZE_MAX);
	return bytes;
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		mem_die(size);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);
	if (!p)
		mem_die(product(n, size));
	return p;
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	size_t bytes = product(n, size);
	p = realloc(p, bytes ? bytes : 1);
	if (!p)
		mem_die(bytes);
	return p;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
	char *p = xmalloc(n + 1);
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *p = xvasprintf(fmt, ap);
	va_end(ap);
	return p;
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = xmalloc((size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

void *
xalloc_aligned(size_t n, size_t size)
{
	size_t bytes = (product(n, size) + 63) / 64 * 64;
	void *p = aligned_alloc(64, bytes ? bytes : 64);
	if (!p)
		mem_die(bytes);
	return memset(p, 0, bytes);
}

/* A mapping is not empty. */
static size_t
mapped(size_t n, size_t size)
{
	size_t bytes = product(n, size);
	return bytes ? bytes : 1;
}

void *
mem_map(size_t n, size_t size)
{
	enum { HUGE = 2 << 20 };
	size_t bytes = mapped(n, size);
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
mem_unmap(void *p, size_t n, size_t size)
{
	if (p)
		munmap(p, mapped(n, size));
}

void
mem_grow(void **p, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return;
	size_t n = *cap + *cap / 2 + 16;
	if (n < need)
		n = need;
	*p = xreallocarray(*p, n, size);
	*cap = n;
}

static void
buf_reserve(struct buf *b, size_t extra)
{
	if (extra > SIZE_MAX - b->len - 1)
		mem_die(SIZE_MAX);
	GROW(b->data, b->cap, b->len + extra + 1);
}

void
buf_append(struct buf *b, const void *p, size_t n)
{
	buf_reserve(b, n);
	if (n)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
	buf_append(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	buf_reserve(b, (size_t)n);
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_clear(struct buf *b)
{
	buf_reserve(b, 0);
	b->len = 0;
	b->data[0] = '\0';
}

void
buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

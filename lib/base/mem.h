/* Memory. Running out of it is not an error that any caller of ours could mend, so these end the
 * process with a message and status 71 instead of returning NULL; outputs are staged (base/file.h),
 * so nothing is left half written. Sizes that come from a file are checked by its reader first. */
#ifndef HONE_BASE_MEM_H
#define HONE_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

_Noreturn void mem_die(size_t bytes);  /* the message and the end */

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* Zeroed memory aligned to 64 bytes (a cache line, and the widest vector); free() releases it. */
void *xalloc_aligned(size_t n, size_t size);

/* n elements of `size` bytes, zeroed, in pages of their own, of the system's huge size where it gives them: what walks through
 * hundreds of megabytes, or reads a large table at random, then spends less time on page faults and on looking addresses up.
 * mem_unmap with the same sizes releases them; NULL is fine. */
void *mem_map(size_t n, size_t size);
void mem_unmap(void *p, size_t n, size_t size);

/* Grows *p, which holds *cap elements of `size` bytes, until it holds at least `need`. */
void mem_grow(void **p, size_t *cap, size_t need, size_t size);

/* The same where there is room already costs no call; `need` may be evaluated twice. */
#define GROW(p, cap, need) ((need) > (cap) ? mem_grow((void **)&(p), &(cap), (need), sizeof *(p)) : (void)0)

/* A growable byte string; always followed by a NUL that len does not count. Zero-initialise. */
struct buf {
	char *data;
	size_t len, cap;
};

void buf_append(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_clear(struct buf *b);    /* empties it and keeps its memory */
void buf_release(struct buf *b);  /* frees its memory; it can be used again */

#endif

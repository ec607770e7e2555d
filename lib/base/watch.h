/* How a library tells how far a long work has come, without knowing who looks on. */
#ifndef HONE_BASE_WATCH_H
#define HONE_BASE_WATCH_H

#include <stdint.h>

struct watch {
	void (*told)(void *ctx, uint64_t done, uint64_t total);  /* now and then, in the thread that does the work; or NULL */
	void *ctx;
};

static inline void
watch_tell(const struct watch *w, uint64_t done, uint64_t total)
{
	if (w->told)
		w->told(w->ctx, done, total);
}

#endif

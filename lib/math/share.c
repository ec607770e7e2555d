#include "math/share.h"

#include <sched.h>
#include <stdbool.h>

static uint64_t
stretch(uint32_t from, uint32_t to)
{
	return (uint64_t)to << 32 | from;
}

static uint32_t
from_of(uint64_t s)
{
	return (uint32_t)s;
}

static uint32_t
to_of(uint64_t s)
{
	return (uint32_t)(s >> 32);
}

static int
left(const struct share *s)
{
	uint64_t now = atomic_load_explicit(&s->stretch, memory_order_relaxed);
	return (int)(to_of(now) - from_of(now));
}

/* One piece from the front, or from the back; -1 when it is empty. The pieces themselves are nothing that has to be made
 * visible, so the order of other accesses does not matter. */
static int
take(struct share *s, bool back)
{
	uint64_t now = atomic_load_explicit(&s->stretch, memory_order_relaxed);
	for (;;) {
		uint32_t from = from_of(now), to = to_of(now);
		if (from >= to)
			return -1;
		uint64_t less = back ? stretch(from, to - 1) : stretch(from + 1, to);
		if (atomic_compare_exchange_weak_explicit(&s->stretch, &now, less, memory_order_relaxed, memory_order_relaxed))
			return (int)(back ? to - 1 : from);
	}
}

void
share_begin(struct share *s, int thread, int threads, int n)
{
	uint64_t from = (uint64_t)n * (uint64_t)thread / (uint64_t)threads;
	uint64_t to = (uint64_t)n * (uint64_t)(thread + 1) / (uint64_t)threads;
	atomic_store_explicit(&s[thread].stretch, stretch((uint32_t)from, (uint32_t)to), memory_order_relaxed);
}

int
share_next(struct share *s, int thread, int threads)
{
	int piece = take(&s[thread], false);
	while (piece < 0) {
		int most = 0, victim = -1;
		for (int i = 0; i < threads; i++)
			if (left(&s[i]) > most)
				most = left(&s[i]), victim = i;
		if (victim < 0)
			break;
		piece = take(&s[victim], true);
	}
	return piece;
}

/* ARM's `yield` does nothing on most processors; a barrier for instructions takes about as long as x86's `pause`. */
static void
pause_briefly(void)
{
#if defined __x86_64__
	__builtin_ia32_pause();
#elif defined __aarch64__
	__asm__ volatile("isb");
#endif
}

void
share_meet(struct meeting *m, int threads)
{
	enum { SPINS = 50 };
	uint32_t past = atomic_load_explicit(&m->past, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&m->here, 1, memory_order_acq_rel) + 1 == (uint32_t)threads) {
		atomic_store_explicit(&m->here, 0, memory_order_relaxed);
		atomic_store_explicit(&m->past, past + 1, memory_order_release);
		return;
	}
	for (int i = 0; atomic_load_explicit(&m->past, memory_order_acquire) == past; i++)
		if (i < SPINS)
			pause_briefly();
		else
			sched_yield();
}

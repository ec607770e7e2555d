/* Pieces of work, numbered from 0 on, shared out to threads that may differ in speed. Each has an equal stretch to begin
 * with, so that it goes on where it was in its caches, and takes from its front; one that has none left takes from the
 * back of whoever has most (Blumofe and Leiserson 1999 on stealing). Which thread does a piece must not matter. */
#ifndef HONE_MATH_SHARE_H
#define HONE_MATH_SHARE_H

#include <stdatomic.h>
#include <stdint.h>

/* One thread's stretch: where it begins, and in the high half where it ends. A line of the cache for each. */
struct share {
	_Alignas(64) _Atomic uint64_t stretch;
};

/* A thread's own stretch of n pieces. Nobody may be taking any. */
void share_begin(struct share *s, int thread, int threads, int n);

/* The thread's next piece, or -1 when there is none left. All have begun, and know of it. */
int share_next(struct share *s, int thread, int threads);

/* Where threads wait for one another, zero before the first time. It is for short waits of some tens of microseconds, in
 * which to sleep and be woken would cost more: they spin, and after that leave the processor to others between two looks. */
struct meeting {
	_Alignas(64) _Atomic uint32_t here, past;  /* threads that have come; meetings that are over */
};

/* Returns when all `threads` have called it. What each did before is visible to all. */
void share_meet(struct meeting *m, int threads);

#endif

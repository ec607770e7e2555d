/* Pieces of work shared out: each is done once, by whoever comes to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <omp.h>

#include "math/share.h"

enum { THREADS = 4, MOST = 1000 };

static void
test_alone(void **state)
{
	(void)state;
	struct share s[1];
	share_begin(s, 0, 1, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(share_next(s, 0, 1), i);
	assert_int_equal(share_next(s, 0, 1), -1);
}

/* Whoever has done with its own takes what the one with most left would do last. */
static void
test_from_the_back(void **state)
{
	(void)state;
	struct share s[3];
	for (int t = 0; t < 3; t++)
		share_begin(s, t, 3, 9);
	for (int i = 3; i < 6; i++)
		assert_int_equal(share_next(s, 1, 3), i);
	assert_int_equal(share_next(s, 2, 3), 6);
	assert_int_equal(share_next(s, 1, 3), 2);
	assert_int_equal(share_next(s, 0, 3), 0);
	assert_int_equal(share_next(s, 1, 3), 8);
	assert_int_equal(share_next(s, 0, 3), 1);
	assert_int_equal(share_next(s, 0, 3), 7);
	for (int t = 0; t < 3; t++)
		assert_int_equal(share_next(s, t, 3), -1);
}

static void
test_none(void **state)
{
	(void)state;
	struct share s[2];
	for (int t = 0; t < 2; t++)
		share_begin(s, t, 2, 0);
	assert_int_equal(share_next(s, 0, 2), -1);
	assert_int_equal(share_next(s, 1, 2), -1);
}

/* One of the threads sleeps at every piece. */
static void
each_once(int n)
{
	struct share s[THREADS];
	struct meeting m = {0};
	int done[MOST] = {0};
#pragma omp parallel num_threads(THREADS)
	{
		int thread = omp_get_thread_num(), threads = omp_get_num_threads();
		share_begin(s, thread, threads, n);
		share_meet(&m, threads);
		for (int piece; (piece = share_next(s, thread, threads)) >= 0;) {
#pragma omp atomic
			done[piece]++;
			if (thread == 0)
				nanosleep(&(struct timespec){0, 1000000}, NULL);
		}
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(done[i], 1);
}

static void
test_threads(void **state)
{
	(void)state;
	for (int n = 0; n < 40; n++)
		each_once(n);
	each_once(MOST);
}

/* What the others wrote before a meeting is there after it. */
static void
test_meetings(void **state)
{
	(void)state;
	enum { TIMES = 2000 };
	struct meeting m = {0};
	int at[THREADS] = {0}, wrong = 0;
#pragma omp parallel num_threads(THREADS) reduction(+ : wrong)
	{
		int thread = omp_get_thread_num(), threads = omp_get_num_threads();
		for (int i = 1; i <= TIMES; i++) {
			at[thread] = i;
			share_meet(&m, threads);
			for (int t = 0; t < threads; t++)
				wrong += at[t] != i;
			share_meet(&m, threads);
		}
	}
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_from_the_back),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_meetings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

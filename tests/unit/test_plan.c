/* The batch plan: every example once an epoch, a pure function of seed and epoch; first-fit decreasing. */
#include "numeric.h"

#include "model/plan.h"

/* The order of an epoch, read off its steps; held. */
static uint32_t *
order_of(struct plan *p, int64_t epoch)
{
	uint32_t *order = hold(xreallocarray(NULL, p->examples, sizeof *order));
	size_t at = 0;
	for (int64_t s = 0; s < plan_steps_per_epoch(p); s++) {
		const uint32_t *first;
		size_t n = plan_step(p, epoch, s, &first);
		assert_true(n >= 1 && n <= p->batch_size);
		assert_true(n == p->batch_size || s + 1 == plan_steps_per_epoch(p));
		memcpy(order + at, first, n * sizeof *order);
		at += n;
	}
	assert_int_equal(at, p->examples);
	return order;
}

static void
assert_each_once(const uint32_t *order, size_t n)
{
	bool *seen = hold(xcalloc(n, sizeof *seen));
	for (size_t i = 0; i < n; i++) {
		assert_true(order[i] < n);
		assert_false(seen[order[i]]);
		seen[order[i]] = true;
	}
}

static void
test_each_example_once(void **state)
{
	(void)state;
	static const size_t sizes[][2] = {{1, 1}, {1, 8}, {16, 4}, {17, 4}, {1000, 7}, {31, 31}};
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (int shuffle = 0; shuffle < 2; shuffle++) {
			struct plan p;
			plan_init(&p, sizes[s][0], sizes[s][1], shuffle, 42);
			assert_int_equal(plan_steps_per_epoch(&p), (sizes[s][0] + sizes[s][1] - 1) / sizes[s][1]);
			for (int64_t epoch = 0; epoch < 3; epoch++) {
				uint32_t *order = order_of(&p, epoch);
				assert_each_once(order, p.examples);
				for (size_t i = 0; !shuffle && i < p.examples; i++)
					assert_int_equal(order[i], i);
			}
			plan_release(&p);
			release_all();
		}
}

static void
test_pure(void **state)
{
	(void)state;
	enum { N = 500 };
	struct plan p, fresh, other;
	const uint32_t *first;
	plan_init(&p, N, 7, true, 1);
	plan_init(&fresh, N, 7, true, 1);
	plan_init(&other, N, 7, true, 2);
	uint32_t *zero = order_of(&p, 0), *one = order_of(&p, 1);
	assert_memory_not_equal(zero, one, N * sizeof *zero);
	assert_memory_equal(order_of(&p, 0), zero, N * sizeof *zero);
	assert_memory_not_equal(order_of(&other, 0), zero, N * sizeof *zero);
	assert_int_equal(plan_step(&fresh, 1, 30, &first), 7);
	assert_memory_equal(first, one + 210, 7 * sizeof *first);
	plan_release(&p);
	plan_release(&fresh);
	plan_release(&other);
	release_all();
}

/* ---- packing ---- */

/* No bin is overfull but one of a single long item, and every item went into the first bin with room for it. */
static void
check_packing(const uint32_t *length, size_t n, uint64_t capacity)
{
	uint32_t *bin = hold(xreallocarray(NULL, n, sizeof *bin));
	size_t bins = plan_pack(length, n, capacity, bin);
	uint64_t *fill = hold(xcalloc(bins, sizeof *fill)), total = 0;
	size_t *count = hold(xcalloc(bins, sizeof *count));
	for (size_t i = 0; i < n; i++) {
		assert_true(bin[i] < bins);
		fill[bin[i]] += length[i];
		count[bin[i]]++;
		total += length[i];
	}
	for (size_t b = 0; b < bins; b++) {
		assert_true(count[b] > 0);
		assert_true(fill[b] <= capacity || count[b] == 1);
		assert_true(b == 0 || fill[b - 1] + fill[b] > capacity);
	}
	assert_true(bins <= 1 || bins <= 2 * (total / capacity + 1));
	release_all();
}

static void
test_packing(void **state)
{
	(void)state;
	struct rng r;
	uint32_t length[300];
	rng_init(&r, 3, 0);
	for (size_t n = 1; n < 300; n += 23)
		for (uint64_t capacity = 1; capacity < 5000; capacity *= 7) {
			for (size_t i = 0; i < n; i++)
				length[i] = 1 + (uint32_t)rng_below(&r, 600);
			check_packing(length, n, capacity);
		}
}

static void
test_packing_by_hand(void **state)
{
	(void)state;
	static const uint32_t length[] = {3, 7, 5, 5, 2, 12, 5}, want[] = {1, 1, 2, 2, 3, 0, 3};
	uint32_t bin[7];
	assert_int_equal(plan_pack(length, 7, 10, bin), 4);
	assert_memory_equal(bin, want, sizeof want);
	assert_int_equal(plan_pack(length, 7, 0, bin), 1);
	for (int i = 0; i < 7; i++)
		assert_int_equal(bin[i], 0);
	assert_int_equal(plan_pack(length, 0, 0, bin), 0);
	assert_int_equal(plan_pack(length, 0, 10, bin), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_example_once),
		cmocka_unit_test(test_pure),
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_packing_by_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

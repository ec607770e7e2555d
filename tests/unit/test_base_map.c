/* What is given back of a mapped file: as far as the kernel keeps pages together, whatever the order. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

enum { MB = 1 << 20, HEADER = 1000, SIZE = 40 * MB + HEADER, PART = 8 * MB };

/* The bytes of a mapping that are in memory now. */
static long
resident(const struct map *m)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	char line[512];
	long kb = -1;
	bool here = false;
	while (fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2)
			here = from == (uintptr_t)m->data;
		else if (here && sscanf(line, "Rss: %ld kB", &kb) == 1)
			break;
	}
	fclose(f);
	assert_true(kb >= 0);
	return kb * 1024;
}

static int
sum(const uint8_t *at, size_t n)
{
	int all = 0;
	for (size_t i = 0; i < n; i++)
		all += at[i];
	return all;
}

/* A file of zeros, most of them holes, mapped. */
static void
map_zeros(struct map *m)
{
	char path[] = "/tmp/hone-map-XXXXXX";
	struct err e;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	close(fd);
	assert_int_equal(map_open(m, path, &e), 0);
	unlink(path);
}

static void
parts_in_any_order_are_given_back(void **state)
{
	(void)state;
	static const size_t order[] = {1, 0, 4, 2, 3};
	struct map m;
	map_zeros(&m);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const uint8_t *at = m.data + HEADER + order[i] * PART;
		assert_int_equal(sum(at, PART), 0);
		assert_true(resident(&m) >= PART);
		map_forget(at, PART);
		assert_true(resident(&m) <= 4096);
	}
	map_close(&m);
}

static void
what_is_forgotten_is_read_anew(void **state)
{
	(void)state;
	struct map m;
	map_zeros(&m);
	map_forget(m.data, 1);
	map_forget(m.data + SIZE - 1, 1);
	map_forget(m.data, SIZE);
	assert_int_equal(resident(&m), 0);
	assert_int_equal(sum(m.data, SIZE), 0);
	map_close(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_in_any_order_are_given_back),
		cmocka_unit_test(what_is_forgotten_is_read_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

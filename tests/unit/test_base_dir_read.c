/* Several files of a directory that is replaced while they are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/dir_read.h"
#include "base/file.h"

static char top[] = "/tmp/hone-dir-XXXXXX";

struct reading {
	int replacements;  /* so often it is replaced in the midst of reading */
	int fails;         /* so often the second file is not read */
	int reads, drops;
	char first, second;
};

static char
byte_of(const char *path)
{
	struct buf b = {0};
	struct err e;
	assert_int_equal(file_read(path, 10, &b, &e), 0);
	char c = b.data[0];
	buf_release(&b);
	return c;
}

static void
exchange(void)
{
	assert_int_equal(rename("now", "before") | rename("next", "now") | rename("before", "next"), 0);
}

static int
read_both(void *ctx, struct err *e)
{
	struct reading *r = ctx;
	r->first = byte_of("now/x");
	if (r->reads++ < r->replacements)
		exchange();
	if (r->reads <= r->fails)
		return err_set(e, ERR_DATA, "the two do not fit");
	r->second = byte_of("now/y");
	return 0;
}

static void
drop_both(void *ctx)
{
	((struct reading *)ctx)->drops++;
}

static int
make_directories(void **state)
{
	struct err e;
	if (*state || !mkdtemp(top) || chdir(top) < 0)
		return -1;
	return dir_make("now", &e) | dir_make("next", &e) | file_write("now/x", false, "1", 1, &e) |
		file_write("now/y", false, "1", 1, &e) | file_write("next/x", false, "2", 1, &e) |
		file_write("next/y", false, "2", 1, &e);
}

static int
remove_directories(void **state)
{
	struct err e;
	(void)state;
	return path_remove(top, &e);
}

static void
what_is_read_is_of_one_directory(void **state)
{
	(void)state;
	struct err e;
	for (int n = 0; n < 4; n++) {
		struct reading r = {.replacements = n};
		assert_int_equal(dir_read("now", read_both, drop_both, &r, &e), 0);
		assert_int_equal(r.first, r.second);
		assert_int_equal(r.reads, n + 1);
		assert_int_equal(r.drops, n);
	}
}

static void
what_fails_because_of_it_is_read_again(void **state)
{
	(void)state;
	struct err e;
	struct reading r = {.replacements = 1, .fails = 1};
	assert_int_equal(dir_read("now", read_both, drop_both, &r, &e), 0);
	assert_int_equal(r.reads, 2);
	assert_int_equal(r.drops, 0);
	r = (struct reading){.fails = 1};
	assert_int_equal(dir_read("now", read_both, drop_both, &r, &e), -1);
	assert_int_equal(e.code, ERR_DATA);
	assert_int_equal(r.reads, 1);
}

static void
what_never_stays_is_given_up(void **state)
{
	(void)state;
	struct err e;
	struct reading r = {.replacements = 1000};
	assert_int_equal(dir_read("now", read_both, drop_both, &r, &e), -1);
	assert_int_equal(e.code, ERR_TEMPFAIL);
	assert_int_equal(r.reads, r.drops);
	assert_true(r.reads < 1000);
}

static void
a_hold_tells_of_a_replacement(void **state)
{
	(void)state;
	struct err e;
	int hold = dir_hold("now");
	assert_true(hold >= 0);
	assert_false(dir_replaced(hold, "now", &e));
	exchange();
	assert_true(dir_replaced(hold, "now", &e));
	assert_int_equal(e.code, ERR_TEMPFAIL);
	dir_let_go(hold);
	hold = dir_hold("now/x");
	assert_int_equal(hold, -1);
	assert_false(dir_replaced(hold, "now/x", &e));
	dir_let_go(hold);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_of_one_directory),
		cmocka_unit_test(what_fails_because_of_it_is_read_again),
		cmocka_unit_test(what_never_stays_is_given_up),
		cmocka_unit_test(a_hold_tells_of_a_replacement),
	};
	return cmocka_run_group_tests(tests, make_directories, remove_directories);
}

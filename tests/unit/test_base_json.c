/* JSON files: what is too large, and what is no JSON. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"

static char dir[] = "/tmp/hone-json-XXXXXX";
static char *file;

static int
make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	file = path_join(dir, "x.json");
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	struct err e;
	free(file);
	return path_remove(dir, &e);
}

/* Longer than the 64 KiB that are read at a time, so that some of it has been kept when the rest is too much. */
static void
a_file_that_is_too_large(void **state)
{
	(void)state;
	enum { SIZE = 70000, MAX = 68000 };
	struct err e;
	char *text = xmalloc(SIZE);
	memset(text, ' ', SIZE);
	assert_int_equal(file_write(file, true, text, SIZE, &e), 0);
	free(text);
	size_t before = mallinfo2().uordblks;
	assert_null(json_read_file(file, MAX, &e));
	assert_int_equal(e.code, ERR_DATA);
	assert_non_null(strstr(e.msg, "larger than"));
	assert_int_equal(mallinfo2().uordblks, before);
}

static void
no_object(void **state)
{
	(void)state;
	struct err e;
	char *other = path_join(dir, "none.json");
	assert_int_equal(json_write_file(other, true, NULL, 0, "", &e), -1);
	assert_int_equal(e.code, ERR_BUG);
	assert_non_null(strstr(e.msg, "cannot be written as JSON"));
	assert_false(path_exists(other));
	free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_is_too_large),
		cmocka_unit_test(no_object),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

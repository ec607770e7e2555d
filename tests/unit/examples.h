/* Examples, temporary directories and files for the tests of streams and datasets. */
#ifndef HONE_TESTS_EXAMPLES_H
#define HONE_TESTS_EXAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "fmt/example.h"

/* Fails with the message that a library call left. */
#define assert_ok(call, e)                                             \
	do {                                                           \
		if ((call) < 0)                                        \
			fail_msg("%s: %s", #call, (e)->msg);           \
	} while (0)

static const int32_t three_ids[] = {1, 7, 2}, five_ids[] = {1, 511, 0, 44, 2}, one_id[] = {9};
static const struct span all_three[] = {{3, 1}}, prompt_two[] = {{2, 0}, {3, 1}};
static const struct span weighted[] = {{1, 0}, {2, 0.1f}, {2, 3}}, none[] = {{1, 0}}, light[] = {{2, 0}, {3, 0.01f}};

static const struct example samples[] = {
	{.ids = three_ids, .n = 3, .spans = all_three, .n_spans = 1},
	{.ids = five_ids, .n = 5, .spans = prompt_two, .n_spans = 2, .completion = 2,
		.line = 4000000000000, .label = "pos", .label_len = 3},
	{.ids = five_ids, .n = 5, .spans = weighted, .n_spans = 3, .completion = 3,
		.line = 3, .label = "", .label_len = 0},
	{.ids = one_id, .n = 1, .spans = none, .n_spans = 1, .completion = 1,
		.label = "n\xc3\xa9g \"q\"", .label_len = 8},
	{.ids = five_ids, .n = 5, .spans = light, .n_spans = 2, .completion = 2,
		.label = "pos", .label_len = 3},
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static inline void
assert_example_equal(const struct example *a, const struct example *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->ids, b->ids, a->n * sizeof *a->ids);
	assert_int_equal(a->n_spans, b->n_spans);
	assert_memory_equal(a->spans, b->spans, a->n_spans * sizeof *a->spans);
	assert_int_equal(a->completion, b->completion);
	assert_true(a->line == b->line);
	assert_int_equal(a->label != NULL, b->label != NULL);
	if (a->label) {
		assert_int_equal(a->label_len, b->label_len);
		assert_memory_equal(a->label, b->label, a->label_len);
	}
}

/* A new directory under $TMPDIR; the caller frees the name and removes the directory. */
static inline char *
temporary_directory(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = xasprintf("%s/hone-test-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void
remove_directory(char *dir)
{
	struct err e;
	assert_ok(path_remove(dir, &e), &e);
	free(dir);
}

static inline void
write_file(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static inline void
read_file(const char *path, struct buf *b)
{
	struct err e;
	buf_clear(b);
	assert_ok(file_read(path, 1 << 28, b, &e), &e);
}

#endif

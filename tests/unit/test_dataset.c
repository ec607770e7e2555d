/* Datasets: what was added comes back, in any order; the same input gives the same bytes; damage is seen. */
#include "examples.h"

#include "fmt/dataset.h"

static char *dir, *path;

static int
setup(void **state)
{
	(void)state;
	dir = temporary_directory();
	path = path_join(dir, "data");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(path);
	remove_directory(dir);
	return 0;
}

static json_t *
new_info(int vocab_size)
{
	return json_pack("{s:s, s:i, s:i, s:s, s:s}", "tokenizer", "abc", "vocab_size", vocab_size, "eos_token_id", 2,
		"note", "kept", "fingerprint", "overridden");
}

static void
write_dataset(const struct example *x, size_t n, size_t shard_bytes)
{
	struct err e;
	struct dataset_options opt = {.shard_bytes = shard_bytes, .force = true};
	struct dataset_writer *w = dataset_create(path, &opt, &e);
	if (!w)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < n; i++)
		assert_ok(dataset_add(w, &x[i], &e), &e);
	json_t *info = new_info(512);
	assert_ok(dataset_finish(w, info, &e), &e);
	json_decref(info);
}

static struct dataset *
open_dataset(void)
{
	struct err e;
	struct dataset *d = dataset_open(path, &e);
	if (!d)
		fail_msg("%s", e.msg);
	return d;
}

/* Example i of a larger set, made up from i alone, in memory that the next call reuses. */
static struct example
made_up(size_t i)
{
	static int32_t ids[3000];
	static struct span spans[2];
	struct rng r;
	rng_init(&r, 1, i);
	uint32_t n = 2 + (uint32_t)rng_below(&r, 2998);
	for (uint32_t k = 0; k < n; k++)
		ids[k] = (int32_t)rng_below(&r, 512);
	spans[0] = (struct span){1 + (uint32_t)rng_below(&r, n - 1), 0};
	spans[1] = (struct span){n - spans[0].n, 1};
	return (struct example){.ids = ids, .n = n, .spans = spans, .n_spans = 2, .completion = spans[0].n, .line = i + 1};
}

static void
assert_made_up(struct dataset *d, size_t i)
{
	struct err e;
	struct example x, want = made_up(i);
	assert_int_equal(dataset_length(d, i), want.n);
	assert_ok(dataset_read(d, i, &x, &e), &e);
	assert_example_equal(&x, &want);
}

static void
test_small(void **state)
{
	(void)state;
	struct err e;
	struct example x;
	write_dataset(samples, N_SAMPLES, 0);
	struct dataset *d = open_dataset();
	assert_int_equal(dataset_count(d), N_SAMPLES);
	assert_int_equal(dataset_tokens(d), 19);
	assert_int_equal(dataset_targets(d), 2 + 3 + 4 + 0 + 3);
	assert_int_equal(dataset_max_length(d), 5);
	assert_int_equal(dataset_vocab_size(d), 512);
	assert_string_equal(dataset_tokenizer(d), "abc");
	assert_int_equal(strlen(dataset_fingerprint(d)), 32);
	assert_string_equal(json_string_value(json_object_get(dataset_json(d), "note")), "kept");
	for (size_t i = N_SAMPLES; i-- > 0;) {
		assert_ok(dataset_read(d, i, &x, &e), &e);
		assert_example_equal(&x, &samples[i]);
	}
	dataset_close(d);
	assert_ok(dataset_verify(path, NULL, &e), &e);
}

static void
test_many_shards(void **state)
{
	(void)state;
	enum { N = 300 };
	struct err e;
	struct rng r;
	struct dataset_options opt = {.shard_bytes = 200000, .force = true};
	struct dataset_writer *w = dataset_create(path, &opt, &e);
	assert_non_null(w);
	for (size_t i = 0; i < N; i++) {
		struct example x = made_up(i);
		assert_ok(dataset_add(w, &x, &e), &e);
	}
	assert_ok(dataset_finish(w, NULL, &e), &e);

	struct dataset *d = open_dataset();
	assert_int_equal(dataset_count(d), N);
	assert_true(json_array_size(json_object_get(dataset_json(d), "shards")) > 2);
	assert_null(dataset_tokenizer(d));
	assert_int_equal(dataset_vocab_size(d), 0);
	for (size_t i = 0; i < N; i++)
		assert_made_up(d, i);
	rng_init(&r, 2, 0);
	for (size_t i = 0; i < N; i++)
		assert_made_up(d, rng_below(&r, N));
	dataset_close(d);
	assert_ok(dataset_verify(path, NULL, &e), &e);
}

static void
test_large_example(void **state)
{
	(void)state;
	enum { N = 100000 };
	struct err e;
	struct example x;
	int32_t *ids = xcalloc(N, sizeof *ids);
	struct span all = {N, 1};
	struct example big = {.ids = ids, .n = N, .spans = &all, .n_spans = 1};
	const struct example three[] = {samples[0], big, samples[1]};
	for (int i = 0; i < N; i++)
		ids[i] = i % 511;
	write_dataset(three, 3, 1);
	struct dataset *d = open_dataset();
	for (size_t i = 0; i < 3; i++) {
		assert_ok(dataset_read(d, i, &x, &e), &e);
		assert_example_equal(&x, &three[i]);
	}
	dataset_close(d);
	free(ids);
}

static void
test_empty(void **state)
{
	(void)state;
	struct err e;
	size_t n = 1;
	write_dataset(samples, 0, 0);
	struct dataset *d = open_dataset();
	assert_int_equal(dataset_count(d), 0);
	assert_int_equal(dataset_max_length(d), 0);
	dataset_labels(d, &n);
	assert_int_equal(n, 0);
	dataset_close(d);
	assert_ok(dataset_verify(path, NULL, &e), &e);
}

static void
test_same_bytes(void **state)
{
	(void)state;
	static const char *const files[] = {"dataset.json", "shard-00000.hone.zst"};
	struct buf first[2] = {{0}, {0}}, again = {0};
	for (int i = 0; i < 2; i++) {
		write_dataset(samples, N_SAMPLES, 0);
		for (int k = 0; k < 2; k++) {
			char *file = path_join(path, files[k]);
			read_file(file, i ? &again : &first[k]);
			if (i) {
				assert_int_equal(again.len, first[k].len);
				assert_memory_equal(again.data, first[k].data, again.len);
			}
			free(file);
		}
	}
	buf_release(&first[0]);
	buf_release(&first[1]);
	buf_release(&again);
}

/* ---- labels ---- */

static const int32_t yes_ids[] = {1, 5, 6, 40, 2}, no_ids[] = {1, 5, 41, 42, 2}, open_ids[] = {1, 5, 6, 40};
static const struct example yes = {.ids = yes_ids, .n = 5, .spans = (const struct span[]){{3, 0}, {2, 1}}, .n_spans = 2,
	.completion = 3, .label = "yes", .label_len = 3};
static const struct example no = {.ids = no_ids, .n = 5, .spans = (const struct span[]){{2, 0}, {3, 1}}, .n_spans = 2,
	.completion = 2, .label = "no", .label_len = 2};
static const struct example open_end = {.ids = open_ids, .n = 4, .spans = (const struct span[]){{3, 0}, {1, 1}},
	.n_spans = 2, .completion = 3, .label = "yes", .label_len = 3};

static size_t
labels_of(const struct example *x, size_t n)
{
	size_t n_labels;
	write_dataset(x, n, 0);
	struct dataset *d = open_dataset();
	dataset_labels(d, &n_labels);
	dataset_close(d);
	return n_labels;
}

static void
test_labels(void **state)
{
	(void)state;
	size_t n;
	const struct example five[] = {yes, samples[0], no, yes, yes, no};
	write_dataset(five, 6, 0);
	struct dataset *d = open_dataset();
	const struct label *l = dataset_labels(d, &n);
	assert_int_equal(n, 2);
	assert_string_equal(l[0].name, "no");
	assert_int_equal(l[0].count, 2);
	assert_int_equal(l[0].n_ids, 2);
	assert_int_equal(l[0].ids[0], 41);
	assert_int_equal(l[0].ids[1], 42);
	assert_string_equal(l[1].name, "yes");
	assert_int_equal(l[1].count, 3);
	assert_int_equal(l[1].n_ids, 1);
	assert_int_equal(l[1].ids[0], 40);
	dataset_close(d);
}

static void
test_no_labels(void **state)
{
	(void)state;
	assert_int_equal(labels_of((const struct example[]){yes, no, yes}, 3), 0);           /* too few of each */
	assert_int_equal(labels_of((const struct example[]){yes, yes}, 2), 1);
	assert_int_equal(labels_of((const struct example[]){yes, yes, open_end}, 3), 0);     /* two spellings */
	assert_int_equal(labels_of((const struct example[]){samples[3], samples[3]}, 2), 0); /* no completion */
}

static void
test_many_labels(void **state)
{
	(void)state;
	for (size_t n = 1000; n <= 1001; n++) {
		struct example *x = xcalloc(2 * n, sizeof *x);
		char (*names)[8] = xcalloc(n, sizeof *names);
		for (size_t i = 0; i < 2 * n; i++) {
			snprintf(names[i % n], sizeof *names, "%zu", i % n);
			x[i] = yes;
			x[i].label = names[i % n];
			x[i].label_len = (uint32_t)strlen(names[i % n]);
		}
		assert_int_equal(labels_of(x, 2 * n), n == 1000 ? 1000 : 0);
		free(names);
		free(x);
	}
}

/* ---- errors ---- */

static void
test_refusals(void **state)
{
	(void)state;
	struct err e;
	struct dataset_options opt = {0};
	write_dataset(samples, 1, 0);
	assert_null(dataset_create(path, &opt, &e));
	assert_int_equal(e.code, ERR_CANTCREAT);
	opt.force = true;
	assert_null(dataset_create(dir, &opt, &e));
	assert_int_equal(e.code, ERR_CANTCREAT);
	assert_non_null(strstr(e.msg, "is not a dataset"));

	struct dataset_writer *w = dataset_create(path, &opt, &e);
	struct example x = samples[0];
	x.n = 2;
	assert_int_equal(dataset_add(w, &x, &e), -1);
	assert_non_null(strstr(e.msg, "spans cover 3 tokens of 2"));
	assert_ok(dataset_add(w, &samples[1], &e), &e);
	json_t *info = new_info(511);
	assert_int_equal(dataset_finish(w, info, &e), -1);
	json_decref(info);
	assert_int_equal(e.code, ERR_DATA);
	assert_non_null(strstr(e.msg, "token id 511 is not within the vocabulary"));
	struct dataset *d = open_dataset();  /* the old one still stands */
	assert_int_equal(dataset_count(d), 1);
	dataset_close(d);
	assert_null(dataset_open(dir, &e));
	assert_int_equal(e.code, ERR_NOINPUT);
}

/* Opens and reads all; 0 when everything is as it was written. */
static int
read_samples(struct err *e)
{
	struct dataset *d = dataset_open(path, e);
	int rc = d ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < N_SAMPLES; i++) {
		struct example x;
		rc = dataset_read(d, i, &x, e);
		if (rc == 0)
			assert_example_equal(&x, &samples[i]);
	}
	dataset_close(d);
	return rc;
}

/* Damages one file of a dataset in every bit and at every length. A reader either says so or reads the same
 * (zstd has bits that mean nothing); returns how many changes dataset_verify does not see either. */
static int
damage(const char *name)
{
	struct err e;
	struct buf b = {0};
	int unseen = 0;
	write_dataset(samples, N_SAMPLES, 0);
	char *file = path_join(path, name);
	read_file(file, &b);
	for (size_t i = 0; i < 8 * b.len; i++) {
		b.data[i / 8] ^= (char)(1 << i % 8);
		write_file(file, b.data, b.len);
		b.data[i / 8] ^= (char)(1 << i % 8);
		if (read_samples(&e) == 0)
			unseen += dataset_verify(path, NULL, &e) == 0;
		else
			assert_int_equal(e.code, ERR_DATA);
	}
	for (size_t n = 0; n < b.len; n++) {
		write_file(file, b.data, n);
		if (read_samples(&e) == 0)
			unseen += dataset_verify(path, NULL, &e) == 0;
		else
			assert_int_equal(e.code, ERR_DATA);
	}
	buf_release(&b);
	free(file);
	return unseen;
}

static void
test_damaged_shard(void **state)
{
	(void)state;
	assert_int_equal(damage("shard-00000.hone.zst"), 0);
}

static void
test_damaged_json(void **state)
{
	(void)state;
	/* What may change unseen is white space, and the last line feed may go. */
	struct buf b = {0};
	int unseen = damage("dataset.json"), space = 1;
	char *file = path_join(path, "dataset.json");
	write_dataset(samples, N_SAMPLES, 0);
	read_file(file, &b);
	for (size_t i = 0; i < b.len; i++)
		space += b.data[i] == ' ' || b.data[i] == '\n' ? 8 : 0;
	assert_true(unseen > 0 && unseen < space);
	free(file);
	buf_release(&b);
}

static void
test_verify_sees_an_exchanged_shard(void **state)
{
	(void)state;
	struct err e;
	struct buf b = {0};
	char *file = path_join(path, "shard-00000.hone.zst");
	struct example x = samples[0];
	write_dataset(&x, 1, 0);
	read_file(file, &b);
	x.ids = (const int32_t[]){1, 7, 3};
	write_dataset(&x, 1, 0);
	write_file(file, b.data, b.len);
	assert_int_equal(dataset_verify(path, NULL, &e), -1);
	assert_int_equal(e.code, ERR_NO);
	assert_non_null(strstr(e.msg, "its hash is"));
	buf_release(&b);
	free(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_many_shards),
		cmocka_unit_test(test_large_example),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_no_labels),
		cmocka_unit_test(test_many_labels),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_damaged_shard),
		cmocka_unit_test(test_damaged_json),
		cmocka_unit_test(test_verify_sees_an_exchanged_shard),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

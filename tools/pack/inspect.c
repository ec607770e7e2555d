#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/plain.h"
#include "fmt/dataset.h"
#include "fmt/tokens.h"
#include "pack.h"

enum { LABELS_SHOWN = 20 };

/* What dataset.json does not say outright. */
struct figures {
	uint64_t bytes, raw_bytes;
	uint32_t min, p50, p90, p99;
	double mean;
};

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void
measure(const struct dataset *d, struct figures *f)
{
	size_t n = dataset_count(d), i;
	const json_t *shard;
	*f = (struct figures){0};
	json_array_foreach(json_object_get(dataset_json(d), "shards"), i, shard) {
		f->bytes += (uint64_t)json_integer_value(json_object_get(shard, "bytes"));
		f->raw_bytes += (uint64_t)json_integer_value(json_object_get(shard, "raw_bytes"));
	}
	if (n == 0)
		return;
	uint32_t *length = xreallocarray(NULL, n, sizeof *length);
	for (i = 0; i < n; i++)
		length[i] = dataset_length(d, i);
	qsort(length, n, sizeof *length, by_size);
	f->min = length[0];
	f->p50 = length[(n - 1) / 2];
	f->p90 = length[(n - 1) * 9 / 10];
	f->p99 = length[(n - 1) - (n - 1) / 100];
	f->mean = (double)dataset_tokens(d) / (double)n;
	free(length);
}

static double
ratio(const struct figures *f)
{
	return f->bytes ? (double)f->raw_bytes / (double)f->bytes : 1;
}

/* " 'neg' 25, 'pos' 26" */
static void
put_labels(struct buf *b, const struct dataset *d)
{
	size_t n;
	const struct label *l = dataset_labels(d, &n);
	for (size_t i = 0; i < n && i < LABELS_SHOWN; i++) {
		buf_puts(b, i ? ", '" : " '");
		buf_plain(b, l[i].name);
		buf_printf(b, "' %llu", (unsigned long long)l[i].count);
	}
	if (n > LABELS_SHOWN)
		buf_printf(b, ", and %zu more", n - LABELS_SHOWN);
}

int
pack_report(const char *path, struct err *e)
{
	struct dataset *d = dataset_open(path, e);
	if (!d)
		return -1;
	struct figures f;
	char size[SIZE_TEXT];
	struct buf labels = {0};
	size_t n;
	measure(d, &f);
	dataset_labels(d, &n);
	put_labels(&labels, d);
	log_note("'%s': %zu examples, %llu tokens, %llu targets, %s (%.1f times smaller)", path,
		dataset_count(d), (unsigned long long)dataset_tokens(d), (unsigned long long)dataset_targets(d),
		size_text(size, f.bytes), ratio(&f));
	if (n)
		log_note("'%s': %zu labels:%s", path, n, labels.data);
	buf_release(&labels);
	dataset_close(d);
	return 0;
}

static void
print_info(const struct dataset *d, const struct figures *f)
{
	char size[SIZE_TEXT];
	struct buf labels = {0};
	size_t n;
	const char *tokenizer = dataset_tokenizer(d);
	dataset_labels(d, &n);
	put_labels(&labels, d);
	printf("examples     %zu\n", dataset_count(d));
	printf("tokens       %llu\n", (unsigned long long)dataset_tokens(d));
	printf("targets      %llu\n", (unsigned long long)dataset_targets(d));
	printf("length       mean %.1f, shortest %u, median %u, 90%% %u, 99%% %u, longest %u\n", f->mean, f->min,
		f->p50, f->p90, f->p99, dataset_max_length(d));
	if (n)
		printf("labels       %zu:%s\n", n, labels.data);
	else
		printf("labels       none\n");
	fputs("tokenizer    ", stdout);
	plain_put(stdout, tokenizer ? tokenizer : "unknown");
	putchar('\n');
	if (dataset_vocab_size(d))
		printf("vocabulary   %lld\n", (long long)dataset_vocab_size(d));
	printf("shards       %zu, %s (%.1f times smaller than the records)\n",
		json_array_size(json_object_get(dataset_json(d), "shards")), size_text(size, f->bytes), ratio(f));
	fputs("fingerprint  ", stdout);
	plain_put(stdout, dataset_fingerprint(d));
	putchar('\n');
	buf_release(&labels);
}

static void
print_json(const struct dataset *d, const struct figures *f)
{
	json_t *j = json_copy((json_t *)dataset_json(d));
	json_object_set_new(j, "bytes", json_integer((json_int_t)f->bytes));
	json_object_set_new(j, "raw_bytes", json_integer((json_int_t)f->raw_bytes));
	json_object_set_new(j, "lengths", json_pack("{s:f, s:I, s:I, s:I, s:I, s:I}", "mean", f->mean,
		"min", (json_int_t)f->min, "p50", (json_int_t)f->p50, "p90", (json_int_t)f->p90,
		"p99", (json_int_t)f->p99, "max", (json_int_t)dataset_max_length(d)));
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	putchar('\n');
	json_decref(j);
}

int
inspect_info(const char *path, bool json, struct err *e)
{
	struct dataset *d = dataset_open(path, e);
	if (!d)
		return -1;
	struct figures f;
	measure(d, &f);
	if (json)
		print_json(d, &f);
	else
		print_info(d, &f);
	dataset_close(d);
	return 0;
}

/* What the streams said of the data, without what packing them added. */
static json_t *
stream_header(const struct dataset *d)
{
	json_t *header = dataset_info(d);
	const json_t *inputs = json_object_get(json_object_get(header, "provenance"), "inputs");
	json_t *own = json_array_size(inputs) == 1 ? json_incref(json_object_get(json_array_get(inputs, 0), "provenance")) : NULL;
	json_object_del(header, "pack");
	json_object_del(header, "provenance");
	if (own)
		json_object_set_new(header, "provenance", own);
	return header;
}

int
inspect_cat(const char *path, struct err *e)
{
	struct out out;
	struct dataset *d = dataset_open(path, e);
	if (!d || out_open(&out, "-", false, e) < 0) {
		dataset_close(d);
		return -1;
	}
	json_t *header = stream_header(d);
	struct tokens_writer *w = tokens_create(&out, header, true);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < dataset_count(d) && !out.error; i++) {
		struct example x;
		if ((rc = dataset_read(d, i, &x, e)) == 0)
			tokens_write(w, &x);
	}
	tokens_finish(w, NULL);
	if (rc == 0)
		rc = out_commit(&out, e);
	else
		out_abort(&out);
	json_decref(header);
	dataset_close(d);
	return rc;
}

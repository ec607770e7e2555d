/* A file as hone-prepare takes it. The first byte chooses its format, the second options. */
#include "../../tools/prepare/prepare.h"
#include "fuzz.h"
#include "text/unicode.h"

static struct options
options(unsigned a, unsigned b)
{
	static const char *const format[] = {"auto", "csv", "tsv", "json", "jsonl", "txt"};
	static const char *const header[] = {"auto", "yes", "no"}, *const quotes[] = {"auto", "yes", "no"};
	return (struct options){.format = format[a % 6],
		.header = header[a / 6 % 3],
		.quotes = quotes[a / 18 % 3],
		.encoding = b & 1 ? "latin1" : "utf-8",
		.on_error = b & 2 ? "skip" : "fail",
		.dedup = b & 4,
		.lower_case = "none",
		.strip_prefix = "none",
		.completion_space = b & 8,
		.overlong = "error"};
}

static void
clean(struct data *d)
{
	struct err e;
	clean_empty(d);
	classes_task(d);
	if (clean_case(d, &e) < 0 || affix_check(d, &e) < 0)
		return;
	clean_near_empty(d);
	clean_duplicates(d);
	split_group(d);
	classes_find(d);
	classes_report(d, false);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned a = fuzz_byte(&rest), b = fuzz_byte(&rest);
	struct options opt = options(a, b);
	struct data d = {.opt = &opt};
	struct input in;
	struct mapping m;
	struct err e;
	uni_init();
	report_init(&d.report);
	buf_append(&d.store, "", 0);
	int rc = input_open(&in, fuzz_file("data", rest), 0, &opt, &e);
	if (rc == 0 && (rc = columns_map(&m, &in, &opt, &e)) == 0) {
		d.form = m.form;
		rc = rows_load(&d, &in, 0, &m, &e);
	}
	input_close(&in);
	if (rc == 0)
		clean(&d);
	data_release(&d);
	fuzz_clear();
	return 0;
}

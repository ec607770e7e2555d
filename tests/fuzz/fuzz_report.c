/* A run directory as hone-report reads it: run.json, metrics.jsonl, predictions.jsonl. */
#include "../../tools/report/report.h"
#include "fuzz.h"

static void
show(const struct run *r)
{
	struct buf b = {0};
	struct chart *charts;
	struct terminal t = {.width = 80, .utf8 = true};
	size_t n = curves_make(&charts, r, 1);
	page_write(&b, r, 1, &(struct report_options){.mistakes = 10});
	for (size_t i = 0; i < n; i++)
		chart_text(&b, &charts[i], &t);
	curves_free(charts, n);
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct run r = {0};
	struct err e;
	fuzz_file("run.json", fuzz_part(&rest));
	fuzz_file("metrics.jsonl", fuzz_part(&rest));
	if (rest.n)
		fuzz_file("predictions.jsonl", rest);
	if (run_open(&r, fuzz_dir(), &e) == 0)
		show(&r);
	run_close(&r);
	fuzz_clear();
	return 0;
}

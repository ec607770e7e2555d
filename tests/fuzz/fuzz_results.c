/* A results.csv that a run goes on with. The first byte chooses its columns, the second the step. */
#include "eval/results_csv.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned kind = fuzz_byte(&rest) % 3, step = fuzz_byte(&rest);
	struct metrics_betas betas = {0};
	struct results_csv r = {0};
	struct results_row row = {.step = step + 1};
	struct err e;
	fuzz_file("results.csv", rest);
	if (results_open(&r, fuzz_dir(), (enum results_kind)kind, &betas, step, &e) == 0) {
		results_append(&r, &row, &e);
		results_close(&r);
	}
	fuzz_clear();
	return 0;
}

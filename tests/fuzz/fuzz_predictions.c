/* A predictions file: read, its figures computed, and written; what is written reads back. Then appended to. */
#include <math.h>

#include "eval/figures.h"
#include "eval/metrics.h"
#include "eval/predictions.h"
#include "fuzz.h"

static void
figures(const struct predictions *p)
{
	for (size_t i = 0; i < p->n; i++) {
		FUZZ_CHECK(p->row[i].label < p->n_classes && p->row[i].prediction < p->n_classes);
		if (p->n_classes)
			predictions_score(p, i, p->n_classes - 1);
	}
}

static void
write_and_read(const struct predictions *p)
{
	struct predictions again = {0};
	struct out out;
	struct err e;
	const char *path = fuzz_path("again.jsonl");
	FUZZ_CHECK(out_open(&out, path, true, &e) == 0);
	predictions_write(p, NULL, &out);
	FUZZ_CHECK(out_commit(&out, &e) == 0 && predictions_read(&again, path, &e) == 0 && again.n == p->n);
	predictions_release(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file("predictions.jsonl", (struct fuzz_part){(const char *)data, size});
	struct predictions p = {0};
	struct err e;
	if (predictions_read(&p, path, &e) == 0) {
		figures(&p);
		write_and_read(&p);
		predictions_append(&p, path, 3, &e);
	}
	predictions_release(&p);
	fuzz_clear();
	return 0;
}

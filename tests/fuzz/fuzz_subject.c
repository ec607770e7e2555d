/* What hone-eval holds against each other: two files of predictions, of generated texts or of figures; or, when the first
 * byte is odd, a run and a file. Then every test between them. */
#include <sys/stat.h>

#include "../../tools/eval/eval.h"
#include "fuzz.h"

/* What hone-eval's main.c has. */
struct settings settings;

json_t *
lasting_settings(void)
{
	return json_object();
}

static void
compare_two(const char *one, const char *other)
{
	static const char *const keys[] = {
		"loss", "classification/accuracy", "classification/macro_f1_score", "generation/token_f1"};
	struct subject a, b;
	struct difference d;
	struct err e;
	int rc = subject_open(&a, one, &e);
	int other_rc = subject_open(&b, other, &e);
	for (size_t i = 0; rc == 0 && other_rc == 0 && i < sizeof keys / sizeof *keys; i++)
		difference_find(&d, &a, &b, keys[i], &e);
	subject_close(&a);
	subject_close(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	bool is_run = fuzz_byte(&rest) & 1;
	struct fuzz_part first = fuzz_part(&rest), rows = is_run ? fuzz_part(&rest) : (struct fuzz_part){0};
	settings.resamples = 10;
	const char *one = fuzz_path("one");
	if (is_run) {
		mkdir(one, 0700);
		fuzz_file("one/metrics.jsonl", first);
		if (rows.n)
			fuzz_file("one/predictions.jsonl", rows);
	} else {
		fuzz_file("one", first);
	}
	compare_two(one, fuzz_file("other", rest));
	fuzz_clear();
	return 0;
}

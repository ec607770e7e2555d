/* What hone-train -t takes, as a whole: records, a token stream, or a list of labels beside them; packed, and read back. */
#include "fuzz.h"
#include "text/ingest.h"
#include "text/label_list.h"

static void
read_all(struct dataset *d)
{
	struct example x;
	struct err e;
	for (size_t i = 0; d && i < dataset_count(d); i++)
		FUZZ_CHECK(dataset_read(d, i, &x, &e) == 0 && x.n == dataset_length(d, i));
}

static void
read_labels(struct fuzz_part labels)
{
	const char *path = fuzz_file("labels.txt", labels);
	struct label_list l = {0};
	struct err e;
	if (label_list_is(path)) {
		label_list_read(&l, path, fuzz_model(), &e);
		label_list_release(&l);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct fuzz_part records = fuzz_part(&rest), labels = fuzz_part(&rest);
	const char *path = fuzz_file("records.jsonl", records);
	struct ingest_options opt = {.template = "chatml", .record = {.train_on = TRAIN_ON_ASSISTANT}, .threads = 1};
	struct ingested in = {0};
	struct err e;
	setenv("TMPDIR", fuzz_dir(), true);
	if (ingest_open(&in, &path, 1, fuzz_model(), &opt, &e) == 0) {
		read_all(in.dataset);
		ingest_check(&in, path, (int)tokenizer_vocab_size(fuzz_tokenizer()), fuzz_model(), false, &e);
		ingest_close(&in);
	}
	if (labels.n)
		read_labels(labels);
	fuzz_clear();
	return 0;
}

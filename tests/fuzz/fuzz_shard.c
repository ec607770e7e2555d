/* Files of a dataset as they are: dataset.json and one shard. */
#include "fmt/dataset.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct err e;
	struct example x;
	fuzz_file("dataset.json", fuzz_part(&rest));
	fuzz_file("shard-00000.hone.zst", rest);
	struct dataset *d = dataset_open(fuzz_dir(), &e);
	for (size_t i = 0; d && i < dataset_count(d) && i < 1000; i++)
		dataset_read(d, i, &x, &e);
	dataset_close(d);
	dataset_verify(fuzz_dir(), NULL, &e);
	fuzz_clear();
	return 0;
}

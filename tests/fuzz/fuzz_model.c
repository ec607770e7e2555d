/* A model directory as a whole: config.json and weights. What opens is run over a few tokens. The first byte chooses
 * whether it is quantised. */
#include "fuzz.h"
#include "fuzz_run.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	struct model m = {0};
	struct err e;
	int bits = 4 * (int)(fuzz_byte(&rest) % 3);
	fuzz_file("config.json", fuzz_part(&rest));
	fuzz_file("model.safetensors", rest);
	if (model_open(&m, fuzz_dir(), &(struct model_options){.bits = bits}, &e) == 0) {
		fuzz_run(&m);
		model_release(&m);
	}
	fuzz_clear();
	return 0;
}

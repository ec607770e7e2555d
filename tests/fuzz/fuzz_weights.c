/* The weights of a model directory: model.safetensors.index.json, and the files that it may name. Without an index, one
 * file. */
#include <string.h>

#include "fmt/weights.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size}, index = fuzz_part(&rest);
	struct err e;
	if (index.n)
		fuzz_file("model.safetensors.index.json", index);
	fuzz_file(index.n ? "model-00001-of-00002.safetensors" : "model.safetensors", fuzz_part(&rest));
	fuzz_file("model-00002-of-00002.safetensors", fuzz_part(&rest));
	struct weights *w = weights_open(fuzz_dir(), &e);
	if (w) {
		FUZZ_CHECK(strlen(weights_fingerprint(w)) == HASH_HEX - 1);
		for (size_t i = 0; i < weights_count(w); i++)
			FUZZ_CHECK(weights_find(w, weights_at(w, i)->name));
		weights_find(w, "lm_head.weight");
		for (size_t i = 0; i < weights_files(w); i++)
			weights_file(w, i, NULL);
		weights_close(w);
	}
	fuzz_clear();
	return 0;
}

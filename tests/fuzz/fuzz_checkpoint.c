/* state.json of a checkpoint, and manifest.xxh128 with its hash set right when the first byte is odd. */
#include <string.h>

#include "../../tools/train/train.h"
#include "base/hash.h"
#include "fmt/manifest.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned fix = fuzz_byte(&rest) & 1;
	struct fuzz_part state = fuzz_part(&rest);
	struct run r = {.total_steps = 1000};
	struct err e;
	char hex[HASH_HEX], line[64];
	hash_bytes(state.p, state.n, hex);
	snprintf(line, sizeof line, "%s  state.json\n", hex);
	fuzz_file("state.json", state);
	fuzz_file("manifest.xxh128", fix ? (struct fuzz_part){line, strlen(line)} : rest);
	outliers_init(&r.outliers, 16);
	manifest_check(fuzz_dir(), NULL, &e);
	if (state_read(&r, fuzz_dir(), &e) == 0)
		FUZZ_CHECK(r.step >= 1 && r.step <= r.total_steps && r.stale >= 0 && r.outliers.n <= 16);
	outliers_release(&r.outliers);
	fuzz_clear();
	return 0;
}

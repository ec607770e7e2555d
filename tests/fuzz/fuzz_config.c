/* A config.json. */
#include "fuzz.h"
#include "model/config.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c = {0};
	struct err e;
	fuzz_file("config.json", (struct fuzz_part){(const char *)data, size});
	if (config_read(&c, fuzz_dir(), &e) == 0) {
		FUZZ_CHECK(c.V > 0 && c.C > 0 && c.L > 0 && c.H > 0 && c.K > 0 && c.D > 0 && c.F > 0 && c.H % c.K == 0);
		config_release(&c);
	}
	fuzz_clear();
	return 0;
}

/* A file of generated texts and their references. */
#include "eval/generations.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct generations g = {0};
	struct in in;
	struct err e;
	const char *path = fuzz_file("generations.jsonl", (struct fuzz_part){(const char *)data, size});
	FUZZ_CHECK(in_open_unpacked(&in, path, &e) == 0);
	if (generations_read(&g, &in, &e) == 0)
		for (size_t i = 0; i < g.n; i++)
			for (int k = 0; k < N_GENERATION_FIGURES; k++)
				FUZZ_CHECK(g.row[i].figure[k] >= 0 && g.row[i].figure[k] <= 1);
	generations_release(&g);
	in_close(&in);
	fuzz_clear();
	return 0;
}

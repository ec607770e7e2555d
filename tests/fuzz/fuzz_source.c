/* A file of records: JSON lines or a JSON list, plain, gzip or zstd. */
#include "fuzz.h"
#include "text/source.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file("records", (struct fuzz_part){(const char *)data, size}), *text;
	struct source s;
	struct err e;
	uint64_t line, last = 0, errors = 0;
	size_t n;
	if (source_open(&s, path, &e) == 0) {
		for (int rc; (rc = source_next(&s, &text, &n, &line, &e)) != 0;) {
			FUZZ_CHECK(rc < 0 || line >= last);
			if (rc > 0)
				last = line;
			else if (!s.can_go_on)
				break;
			FUZZ_CHECK(rc > 0 || ++errors <= size || s.in.unpack);
		}
		source_close(&s);
	}
	fuzz_clear();
	return 0;
}

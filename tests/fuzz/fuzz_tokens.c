/* A token stream, in either form. The checksum of a binary one is set right first when the first byte is odd. */
#include <string.h>

#include "base/hash.h"
#include "fmt/tokens.h"
#include "fmt/tokens_layout.h"
#include "fuzz.h"

static void
read_all(const char *path)
{
	struct example x;
	struct err e;
	struct tokens_reader *r = tokens_open(path, &e);
	if (!r)
		return;
	while (tokens_read(r, &x, &e) > 0)
		FUZZ_CHECK(x.n > 0 && x.n_spans > 0 && x.completion <= x.n && example_targets(&x) <= x.n);
	tokens_header(r);
	tokens_close(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned fix = fuzz_byte(&rest) & 1;
	char *copy = fuzz_copy(rest);
	if (fix && rest.n > TOKENS_HASH) {
		XXH128_canonical_t digest;
		XXH128_canonicalFromHash(&digest, XXH3_128bits(copy, rest.n - TOKENS_HASH));
		memcpy(copy + rest.n - TOKENS_HASH, &digest, TOKENS_HASH);
	}
	const char *path = fuzz_file("tokens", (struct fuzz_part){copy, rest.n});
	struct err e;
	tokens_sniff(path, &e);
	read_all(path);
	free(copy);
	fuzz_clear();
	return 0;
}

/* The record of an example, as token streams and datasets hold it: what decodes is encoded to the same bytes. */
#include <string.h>

#include "fmt/fit.h"
#include "fmt/record.h"
#include "fuzz.h"

static void
cut(const struct example *x, unsigned options)
{
	struct fit fit = {.policy = options & 1 ? FIT_SPLIT
			: options & 2           ? FIT_TRUNCATE
						: FIT_DROP,
		.context = 1 + options / 4};
	struct example piece;
	struct err e;
	FUZZ_CHECK(fit_begin(&fit, x, &e) == 0);
	while (fit_next(&fit, &piece))
		FUZZ_CHECK(piece.n > 0 && piece.n <= fit.context && record_check(&piece, 0, &e) == 0);
	fit_release(&fit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size};
	unsigned options = fuzz_byte(&rest);
	char *body = fuzz_copy(rest);
	struct record r = {0};
	struct example x;
	struct buf again = {0};
	struct err e;
	if (record_decode(&r, (const uint8_t *)body, rest.n, 0, &x, &e) == 0) {
		record_encode(&x, &again);
		FUZZ_CHECK(again.len == rest.n + 4 && memcmp(again.data + 4, body, rest.n) == 0);
		example_place(&x, &again);
		cut(&x, options);
	}
	buf_release(&again);
	record_release(&r);
	free(body);
	return 0;
}

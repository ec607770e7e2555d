/* A tokenizer.json, and behind it a text to encode; what comes out is decoded. An encoder that has seen the text gives the
 * same ids again. */
#include <string.h>

#include "fuzz.h"
#include "text/unicode.h"

static void
use(const struct tokenizer *t, struct fuzz_part text)
{
	struct encoder *enc = encoder_new(t);
	struct ids ids = {0}, again = {0};
	struct buf out = {0};
	struct err e;
	char *copy = fuzz_copy(text);
	if (encoder_encode(enc, copy, text.n, true, &ids, &e) == 0) {
		FUZZ_CHECK(encoder_encode(enc, copy, text.n, true, &again, &e) == 0 && again.n == ids.n);
		FUZZ_CHECK(ids.n == 0 || memcmp(ids.v, again.v, ids.n * sizeof *ids.v) == 0);
		for (size_t i = 0; i < ids.n; i++)
			FUZZ_CHECK(ids.v[i] >= 0 && (size_t)ids.v[i] < tokenizer_vocab_size(t));
		tokenizer_decode(t, ids.v, ids.n, false, &out);
		tokenizer_decode(t, ids.v, ids.n, true, &out);
	}
	for (int32_t id = -1; id < 40; id++)
		tokenizer_decode(t, &id, 1, false, &out);
	tokenizer_decode(t, &(int32_t){INT32_MAX}, 1, false, &out);
	free(copy);
	buf_release(&out);
	ids_release(&ids);
	ids_release(&again);
	encoder_free(enc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char usual[] =
		"Hello, wor\xc3\xa9ld! 123  <s>\n\xe4\xbd\xa0\xe5\xa5\xbd\xf0\x9f\x98\x80 e\xcc\x81";
	struct fuzz_part rest = {(const char *)data, size}, file = fuzz_part(&rest);
	struct err e;
	struct tokenizer *t = tokenizer_open(fuzz_file("tokenizer.json", file), &e);
	if (t) {
		use(t, (struct fuzz_part){usual, sizeof usual - 1});
		use(t, rest);
		tokenizer_free(t);
	}
	fuzz_clear();
	return 0;
}

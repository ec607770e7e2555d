/* A SentencePiece tokenizer.model, and behind it a text. */
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size}, file = fuzz_part(&rest);
	struct err e;
	struct tokenizer *t = tokenizer_open(fuzz_file("tokenizer.model", file), &e);
	if (t) {
		struct encoder *enc = encoder_new(t);
		struct ids ids = {0};
		struct buf out = {0};
		char *text = fuzz_copy(rest);
		encoder_encode(enc, "Hello  world", 12, true, &ids, &e);
		encoder_encode(enc, text, rest.n, true, &ids, &e);
		for (int32_t id = -1; id < 300; id++)
			ids_push(&ids, id);
		tokenizer_decode(t, ids.v, ids.n, false, &out);
		tokenizer_decode(t, ids.v, ids.n, true, &out);
		free(text);
		buf_release(&out);
		ids_release(&ids);
		encoder_free(enc);
		tokenizer_free(t);
	}
	fuzz_clear();
	return 0;
}

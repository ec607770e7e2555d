/* The other forms of a tokenizer, and the files beside it, as a model directory: the first byte chooses the form; then
 * the vocabulary, merges.txt, tokenizer_config.json, added_tokens.json, special_tokens_map.json, chat_template.jinja. */
#include "fuzz.h"

static void
use(const char *dir)
{
	struct err e;
	struct template tpl;
	struct tokenizer *t = tokenizer_open(dir, &e);
	if (t) {
		struct encoder *enc = encoder_new(t);
		struct ids ids = {0};
		struct buf out = {0};
		encoder_encode(enc, "Hello,  w\xc3\xb6rld<s> 12", 21, true, &ids, &e);
		tokenizer_decode(t, ids.v, ids.n, false, &out);
		buf_release(&out);
		ids_release(&ids);
		encoder_free(enc);
		tokenizer_free(t);
	}
	if (template_open(&tpl, dir, NULL, &e) == 0)
		template_close(&tpl);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const vocabulary[] = {"tokenizer.json", "tokenizer.model", "vocab.json", "x.tiktoken"};
	static const char *const beside[] = {"merges.txt", "tokenizer_config.json", "added_tokens.json",
		"special_tokens_map.json", "chat_template.jinja"};
	struct fuzz_part rest = {(const char *)data, size};
	unsigned form = fuzz_byte(&rest) % 4;
	fuzz_file(vocabulary[form], fuzz_part(&rest));
	for (size_t i = 0; i < sizeof beside / sizeof *beside && rest.n; i++) {
		struct fuzz_part file = fuzz_part(&rest);
		if (file.n)
			fuzz_file(beside[i], file);
	}
	use(fuzz_dir());
	fuzz_clear();
	return 0;
}

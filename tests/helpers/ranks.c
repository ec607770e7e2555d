/* ranks TOKENIZER N: the first N tokens of a byte-level tokenizer.json as a tiktoken rank file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

static void
print_base64(const struct buf *b)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < b->len; i += 3) {
		size_t left = b->len - i;
		unsigned v = (unsigned)(uint8_t)b->data[i] << 16;
		v |= left > 1 ? (unsigned)(uint8_t)b->data[i + 1] << 8 : 0;
		v |= left > 2 ? (unsigned)(uint8_t)b->data[i + 2] : 0;
		putchar(digits[v >> 18]);
		putchar(digits[v >> 12 & 63]);
		putchar(left > 1 ? digits[v >> 6 & 63] : '=');
		putchar(left > 2 ? digits[v & 63] : '=');
	}
}

int
main(int argc, char **argv)
{
	struct err e;
	struct buf bytes = {0};
	log_tool = "ranks";
	if (argc != 3)
		die_usage("usage: ranks TOKENIZER N");
	struct tokenizer *t = tokenizer_open(argv[1], &e);
	if (!t)
		die(&e);
	for (int32_t id = 0; id < atoi(argv[2]); id++) {
		const char *s = tokenizer_token(t, id);
		buf_clear(&bytes);
		for (uint32_t c; s && *s;) {
			s += uni_decode(s, &c);
			buf_putc(&bytes, (char)uni_to_byte(c));
		}
		print_base64(&bytes);
		printf(" %d\n", id);
	}
	buf_release(&bytes);
	tokenizer_free(t);
	return fclose(stdout) != 0;
}

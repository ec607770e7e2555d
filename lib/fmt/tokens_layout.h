/* What the writer and the reader of a token stream must agree on; the layout is in fmt/tokens.h. */
#ifndef HONE_FMT_TOKENS_LAYOUT_H
#define HONE_FMT_TOKENS_LAYOUT_H

#include <stdint.h>

enum {
	TOKENS_MAGIC = 8,
	TOKENS_END = 4 + 3 * 8,          /* the end record without its checksum */
	TOKENS_HASH = 16,
	TOKENS_HEADER_MAX = 1 << 26,
};

static const char tokens_magic[TOKENS_MAGIC + 1] = "HONETOK1";
static const uint32_t TOKENS_END_MARK = 0xffffffff;

#endif

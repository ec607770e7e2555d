/* A piece of a text that a model sees by itself. */
#ifndef HONE_TEXT_WORD_H
#define HONE_TEXT_WORD_H

#include <stdint.h>

struct word {
	uint32_t start, n;  /* bytes of the text; n > 0 */
};

#endif

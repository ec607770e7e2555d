/* Oniguruma's Ruby syntax, which tokenizer.json's patterns are written in, in the words of PCRE2. */
#ifndef HONE_TEXT_REGEX_H
#define HONE_TEXT_REGEX_H

#include "base/err.h"
#include "base/mem.h"

enum { REGEX_DEPTH = 100 };  /* how deep classes, and groups, may nest */

/* Appends the pattern, translated: sets within sets and their intersections, \h, \w and \s as Ruby reads them, long
 * names of properties, "{,3}" and "{3}+", (?m). What has no translation is refused: ERR_CONFIG. The result is for
 * PCRE2_UTF, PCRE2_UCP and PCRE2_MULTILINE, and may be wrong in ways that pcre2_compile tells. */
int regex_translate(const char *ruby, struct buf *out, struct err *e);

#endif

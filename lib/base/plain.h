/* Text that came from outside (names of tensors, labels, settings, paths), as it may be shown to people: nothing in it acts on
 * a terminal or ends a line. Line feed, carriage return and tab become \n, \r and \t; other control characters \x1b or \u009b;
 * bytes that are no UTF-8, \xff. All else stays, the backslash, too: it is to be read, not to be read back. */
#ifndef HONE_BASE_PLAIN_H
#define HONE_BASE_PLAIN_H

#include <stdio.h>

#include "base/mem.h"

void buf_plain(struct buf *b, const char *text);
void plain_put(FILE *f, const char *text);

#endif

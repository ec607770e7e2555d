/* Examples as a person reads them, to check by eye what is learned: --show. */
#ifndef HONE_TOKENIZE_SHOW_H
#define HONE_TOKENIZE_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "fmt/example.h"
#include "text/tokenizer.h"

struct show;

/* Borrows out and t. On a terminal with colours (unless NO_COLOR is set) targets are green and tokens shaded in turn;
 * otherwise targets stand between double brackets, and a bar between tokens. NULL and *e on failure. */
struct show *show_new(struct out *out, const struct tokenizer *t, bool on_terminal, struct err *e);
void show_free(struct show *s);

/* Prints x, the number-th example, which comes from `file`. */
void show_example(struct show *s, const struct example *x, const char *file, uint64_t number);

#endif

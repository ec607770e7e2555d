/* The label table of a dataset, collected example by example.
 *
 * The data are a classification, and have a table, when the labels that occur are few and come again: at most
 * LABELS_MAX, each shown twice on average, and each with the same completion wherever it occurs, of 1 to
 * LABEL_TOKENS_MAX tokens without EOS. */
#ifndef HONE_FMT_LABELS_H
#define HONE_FMT_LABELS_H

#include <jansson.h>
#include <stdint.h>

#include "fmt/example.h"

enum { LABELS_MAX = 1000, LABEL_TOKENS_MAX = 64 };

struct labels;

struct labels *labels_new(void);
void labels_free(struct labels *l);
void labels_add(struct labels *l, const struct example *x);

/* [{"name", "ids", "count"}...] in byte order of the names, or null when there is no table; a new reference.
 * `eos` is the id that ends completions and is not part of a label, or -1. */
json_t *labels_json(const struct labels *l, int64_t eos);

#endif

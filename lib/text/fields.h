/* The hot path of reading records: a JSON object whose members are all strings, which is what lines of plain training
 * data are, read without building a tree. Whatever is not exactly that is left to jansson: this reads a part of what
 * jansson accepts (no duplicate keys, UTF-8 throughout), with the same values, and never more. */
#ifndef HONE_TEXT_FIELDS_H
#define HONE_TEXT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

enum { FIELDS_MAX = 12 };

struct field {
	const char *key, *value;  /* UTF-8; not terminated; a value may hold NUL */
	size_t key_n, n;
};

/* Zero-initialise. Keys and values point into the line or into `text`, until the next call. */
struct fields {
	struct field v[FIELDS_MAX];
	size_t n;
	struct buf text;
};

/* Reads a line. False when jansson is to say what it is; f->n is 0 then. */
bool fields_read(struct fields *f, const char *line, size_t n);
const struct field *fields_get(const struct fields *f, const char *key);
void fields_release(struct fields *f);

#endif

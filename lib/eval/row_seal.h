/* Where files of rows (predictions, generated texts) are from: the first line begins with one more member, "provenance", which
 * has the hash of all that follows it as "xxh128", and a checksum (base/provenance.h):
 *
 *   {"provenance": {"tool": "hone-eval", ..., "xxh128": "5c0e...", "checksum": "11d0..."}, "line": 1, "label": ...}
 *
 * To readers it is a member like others that they do not look at. */
#ifndef HONE_EVAL_ROW_SEAL_H
#define HONE_EVAL_ROW_SEAL_H

#include <jansson.h>

#include "base/err.h"
#include "base/file.h"

/* Writes the n bytes of rows, which begin with '{', with their provenance (borrowed; NULL: as they are). */
void rows_write_sealed(const char *rows, size_t n, const json_t *provenance, struct out *out);

/* Reads a file from its beginning; *provenance is a new reference, or NULL where the file has none. 1 when the hash is right,
 * 0 when there is none, -1 and ERR_DATA when it is wrong. */
int rows_check_seal(const char *path, json_t **provenance, struct err *e);

#endif

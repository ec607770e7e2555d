/* What made an output, and out of what: one JSON object in all formats of ours, under "provenance" or, in a directory, as
 * provenance.json:
 *
 *   {"tool": "hone-merge", "version": "0.1.0", "commit": "5f0c...", "settings": {...},
 *    "inputs": [{"what": "base", "path": "models/x", "fingerprint": "83ab..."}, ...]}
 *
 * `what` is "base", "adapter", "tokenizer", "data", "validation", "tokens", "records", "predictions" or "run". A
 * fingerprint is that which the input itself carries, or the XXH3-128 of the file; null when it is not known. An input
 * that does not outlive its use, as a token stream, may have its own "provenance". */
#ifndef HONE_BASE_PROVENANCE_H
#define HONE_BASE_PROVENANCE_H

#include <jansson.h>

#include "base/err.h"
#include "base/hash.h"

#define PROVENANCE_FILE "provenance.json"

/* The last line of a page of hone-report, "<!-- PAGE_SEAL HASH -->": the XXH3-128 of all lines before it. */
#define PAGE_SEAL "xxh128 of the lines above:"

/* A new object without inputs; `settings` is stolen, NULL: none are told. */
json_t *provenance_new(json_t *settings);

/* Adds an input; path and fingerprint may be NULL. Returns the entry, borrowed. */
json_t *provenance_add(json_t *p, const char *what, const char *path, const char *fingerprint);

/* Adds a file, with its hash where it is one that can be read a second time; that it cannot be read then is an error. */
int provenance_add_file(json_t *p, const char *what, const char *path, struct err *e);

/* Writes DIR/provenance.json. */
int provenance_write(const json_t *p, const char *dir, struct err *e);

/* "checksum" of an object: the XXH3-128 of its text without that member, without white space, keys sorted, numbers with at
 * most 15 digits. Adds it; or tells whether the one that is there is right (1), wrong (0), or not there (-1). */
void json_checksum(const json_t *o, char hex[HASH_HEX]);
void json_seal(json_t *o);
int json_sealed(const json_t *o);

#endif

/* manifest.xxh128 of a directory: a line "HASH  NAME" for each of its files, in order of the names, as xxh128sum -c reads
 * them. It is the last file written into what is staged, so that a directory that has one that agrees is whole. */
#ifndef HONE_FMT_MANIFEST_H
#define HONE_FMT_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/hash.h"

#define MANIFEST "manifest.xxh128"

/* The files of a run directory that its manifest names, those of them that there are; NULL behind them. */
extern const char *const manifest_of_run[];

/* Writes the manifest of those files in `dir` that are not hidden, or, when `only` is not NULL, of those that it names (up
 * to a NULL). `known`, an object {name: hash} or NULL, has the hashes of files that were hashed while they were written; the
 * others are read. */
int manifest_write(const char *dir, const char *const *only, const json_t *known, struct err *e);

bool manifest_exists(const char *dir);

/* Reads every file that the manifest has to name, by the same rule; how many there are, or -1: ERR_DATA names the first
 * that is missing, differs, or is not named. */
long manifest_check(const char *dir, const char *const *only, struct err *e);

#endif

/* jansson with errors that name the file and the key. Every loader rejects duplicate keys. */
#ifndef HONE_BASE_JSON_H
#define HONE_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct out;

/* Makes jansson end the process when memory is out, as base/mem.h does, so that what it returns can be NULL only for what a
 * text or a value is. Every tool does this first (opt_parse). */
void json_use_xmalloc(void);

/* A whole JSON file of at most `max` bytes; a new reference, or NULL. A file that is missing is ERR_NOINPUT,
 * one that is not JSON is ERR_DATA. */
json_t *json_read_file(const char *path, size_t max, struct err *e);

/* The same, of a file that may be missing: *o is NULL then. 0 or -1. */
int json_read_optional(const char *path, size_t max, json_t **o, struct err *e);

/* JSON text in memory; `name` is what errors call it. A new reference, or NULL. */
json_t *json_read(const char *name, const char *text, size_t n, struct err *e);

/* Puts o's text into an output, `end` behind it. `flags` are those of json_dumps; reals are written with as few digits as
 * read back to the same value. */
void json_put(struct out *out, const json_t *o, size_t flags, const char *end);

/* The same as a file of its own (base/file.h's rules). */
int json_write_file(
	const char *path, bool force, const json_t *o, size_t flags, const char *end, struct err *e);

/* Members of an object: absent or null leaves *out as it was (the default) and is not an error; a value of
 * another type, or out of range, or a string with a NUL within, is ERR_CONFIG with the key named. */
int json_get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *out, struct err *e);
int json_get_double(const json_t *o, const char *key, double *out, struct err *e);
int json_get_bool(const json_t *o, const char *key, bool *out, struct err *e);
int json_get_string(const json_t *o, const char *key, const char **out, struct err *e);  /* points into o */

/* The string that v is, or NULL where it is none or has a NUL within, so that its bytes up to NUL are all of it; points
 * into v. */
const char *json_text(const json_t *v);

/* A number, or null when x is not finite, which JSON cannot say; a new reference. */
json_t *json_number(double x);

#endif

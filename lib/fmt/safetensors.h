/* safetensors files, read by mapping and written by streaming (huggingface/safetensors).
 * Everything is validated at open: see docs/formats.md. Tensor data may be unaligned. */
#ifndef HONE_FMT_SAFETENSORS_H
#define HONE_FMT_SAFETENSORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/watch.h"

enum st_dtype { ST_F64, ST_F32, ST_F16, ST_BF16, ST_I64, ST_I32, ST_I16, ST_I8, ST_U8, ST_BOOL };

enum { ST_MAX_RANK = 8 };

struct st_tensor {
	const char *name;
	enum st_dtype dtype;
	int rank;
	int64_t shape[ST_MAX_RANK];
	const uint8_t *data;  /* into the mapping; NULL in a declaration for the writer */
	size_t bytes;
};

struct st_file;

/* NULL and *e on failure: ERR_DATA when the file is damaged, ERR_CONFIG for a dtype or a rank that is not
 * supported. Tensors and their names point into the file and live as long as it is open. */
struct st_file *st_open(const char *path, struct err *e);
void st_close(struct st_file *f);
const char *st_path(const struct st_file *f);
size_t st_count(const struct st_file *f);
const struct st_tensor *st_at(const struct st_file *f, size_t i);  /* in the order of the data */
const struct st_tensor *st_find(const struct st_file *f, const char *name);  /* NULL when absent */
const char *st_metadata(const struct st_file *f, const char *key);  /* NULL when absent */
const json_t *st_metadata_all(const struct st_file *f);  /* the __metadata__ object, or NULL */

size_t st_dtype_size(enum st_dtype d);
const char *st_dtype_name(enum st_dtype d);                /* "BF16", as the header spells it */
int st_dtype_parse(const char *name, enum st_dtype *d);    /* -1 when there is none of that name */
int64_t st_elements(const struct st_tensor *t);
void st_shape_text(const struct st_tensor *t, struct buf *out);  /* sets *out to "[64, 8]" */
bool st_is_float(enum st_dtype d);  /* F64 F32 F16 BF16 */

/* Elements [first, first + n) of a floating tensor as fp32. F64 is rounded; all else is exact. */
void st_to_f32(const struct st_tensor *t, size_t first, size_t n, float *out);

/* Gives the memory of a tensor's data back until they are read again, for one that was read for the last time. */
void st_forget(const struct st_tensor *t);

/* n fp32 values in another floating dtype, rounded to nearest, ties to even. `out` may be unaligned.
 * NaN stays NaN; what is too large becomes an infinity. */
void st_from_f32(enum st_dtype dtype, const float *in, size_t n, void *out);

/* ---- writing: declare all tensors, then stream their data in that order ---- */

struct st_writer;

/* `decl` gives name, dtype, rank and shape (data and bytes are not read). The file is staged beside `path`;
 * the metadata is {"format":"pt"}. */
struct st_writer *st_create(
	const char *path, bool force, const struct st_tensor *decl, size_t n, struct err *e);

/* The same with more strings in the metadata (an object; borrowed). Of these, a key that names a declared
 * tensor is left out: it was an alias of a tensor that was not stored. */
struct st_writer *st_create_with(const char *path, bool force, const struct st_tensor *decl, size_t n,
	const json_t *metadata, struct err *e);

/* Has every st_write told to `watch`, which is copied. */
void st_watch(struct st_writer *w, const struct watch *watch);

/* The next `bytes` of data; any cut is fine, the total must come to what was declared. */
void st_write(struct st_writer *w, const void *data, size_t bytes);
int st_finish(struct st_writer *w, struct err *e);  /* commits; frees w, also on failure */
int st_finish_hash(struct st_writer *w, char hex[HASH_HEX], struct err *e);  /* the same; and the hash of the whole file */
void st_abort(struct st_writer *w);

#endif

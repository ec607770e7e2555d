/* gzip and zstd input as the bytes it stands for, told by its first bytes; in_open_unpacked (base/file.h) reads through
 * it. Several gzip members or zstd frames in a row are one input; checksums are verified. Memory is bounded whatever the
 * input says: a zstd window may be as large as the zstd program accepts by default, 128 MiB. How much comes out is for
 * the reader to limit. */
#ifndef HONE_BASE_UNPACK_H
#define HONE_BASE_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum unpack_kind { UNPACK_PLAIN, UNPACK_GZIP, UNPACK_ZSTD, UNPACK_UNSURE };

/* What the first n bytes of an input are; UNPACK_UNSURE when further ones will tell. */
enum unpack_kind unpack_detect(const uint8_t *p, size_t n);

struct unpack;

/* Reads on from fd, behind the n bytes at p that were read from it already. Borrows fd and name. */
struct unpack *unpack_new(enum unpack_kind kind, int fd, const char *name, const uint8_t *p, size_t n);
void unpack_free(struct unpack *u);

/* Up to cap > 0 bytes: how many, 0 at the end, -1 on an error, which is ERR_DATA when the input is damaged or ends too
 * early. */
long unpack_read(struct unpack *u, uint8_t *out, size_t cap, struct err *e);

/* Bytes of the compressed input read so far. */
uint64_t unpack_fetched(const struct unpack *u);

/* read(2), again when a signal came between. */
long unpack_read_plain(int fd, const char *name, uint8_t *out, size_t cap, struct err *e);

#endif

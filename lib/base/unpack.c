#include "base/unpack.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

enum { RAW_BYTES = 1 << 17, WINDOW_LOG_MAX = 27, GZIP_WINDOW = 15 + 16 };

struct unpack {
	enum unpack_kind kind;
	int fd;
	const char *name;
	uint8_t *raw;
	size_t pos, len, cap; /* of raw: what is left of it is [pos, len) */
	uint64_t fetched;     /* of the compressed bytes */
	bool raw_end;
	bool whole; /* a member or frame has ended, and no other has begun */
	z_stream gzip;
	ZSTD_DStream *zstd;
};

enum unpack_kind
unpack_detect(const uint8_t *p, size_t n)
{
	static const uint8_t gzip[] = {0x1f, 0x8b}, frame[] = {0x28, 0xb5, 0x2f, 0xfd},
			     skippable[] = {0x2a, 0x4d, 0x18};
	size_t k = n < sizeof frame ? n : sizeof frame;
	if (n == 0)
		return UNPACK_UNSURE;
	if (memcmp(p, gzip, n < sizeof gzip ? n : sizeof gzip) == 0)
		return n < sizeof gzip ? UNPACK_UNSURE : UNPACK_GZIP;
	bool skips = (p[0] & 0xf0) == 0x50 && memcmp(p + 1, skippable, k - 1) == 0;
	if (memcmp(p, frame, k) == 0 || skips)
		return n < sizeof frame ? UNPACK_UNSURE : UNPACK_ZSTD;
	return UNPACK_PLAIN;
}

struct unpack *
unpack_new(enum unpack_kind kind, int fd, const char *name, const uint8_t *p, size_t n)
{
	struct unpack *u = xcalloc(1, sizeof *u);
	u->kind = kind;
	u->fd = fd;
	u->name = name;
	u->whole = true;
	GROW(u->raw, u->cap, n > RAW_BYTES ? n : RAW_BYTES);
	memcpy(u->raw, p, n);
	u->len = n;
	u->fetched = n;
	return u;
}

uint64_t
unpack_fetched(const struct unpack *u)
{
	return u->fetched;
}

void
unpack_free(struct unpack *u)
{
	if (!u)
		return;
	if (u->gzip.state)
		inflateEnd(&u->gzip);
	ZSTD_freeDStream(u->zstd);
	free(u->raw);
	free(u);
}

long
unpack_read_plain(int fd, const char *name, uint8_t *out, size_t cap, struct err *e)
{
	ssize_t n;
	do
		n = read(fd, out, cap);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, ERR_IO, "cannot read '%s'", name);
	return (long)n;
}

/* The decoders, made when the first byte is wanted so that unpack_new cannot fail. */
static int
start(struct unpack *u, struct err *e)
{
	if (u->kind == UNPACK_GZIP && !u->gzip.state && inflateInit2(&u->gzip, GZIP_WINDOW) != Z_OK)
		return err_set(e, ERR_MEMORY, "'%s': out of memory for gzip", u->name);
	if (u->kind == UNPACK_ZSTD && !u->zstd) {
		u->zstd = ZSTD_createDStream();
		if (!u->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
			return err_set(e, ERR_MEMORY, "'%s': out of memory for zstd", u->name);
	}
	return 0;
}

/* One step of gzip; how many bytes came out. */
static long
step_gzip(struct unpack *u, uint8_t *out, size_t cap, struct err *e)
{
	z_stream *z = &u->gzip;
	if (u->whole && u->pos == u->len)
		return 0;
	z->next_in = u->raw + u->pos;
	z->avail_in = (uInt)(u->len - u->pos);
	z->next_out = out;
	z->avail_out = cap < UINT_MAX ? (uInt)cap : UINT_MAX;
	uInt room = z->avail_out;
	int rc = inflate(z, Z_NO_FLUSH);
	u->pos = u->len - z->avail_in;
	u->whole = rc == Z_STREAM_END;
	if (u->whole)
		inflateReset(z);
	if (rc == Z_MEM_ERROR)
		return err_set(e, ERR_MEMORY, "'%s': out of memory for gzip", u->name);
	if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
		return err_set(e, ERR_DATA, "'%s': damaged gzip data: %s", u->name, z->msg ? z->msg : zError(rc));
	return (long)(room - z->avail_out);
}

static long
step_zstd(struct unpack *u, uint8_t *out, size_t cap, struct err *e)
{
	ZSTD_inBuffer in = {u->raw, u->len, u->pos};
	ZSTD_outBuffer to = {out, cap, 0};
	if (u->whole && u->pos == u->len)
		return 0;
	size_t rc = ZSTD_decompressStream(u->zstd, &to, &in);
	u->pos = in.pos;
	u->whole = rc == 0;
	if (ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation)
		return err_set(e, ERR_MEMORY, "'%s': out of memory for zstd", u->name);
	if (ZSTD_isError(rc))
		return err_set(e, ERR_DATA, "'%s': damaged zstd data, or a window above %d MiB: %s", u->name,
			1 << (WINDOW_LOG_MAX - 20), ZSTD_getErrorName(rc));
	return (long)to.pos;
}

long
unpack_read(struct unpack *u, uint8_t *out, size_t cap, struct err *e)
{
	if (start(u, e) < 0)
		return -1;
	for (;;) {
		long n = u->kind == UNPACK_GZIP ? step_gzip(u, out, cap, e) : step_zstd(u, out, cap, e);
		if (n != 0)
			return n;
		if (u->pos < u->len)
			continue;
		if (u->raw_end)
			break;
		n = unpack_read_plain(u->fd, u->name, u->raw, u->cap, e);
		if (n < 0)
			return -1;
		u->raw_end = n == 0;
		u->fetched += (size_t)n;
		u->pos = 0;
		u->len = (size_t)n;
	}
	if (!u->whole)
		return err_set(e, ERR_DATA, "'%s': the %s data end too early", u->name,
			u->kind == UNPACK_GZIP ? "gzip" : "zstd");
	return 0;
}

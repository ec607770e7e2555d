/* A dataset: dataset.json, the index of its shard, and the content of its frames, each of which is made whole, so that
 * what lies behind the checksums is reached: frames are compressed here; the hashes, the shard's size and, when the first
 * byte is odd, the index are set right. */
#include <string.h>
#include <zstd.h>

#include "base/json.h"
#include "base/provenance.h"
#include "fmt/dataset.h"
#include "fmt/dataset_layout.h"
#include "fmt/le.h"
#include "fmt/shard.h"
#include "fuzz.h"

enum { FRAMES_MAX = 8, TRAILER = 4 * 8 + 8 + 16 };

static void
append_frame(struct buf *shard, struct fuzz_part raw)
{
	size_t room = ZSTD_compressBound(raw.n);
	char *packed = xmalloc(room);
	size_t n = ZSTD_compress(packed, room, raw.p, raw.n, 1);
	FUZZ_CHECK(!ZSTD_isError(n));
	buf_append(shard, packed, n);
	free(packed);
}

/* An index that fits the frames, and of examples what their first bytes say. */
static void
append_index(struct buf *shard, const struct fuzz_part *frame, const size_t *bytes, size_t n)
{
	struct shard_index x = {0};
	for (size_t i = 0; i < n; i++) {
		uint32_t examples = 0;
		for (size_t at = 0; at + 8 <= frame[i].n; examples++) {
			const uint8_t *p = (const uint8_t *)frame[i].p + at;
			shard_index_add_length(&x, le32_get(p + 4));
			at += 4 + (size_t)le32_get(p);
		}
		shard_index_add_frame(&x, (struct shard_frame){(uint32_t)bytes[i], (uint32_t)frame[i].n, examples});
	}
	shard_index_encode(&x, shard);
	shard_index_release(&x);
}

/* The index as given, its payload's size, its magic and its hash set right. */
static void
append_given_index(struct buf *shard, struct fuzz_part index)
{
	static const char magic[8] = {'H', 'O', 'N', 'E', 'I', 'D', 'X', '1'};
	uint8_t head[8];
	size_t n = index.n < TRAILER ? TRAILER : index.n;
	char *payload = xcalloc(n, 1);
	XXH128_canonical_t digest;
	if (index.n)
		memcpy(payload + n - index.n, index.p, index.n);
	memcpy(payload + n - 24, magic, sizeof magic);
	XXH128_canonicalFromHash(&digest, XXH3_128bits(payload, n - 16));
	memcpy(payload + n - 16, &digest, 16);
	le32_put(head, 0x184d2a5e);
	le32_put(head + 4, (uint32_t)n);
	buf_append(shard, head, 8);
	buf_append(shard, payload, n);
	free(payload);
}

/* dataset.json with the hashes that it should have. */
static void
write_json(struct fuzz_part text, const struct buf *shard)
{
	struct err e;
	char hex[HASH_HEX];
	json_t *o = json_read("dataset.json", text.p, text.n, &e);
	json_t *shards = json_object_get(o, "shards"), *first = json_array_get(shards, 0);
	if (json_is_object(first)) {
		hash_bytes(shard->data, shard->len, hex);
		json_object_set_new(first, "xxh128", json_string(hex));
		json_object_set_new(first, "bytes", json_integer((json_int_t)shard->len));
	}
	if (json_is_array(shards)) {
		bool whole = true;
		for (size_t i = 0; i < json_array_size(shards); i++)
			whole = whole && json_is_string(json_object_get(json_array_get(shards, i), "xxh128"));
		if (whole) {
			dataset_shards_hash(shards, hex);
			json_object_set_new(o, "fingerprint", json_string(hex));
		}
	}
	if (json_is_object(o)) {
		json_checksum(o, hex);
		json_object_set_new(o, "checksum", json_string(hex));
	}
	char *fixed = o ? json_dumps(o, JSON_ENCODE_ANY) : NULL;
	fuzz_file("dataset.json", fixed ? (struct fuzz_part){fixed, strlen(fixed)} : text);
	free(fixed);
	json_decref(o);
}

static void
use(const char *path)
{
	struct err e;
	struct example x;
	struct dataset *d = dataset_open(path, &e);
	for (size_t i = 0; d && i < dataset_count(d) && i < 1000; i++)
		if (dataset_read(d, i, &x, &e) == 0)
			FUZZ_CHECK(x.n == dataset_length(d, i));
	if (d)
		json_decref(dataset_info(d));
	dataset_close(d);
	dataset_verify(path, NULL, &e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_part rest = {(const char *)data, size}, frame[FRAMES_MAX];
	size_t bytes[FRAMES_MAX], n = 0;
	unsigned fix = fuzz_byte(&rest) & 1;
	struct fuzz_part json = fuzz_part(&rest), index = fuzz_part(&rest);
	struct buf shard = {0};
	while (rest.n && n < FRAMES_MAX) {
		size_t before = shard.len;
		frame[n] = fuzz_part(&rest);
		append_frame(&shard, frame[n]);
		bytes[n++] = shard.len - before;
	}
	if (fix)
		append_index(&shard, frame, bytes, n);
	else
		append_given_index(&shard, index);
	fuzz_file("shard-00000.hone.zst", (struct fuzz_part){shard.data, shard.len});
	write_json(json, &shard);
	buf_release(&shard);
	use(fuzz_dir());
	fuzz_clear();
	return 0;
}

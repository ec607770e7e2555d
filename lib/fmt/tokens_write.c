#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "fmt/le.h"
#include "fmt/record.h"
#include "fmt/tokens.h"
#include "fmt/tokens_json.h"
#include "fmt/tokens_layout.h"

struct tokens_writer {
	struct out *out;
	const json_t *header;
	bool jsonl;
	XXH3_state_t *hash;
	struct buf record;
	struct tokens_counts counts;
};

static void
put(struct tokens_writer *w, const void *p, size_t n)
{
	XXH3_128bits_update(w->hash, p, n);
	out_write(w->out, p, n);
}

static void
put_header(struct tokens_writer *w)
{
	char *text = json_dumps(w->header, JSON_COMPACT);
	uint8_t length[4];
	le32_put(length, (uint32_t)strlen(text));
	put(w, tokens_magic, TOKENS_MAGIC);
	put(w, length, sizeof length);
	put(w, text, strlen(text));
	free(text);
}

struct tokens_writer *
tokens_create(struct out *out, const json_t *header, bool jsonl)
{
	struct tokens_writer *w = xcalloc(1, sizeof *w);
	*w = (struct tokens_writer){.out = out, .header = header, .jsonl = jsonl, .hash = hash_state_new()};
	if (!jsonl)
		put_header(w);
	return w;
}

void
tokens_write(struct tokens_writer *w, const struct example *x)
{
	buf_clear(&w->record);
	if (w->jsonl)
		tokens_json_write(&w->record, x, w->counts.records ? NULL : w->header);
	else
		record_encode(x, &w->record);
	put(w, w->record.data, w->record.len);
	w->counts.records++;
	w->counts.tokens += x->n;
	w->counts.targets += example_targets(x);
}

static void
put_end(struct tokens_writer *w)
{
	uint8_t end[TOKENS_END];
	XXH128_canonical_t digest;
	le32_put(end, TOKENS_END_MARK);
	le64_put(end + 4, w->counts.records);
	le64_put(end + 12, w->counts.tokens);
	le64_put(end + 20, w->counts.targets);
	put(w, end, sizeof end);
	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(w->hash));
	out_write(w->out, digest.digest, sizeof digest.digest);
}

void
tokens_finish(struct tokens_writer *w, struct tokens_counts *counts)
{
	if (!w->jsonl)
		put_end(w);
	if (counts)
		*counts = w->counts;
	tokens_abort(w);
}

void
tokens_abort(struct tokens_writer *w)
{
	if (!w)
		return;
	free(w->hash);
	buf_release(&w->record);
	free(w);
}

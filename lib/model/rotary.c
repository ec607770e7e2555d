#include "model/rotary.h"

#include "model/model.h"

void
rotary_take(struct rotary *r, struct arena *a, const struct rope *rope, int T, int max_len)
{
	size_t half = (size_t)rope->rotary / 2;
	*r = (struct rotary){.rope = rope, .varies = rope_varies(rope, max_len)};
	size_t rows = (size_t)(r->varies ? T : max_len);
	r->freq = ARENA_TAKE(a, float, half);
	r->cos = ARENA_TAKE(a, float, rows * half);
	r->sin = ARENA_TAKE(a, float, rows * half);
	r->row = r->varies ? ARENA_TAKE(a, int32_t, rows) : NULL;
}

void
rotary_start(struct rotary *r, int T, int max_len)
{
	for (int t = 0; t < T && r->varies; t++)
		r->row[t] = t;
	if (r->varies)
		return;
	rope_frequencies(r->freq, r->rope, max_len);
	rope_table(r->cos, r->sin, r->freq, NULL, max_len, r->rope);
}

/* The length of a document. What continues another of the batch turns with that one, whose keys it sees. */
static int
length_of(const struct batch *b, const struct attn_doc *doc)
{
	if (b->length)
		return b->length;
	while (doc->back)
		doc -= doc->back;
	return doc->n_prefix + doc->n;
}

void
rotary_batch(struct rotary *r, const struct batch *b)
{
	size_t half = (size_t)r->rope->rotary / 2;
	for (int d = 0; d < b->n_docs && r->varies; d++) {
		size_t at = (size_t)b->docs[d].q * half;
		rope_frequencies(r->freq, r->rope, length_of(b, &b->docs[d]));
		rope_table(r->cos + at, r->sin + at, r->freq, b->pos + b->docs[d].q, b->docs[d].n, r->rope);
	}
}

void
rotary_apply(const struct rotary *r, struct heads x, const struct batch *b, int n, float sign)
{
	rope_apply(x, r->cos, r->sin, r->varies ? r->row : b->pos, b->T, n, r->rope->rotary, sign);
}

/* The fingerprint of weights: of what they say, not of how they are stored. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "fmt/weights_hash.h"

enum { PART = 1 << 22, BLOCK = 1 << 12 };  /* elements that one thread takes; that are converted at a time */

struct part {
	const struct st_tensor *tensor;
	size_t first, n;
};

/* ---- names ---- */

/* Checkpoints are stored with and without the name of the model within the one with a head. */
static const char *
plain_name(const struct st_tensor *t)
{
	static const char *const prefixes[] = {"model.", "transformer.", "gpt_neox."};
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (strncmp(t->name, prefixes[i], strlen(prefixes[i])) == 0)
			return t->name + strlen(prefixes[i]);
	return t->name;
}

/* Tables that old files hold and that newer versions of transformers no longer save. */
static bool
is_buffer(const char *name)
{
	static const char *const ends[] = {".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias",
		".attention.masked_bias"};
	size_t n = strlen(name);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (n >= strlen(ends[i]) && strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

static int
order_by_plain_name(const void *va, const void *vb)
{
	const struct st_tensor *const *a = va, *const *b = vb;
	return strcmp(plain_name(*a), plain_name(*b));
}

/* ---- values ---- */

static bool
has_values(const struct st_tensor *t)
{
	return st_is_float(t->dtype) && t->dtype != ST_F32;
}

static void
hash_values(XXH3_state_t *h, const struct part *p)
{
	float values[BLOCK];
	for (size_t i = 0; i < p->n; i += BLOCK) {
		size_t n = p->n - i < BLOCK ? p->n - i : BLOCK;
		st_to_f32(p->tensor, p->first + i, n, values);
		XXH3_128bits_update(h, values, n * sizeof *values);
	}
}

static XXH128_hash_t
hash_part(const struct part *p)
{
	XXH3_state_t *h = hash_state_new();
	size_t size = st_dtype_size(p->tensor->dtype);
	const uint8_t *at = p->tensor->data + p->first * size;
	if (has_values(p->tensor))
		hash_values(h, p);
	else
		XXH3_128bits_update(h, at, p->n * size);
	map_forget(at, p->n * size);
	XXH128_hash_t hash = XXH3_128bits_digest(h);
	free(h);
	return hash;
}

/* ---- the whole ---- */

static size_t
parts_of(const struct st_tensor *t)
{
	return ((size_t)st_elements(t) + PART - 1) / PART;
}

static struct part *
cut(const struct st_tensor *const *t, size_t n, size_t *n_parts)
{
	size_t k = 0;
	*n_parts = 0;
	for (size_t i = 0; i < n; i++)
		*n_parts += parts_of(t[i]);
	struct part *part = xcalloc(*n_parts, sizeof *part);
	for (size_t i = 0; i < n; i++)
		for (size_t first = 0, all = (size_t)st_elements(t[i]); first < all; first += PART)
			part[k++] = (struct part){t[i], first, all - first < PART ? all - first : PART};
	return part;
}

static void
join(const struct st_tensor *const *t, size_t n, const XXH128_hash_t *hash, char hex[HASH_HEX])
{
	XXH3_state_t *h = hash_state_new();
	for (size_t i = 0; i < n; i++) {
		XXH3_128bits_update(h, plain_name(t[i]), strlen(plain_name(t[i])) + 1);
		XXH3_128bits_update(h, t[i]->shape, (size_t)t[i]->rank * sizeof *t[i]->shape);
		for (size_t k = 0; k < parts_of(t[i]); k++, hash++) {
			XXH128_canonical_t digest;
			XXH128_canonicalFromHash(&digest, *hash);
			XXH3_128bits_update(h, &digest, sizeof digest);
		}
	}
	hash_hex(XXH3_128bits_digest(h), hex);
	free(h);
}

void
weights_hash(const struct weights *w, char hex[HASH_HEX])
{
	const struct st_tensor **t = xcalloc(weights_count(w), sizeof *t);
	size_t n = 0, n_parts;
	for (size_t i = 0; i < weights_count(w); i++)
		if (!is_buffer(weights_at(w, i)->name))
			t[n++] = weights_at(w, i);
	qsort(t, n, sizeof *t, order_by_plain_name);
	struct part *part = cut(t, n, &n_parts);
	XXH128_hash_t *hash = xcalloc(n_parts, sizeof *hash);
#pragma omp parallel for schedule(dynamic)
	for (size_t i = 0; i < n_parts; i++)
		hash[i] = hash_part(&part[i]);
	join(t, n, hash, hex);
	free(hash);
	free(part);
	free(t);
}

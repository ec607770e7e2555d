/* Attention over bf16 rows, forward: keys and values are packed once for all blocks of queries and query heads that read
 * them, and long documents pass by in chunks of keys with a running maximum and sum (Milakov and Gimelshein 2018; Dao et
 * al. 2022), so that scores never take more than BLOCK x CHUNK.
 *
 * A thread takes a document and a key head, or some of its query heads when there are more threads than that. Every
 * sum has an order that follows from the shapes alone. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "math/attention_bf16.h"
#include "math/attention_rows.h"
#include "math/gemm.h"
#include "math/simd.h"

enum {
	BLOCK = 32,   /* queries, */
	CHUNK = 256,  /* and keys at a time: their scores stay in the first-level cache */
	FEW = 4,      /* queries for which packing the keys does not pay: generation */
};

/* ---- scratch ---- */

/* One thread's. */
struct scratch {
	uint16_t *gathered;  /* [len,D] keys or values whose rows lie apart */
	void *k, *v;         /* packed on the right, [len,D] and [D,len] */
	void *q;             /* on the left, [BLOCK,D] */
	void *P;             /* exponentials on the left, [BLOCK,CHUNK] */
	float *S;            /* [BLOCK,CHUNK] */
	float *sum;          /* [BLOCK,D] */
};

static void
take_scratch(struct scratch *w, struct arena *a, const struct attn_shape *s, int len)
{
	int D = s->D;
	w->gathered = ARENA_TAKE(a, uint16_t, (size_t)len * (size_t)D);
	w->k = arena_take(a, 1, packed_right_size(len, D));
	w->v = arena_take(a, 1, packed_right_size(D, len));
	w->q = arena_take(a, 1, packed_left_size(BLOCK, D));
	w->P = arena_take(a, 1, packed_left_size(BLOCK, CHUNK));
	w->S = ARENA_TAKE(a, float, BLOCK * CHUNK);
	w->sum = ARENA_TAKE(a, float, (size_t)BLOCK * (size_t)attn_padded(D));
}

size_t
attn_bf16_forward_scratch(const struct attn_shape *s, int len)
{
	struct scratch w;
	struct arena count = {0};
	take_scratch(&w, &count, s, len);
	return count.used;
}

/* ---- operands ---- */

/* All keys or values of a document: where they lie, or the prefix and its own put together. */
static struct rows
all_keys(const struct heads *x, const struct attn_doc *doc, int kh, int D, uint16_t *gathered)
{
	if (doc->n_prefix == 0)
		return attn_head_rows(x, doc->k, kh);
	struct rows to = {gathered, D, NUM_BF16};
	for (int j = 0, n, row; j < doc->n_prefix + doc->n; j += n) {
		n = attn_key_run(doc, j, &row);
		rows_copy(rows_at(to, j, 0), attn_head_rows(x, row, kh), n, D);
	}
	return to;
}

/* ---- forward ---- */

HONE_SIMD static void
scale_row(float *x, float a, int n)
{
	for (int i = 0; i < n; i++)
		x[i] *= a;
}

struct keys {
	struct packed_right k, v;
	int len;
};

static int
chunk_length(const struct attn_block *b, int c0)
{
	return b->j1 - c0 < CHUNK ? b->j1 - c0 : CHUNK;
}

static void
store_out(const struct attn *a, float *lse, const struct attn_block *b, const struct attn_shape *s, float *sums,
	const float *max, const float *total)
{
	for (int i = 0; i < b->n; i++) {
		int row = b->doc->q + b->i0 + i;
		float *sum = sums + (size_t)i * (size_t)attn_padded(s->D);
		scale_row(sum, 1.0f / total[i], s->D);
		row_store(attn_head_rows(&a->out, row, b->h), 0, 0, s->D, sum);
		if (lse)
			lse[(size_t)row * (size_t)s->H + (size_t)b->h] = max[i] + logf(total[i]);
	}
}

/* Asks for what a block writes to, and for the queries of the next one. */
static void
ask_for_block(const struct attn *a, const float *lse, const struct attn_block *b, const struct attn_shape *s)
{
	const struct rows q = attn_head_rows(&a->q, b->doc->q, b->h), out = attn_head_rows(&a->out, b->doc->q, b->h);
	for (int i = b->i0; i < b->i0 + b->n; i++) {
		row_ahead(out, i, 0, s->D);
		if (i + BLOCK < b->doc->n)
			row_ahead(q, i + BLOCK, 0, s->D);
		if (lse)
			__builtin_prefetch(lse + (size_t)(b->doc->q + i) * (size_t)s->H + (size_t)b->h);
	}
}

static void
forward_block(const struct attn *a, float *lse, const struct attn_block *b, const struct attn_shape *s,
	const struct keys *keys, const struct scratch *w)
{
	int D = s->D, ld = attn_padded(D);
	float max[BLOCK], total[BLOCK], factor[BLOCK];
	struct packed_left q = packed_left(w->q, attn_head_rows(&a->q, b->doc->q + b->i0, b->h), false, b->n, D);
	for (int i = 0; i < b->n; i++) {
		max[i] = -1e30f;
		total[i] = 0;
		factor[i] = 1;
	}
	ask_for_block(a, lse, b, s);
	int first = b->j0 / PACKED_K * PACKED_K;
	for (int c0 = first; c0 < b->j1; c0 += CHUNK) {
		int n = chunk_length(b, c0), place = b->doc->n_prefix + b->i0 - c0;
		struct packed_left P = packed_left_rows(w->P, b->n, n);
		packed_product(w->S, CHUNK, &q, &keys->k, c0, n, 0, false);
		attn_softmax(&(struct attn_softmax){P.rows, w->S, CHUNK, b->n, n, place, s->window ? s->window : b->j1, s->scale, max,
			total, factor});
		for (int i = 0; i < b->n && c0 > first; i++)
			if (factor[i] != 1)
				scale_row(w->sum + (size_t)i * (size_t)ld, factor[i], D);
		packed_product(w->sum, ld, &P, &keys->v, 0, D, c0, c0 > first);
	}
	store_out(a, lse, b, s, w->sum, max, total);
}

/* ---- forward for few queries, which read each key once ---- */

/* S[j] becomes e^(S[j] - max), where max is first raised to theirs, and is added to sum; by what is returned all shrinks that
 * came before. */
HONE_SIMD static float
few_softmax(float *S, int n, float *max, float *sum)
{
	float most = row_max(S, n), m = most > *max ? most : *max, factor = exp_f32(*max - m);
	*sum = *sum * factor + row_exp_sum(S, m, n);
	*max = m;
	return factor;
}

/* out += P[j] x[j] for n rows of values. */
HONE_SIMD static void
few_combine(float *out, const float *P, const uint16_t *x, int ld, int n, int D)
{
	for (int j = 0; j < n; j++)
		for (int i = 0; i < D; i++)
			out[i] += P[j] * bf16_to_f32(x[(size_t)j * (size_t)ld + (size_t)i]);
}

static void
forward_query(const struct attn *a, float *lse, const struct attn_block *b, const struct attn_shape *s, int i,
	const struct scratch *w)
{
	int D = s->D, from, to, row = b->doc->q + b->i0 + i;
	const uint16_t *q = attn_head_rows(&a->q, row, b->h).data;
	float *sum = w->sum, max = -1e30f, total = 0;
	memset(sum, 0, (size_t)D * sizeof *sum);
	attn_visible(b, s, i, &from, &to);
	for (int j = from, n, key; j < to; j += n) {
		n = attn_key_run(b->doc, j, &key);
		n = n < to - j ? n : to - j;
		n = n < CHUNK ? n : CHUNK;
		for (int t = 0; t < n; t++)
			w->S[t] = s->scale * attn_dot(q, attn_head_rows(&a->k, key + t, b->kh).data, D);
		scale_row(sum, few_softmax(w->S, n, &max, &total), D);
		few_combine(sum, w->S, attn_head_rows(&a->v, key, b->kh).data, a->v.rows.ld, n, D);
	}
	scale_row(sum, 1.0f / total, D);
	row_store(attn_head_rows(&a->out, row, b->h), 0, 0, D, sum);
	if (lse)
		lse[(size_t)row * (size_t)s->H + (size_t)b->h] = max + logf(total);
}

/* ---- sharing out ---- */

int
attn_parts(const struct attn_shape *s, int n_docs)
{
	int group = s->H / s->K, tasks = n_docs * s->K, wanted = 2 * math_threads();
	int parts = tasks >= wanted ? 1 : (wanted + tasks - 1) / tasks;
	return parts < group ? parts : group;
}

void
attn_part_heads(const struct attn_shape *s, int kh, int part, int parts, int *h0, int *h1)
{
	int group = s->H / s->K;
	*h0 = kh * group + group * part / parts;
	*h1 = kh * group + group * (part + 1) / parts;
}

static size_t
whole_lines(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

struct arena
attn_own_memory(float *memory, size_t each)
{
	char *base = (char *)whole_lines((uintptr_t)memory);
	return (struct arena){.base = base + whole_lines(each) * (size_t)omp_get_thread_num(), .size = each};
}

/* The gradients of keys and values of each query head, [T,H,D] twice, lie before the threads' scratch. */
size_t
attn_bf16_scratch(const struct attn_shape *s, int T, int max_len, int threads)
{
	size_t forward = attn_bf16_forward_scratch(s, max_len), backward = attn_bf16_backward_scratch(s, max_len);
	size_t each = whole_lines(T > 0 && backward > forward ? backward : forward);
	return (size_t)T * (size_t)s->H * (size_t)s->D * 2 + (each * (size_t)threads + 64) / sizeof(float);
}

static void
forward_part(const struct attn *a, float *lse, const struct attn_doc *doc, const struct attn_shape *s, int kh, int h0,
	int h1, const struct scratch *w)
{
	struct keys keys = {.len = doc->n_prefix + doc->n};
	if (doc->n > FEW) {
		keys.k = packed_right(w->k, all_keys(&a->k, doc, kh, s->D, w->gathered), false, keys.len, s->D);
		keys.v = packed_right(w->v, all_keys(&a->v, doc, kh, s->D, w->gathered), true, s->D, keys.len);
		packed_begin();
	}
	for (int h = h0; h < h1; h++)
		for (int i0 = 0; i0 < doc->n; i0 += BLOCK) {
			struct attn_block b = attn_block_at(doc, s, h, i0, BLOCK);
			if (doc->n > FEW)
				forward_block(a, lse, &b, s, &keys, w);
			else
				for (int i = 0; i < b.n; i++)
					forward_query(a, lse, &b, s, i, w);
		}
	if (doc->n > FEW)
		packed_end();
}

void
attn_bf16_forward(const struct attn *a, float *lse, const struct attn_doc *docs, int n_docs,
	const struct attn_shape *s, int max_len, float *scratch)
{
	int parts = attn_parts(s, n_docs);
#pragma omp parallel for collapse(3) schedule(dynamic)
	for (int d = 0; d < n_docs; d++)
		for (int kh = 0; kh < s->K; kh++)
			for (int part = 0; part < parts; part++) {
				struct scratch w;
				struct arena own = attn_own_memory(scratch, attn_bf16_forward_scratch(s, max_len));
				take_scratch(&w, &own, s, max_len);
				int h0, h1;
				attn_part_heads(s, kh, part, parts, &h0, &h1);
				forward_part(a, lse, &docs[d], s, kh, h0, h1, &w);
			}
}

/* Attention over bf16 rows: the same blocks of queries as in fp32, but keys and values are packed once for all blocks
 * and query heads that read them, and long documents pass by in chunks of keys with a running maximum and sum
 * (Milakov and Gimelshein 2018; Dao et al. 2022), so that scores never take more than BLOCK x CHUNK.
 *
 * A thread takes a document and a key head, or some of its query heads when there are more threads than that. Every
 * sum has an order that follows from the shapes alone. */
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/arena.h"
#include "math/attention_int.h"
#include "math/gemm.h"
#include "math/packed.h"
#include "math/simd.h"

enum {
	CHUNK = 512,  /* keys at a time */
	FEW = 4,      /* queries for which packing the keys does not pay: generation */
};

_Static_assert(ATTN_BLOCK * ATTN_HEAD_MAX <= MATH_SCRATCH, "a block of queries fits the scratch");

/* ---- scratch ---- */

/* One thread's. */
struct scratch {
	uint16_t *gathered;              /* [len,D] keys or values whose rows lie apart */
	void *k, *v;                     /* packed on the right, k [len,D]; v [D,len] forward, [len,D] backward */
	void *k_turned;                  /* [D,len] */
	void *q, *dout;                  /* on the left, [BLOCK,D] */
	void *q_turned, *dout_turned;    /* on the left, [D,BLOCK] */
	void *P, *dP;                    /* probabilities and gradients of scores on the left, [BLOCK,CHUNK] */
	void *right;                     /* either on the right, [CHUNK,BLOCK] */
	float *S, *dS;                   /* [BLOCK,CHUNK] */
	float *sum;                      /* [BLOCK,D] */
	float *dk, *dv;                  /* [D,len] of one query head, turned */
};

/* What a product writes is whole vectors. */
static int
padded(int n)
{
	return round_up(n, PACKED_N);
}

static void
take_scratch(struct scratch *w, struct arena *a, const struct attn_shape *s, int len)
{
	int D = s->D;
	w->gathered = ARENA_TAKE(a, uint16_t, (size_t)len * (size_t)D);
	w->k = arena_take(a, 1, packed_right_size(len, D));
	w->v = arena_take(a, 1, packed_right_size(D, len) + packed_right_size(len, D));
	w->k_turned = arena_take(a, 1, packed_right_size(D, len));
	w->q = arena_take(a, 1, packed_left_size(ATTN_BLOCK, D));
	w->dout = arena_take(a, 1, packed_left_size(ATTN_BLOCK, D));
	w->q_turned = arena_take(a, 1, packed_left_size(D, ATTN_BLOCK));
	w->dout_turned = arena_take(a, 1, packed_left_size(D, ATTN_BLOCK));
	w->P = arena_take(a, 1, packed_left_size(ATTN_BLOCK, CHUNK));
	w->dP = arena_take(a, 1, packed_left_size(ATTN_BLOCK, CHUNK));
	w->right = arena_take(a, 1, packed_right_size(CHUNK, ATTN_BLOCK));
	w->S = ARENA_TAKE(a, float, ATTN_BLOCK * CHUNK);
	w->dS = ARENA_TAKE(a, float, ATTN_BLOCK * CHUNK);
	w->sum = ARENA_TAKE(a, float, (size_t)ATTN_BLOCK * (size_t)padded(D));
	w->dk = ARENA_TAKE(a, float, (size_t)padded(D) * (size_t)padded(len));
	w->dv = ARENA_TAKE(a, float, (size_t)padded(D) * (size_t)padded(len));
}

/* Bytes of one thread's scratch, or the scratch of this thread in memory that has it for each. */
static size_t
scratch_size(const struct attn_shape *s, int len)
{
	struct scratch w;
	struct arena count = {0};
	take_scratch(&w, &count, s, len);
	return (count.used + 63) / 64 * 64;
}

static struct scratch
own_scratch(const struct attn_shape *s, int len, float *memory)
{
	struct scratch w;
	size_t size = scratch_size(s, len);
	struct arena a = {.base = (char *)memory + size * (size_t)omp_get_thread_num(), .size = size};
	take_scratch(&w, &a, s, len);
	return w;
}

size_t
attn_bf16_scratch(const struct attn_shape *s, int T, int max_len, int threads)
{
	size_t partial = (size_t)T * (size_t)s->H * (size_t)s->D * 2;
	return partial + 16 + scratch_size(s, max_len) * (size_t)threads / sizeof(float);
}

/* The gradients of keys and values of each query head, [T,H,D] twice, lie before the threads' scratch. */
static float *
behind_partial(float *memory, const struct attn_shape *s, int T)
{
	uintptr_t at = (uintptr_t)(memory + (size_t)T * (size_t)s->H * (size_t)s->D * 2);
	return (float *)((at + 63) / 64 * 64);
}

/* ---- operands ---- */

static struct rows
head_rows(const struct heads *x, int row, int h)
{
	return rows_at(x->rows, row, h * x->stride);
}

/* All keys or values of a document: where they lie, or the prefix and its own put together. */
static struct rows
all_keys(const struct heads *x, const struct attn_doc *doc, int kh, int D, uint16_t *gathered)
{
	if (doc->n_prefix == 0)
		return head_rows(x, doc->k, kh);
	struct rows to = {gathered, D, NUM_BF16};
	for (int i = 0; i < doc->n_prefix + doc->n; i++)
		rows_copy(rows_at(to, i, 0), head_rows(x, attn_key_row(doc, i), kh), 1, D);
	return to;
}

/* ---- forward ---- */

/* What is left of a row of n outside [from, to). */
HONE_INLINE void
clear_outside(uint16_t *row, int from, int to, int n)
{
	memset(row, 0, (size_t)from * sizeof *row);
	memset(row + to, 0, (size_t)(n - to) * sizeof *row);
}

/* To bf16, of what is no NaN, or one that arithmetic made: less work than bf16_from_f32. */
HONE_INLINE uint16_t
rounded(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* P = exponentials of the visible scores, row times scale, against the maximum so far, zeros elsewhere; returns what sums
 * of before must be multiplied with. */
HONE_SIMD static float
softmax_chunk(uint16_t *P, float *row, float scale, int from, int to, int n, float *max, float *sum)
{
	clear_outside(P, from, to, n);
	if (from >= to)
		return 1;
	float most = scale * row_max(row + from, to - from), m = most > *max ? most : *max, acc[LANES] = {0};
	int j = from;
	for (; j + LANES <= to; j += LANES)
		for (int l = 0; l < LANES; l++)
			acc[l] += row[j + l] = exp_f32(scale * row[j + l] - m);
	for (int l = 0; j < to; j++, l++)
		acc[l] += row[j] = exp_f32(scale * row[j] - m);
	for (j = from; j < to; j++)
		P[j] = rounded(row[j]);
	float factor = exp_f32(*max - m);
	*sum = *sum * factor + lanes_sum(acc);
	*max = m;
	return factor;
}

HONE_SIMD static void
scale_row(float *x, float a, int n)
{
	for (int i = 0; i < n; i++)
		x[i] *= a;
}

/* The visible keys of query i within a chunk, of n keys from c0 on. */
static void
visible_in_chunk(const struct attn_block *b, const struct attn_shape *s, int i, int c0, int n, int *from, int *to)
{
	attn_visible(b, s, i, from, to);
	*from = *from - c0 < 0 ? 0 : *from - c0 > n ? n : *from - c0;
	*to = *to - c0 < *from ? *from : *to - c0 > n ? n : *to - c0;
}

struct keys {
	struct packed_right k, v, k_turned;
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
		float *sum = sums + (size_t)i * (size_t)padded(s->D);
		scale_row(sum, 1.0f / total[i], s->D);
		rows_copy(head_rows(&a->out, row, b->h), rows_f32(sum, s->D), 1, s->D);
		if (lse)
			lse[(size_t)row * (size_t)s->H + (size_t)b->h] = max[i] + logf(total[i]);
	}
}

static void
forward_block(const struct attn *a, float *lse, const struct attn_block *b, const struct attn_shape *s,
	const struct keys *keys, const struct scratch *w)
{
	int D = s->D, ld = padded(D);
	float max[ATTN_BLOCK], total[ATTN_BLOCK];
	struct packed_left q = packed_left(w->q, head_rows(&a->q, b->doc->q + b->i0, b->h), false, b->n, D);
	for (int i = 0; i < b->n; i++) {
		max[i] = -1e30f;
		total[i] = 0;
	}
	int first = b->j0 / PACKED_K * PACKED_K;
	for (int c0 = first; c0 < b->j1; c0 += CHUNK) {
		int n = chunk_length(b, c0);
		struct packed_left P = packed_left_rows(w->P, b->n, n);
		packed_product(w->S, CHUNK, &q, &keys->k, c0, n, 0, false);
		for (int i = 0; i < b->n; i++) {
			int from, to;
			visible_in_chunk(b, s, i, c0, n, &from, &to);
			float factor = softmax_chunk(rows_at(P.rows, i, 0).data, w->S + i * CHUNK, s->scale, from, to, n, &max[i],
				&total[i]);
			if (c0 > first && factor != 1)
				scale_row(w->sum + (size_t)i * (size_t)ld, factor, D);
		}
		packed_product(w->sum, ld, &P, &keys->v, 0, D, c0, c0 > first);
	}
	store_out(a, lse, b, s, w->sum, max, total);
}

/* ---- forward for few queries, which read each key once ---- */

HONE_SIMD static float
dot(const float *a, const float *b, int n)
{
	return row_dot(a, b, n);
}

HONE_SIMD static void
add_scaled(float *out, const float *x, float a, int n)
{
	for (int i = 0; i < n; i++)
		out[i] += a * x[i];
}

HONE_SIMD static float
exp_of(float x)
{
	return exp_f32(x);
}

static void
forward_query(const struct attn *a, float *lse, const struct attn_block *b, const struct attn_shape *s, int i,
	const struct scratch *w)
{
	int D = s->D, from, to, row = b->doc->q + b->i0 + i;
	float *buf = math_scratch(), *q = buf + D, *sum = w->sum, max = -1e30f, total = 0;
	memcpy(q, row_load(head_rows(&a->q, row, b->h), 0, 0, D, buf), (size_t)D * sizeof *q);
	memset(sum, 0, (size_t)D * sizeof *sum);
	attn_visible(b, s, i, &from, &to);
	for (int j = from; j < to; j++) {
		int key = attn_key_row(b->doc, j);
		float score = s->scale * dot(q, row_load(head_rows(&a->k, key, b->kh), 0, 0, D, buf), D);
		if (score > max) {
			float factor = exp_of(max - score);
			scale_row(sum, factor, D);
			total *= factor;
			max = score;
		}
		float p = exp_of(score - max);
		total += p;
		add_scaled(sum, row_load(head_rows(&a->v, key, b->kh), 0, 0, D, buf), p, D);
	}
	scale_row(sum, 1.0f / total, D);
	rows_copy(head_rows(&a->out, row, b->h), rows_f32(sum, D), 1, D);
	if (lse)
		lse[(size_t)row * (size_t)s->H + (size_t)b->h] = max + logf(total);
}

/* ---- sharing out ---- */

/* Into how many parts the query heads of a key head are divided, so that there is work for all threads. Each part packs
 * the keys for itself. */
static int
parts_of(const struct attn_shape *s, int n_docs)
{
	int group = s->H / s->K, tasks = n_docs * s->K, wanted = 2 * math_threads();
	int parts = tasks >= wanted ? 1 : (wanted + tasks - 1) / tasks;
	return parts < group ? parts : group;
}

/* The query heads [*h0, *h1) of part `part` of key head kh. */
static void
part_heads(const struct attn_shape *s, int kh, int part, int parts, int *h0, int *h1)
{
	int group = s->H / s->K;
	*h0 = kh * group + group * part / parts;
	*h1 = kh * group + group * (part + 1) / parts;
}

static void
forward_part(const struct attn *a, float *lse, const struct attn_doc *doc, const struct attn_shape *s, int kh, int h0,
	int h1, const struct scratch *w)
{
	struct keys keys = {.len = doc->n_prefix + doc->n};
	if (doc->n > FEW) {
		keys.k = packed_right(w->k, all_keys(&a->k, doc, kh, s->D, w->gathered), false, keys.len, s->D);
		keys.v = packed_right(w->v, all_keys(&a->v, doc, kh, s->D, w->gathered), true, s->D, keys.len);
	}
	for (int h = h0; h < h1; h++)
		for (int i0 = 0; i0 < doc->n; i0 += ATTN_BLOCK) {
			struct attn_block b = attn_block_at(doc, s, h, i0);
			if (doc->n > FEW)
				forward_block(a, lse, &b, s, &keys, w);
			else
				for (int i = 0; i < b.n; i++)
					forward_query(a, lse, &b, s, i, w);
		}
}

void
attn_bf16_forward(const struct attn *a, float *lse, const struct attn_doc *docs, int n_docs,
	const struct attn_shape *s, int max_len, float *scratch)
{
	int parts = parts_of(s, n_docs);
	float *memory = behind_partial(scratch, s, 0);
#pragma omp parallel for collapse(3) schedule(dynamic)
	for (int d = 0; d < n_docs; d++)
		for (int kh = 0; kh < s->K; kh++)
			for (int part = 0; part < parts; part++) {
				struct scratch w = own_scratch(s, max_len, memory);
				int h0, h1;
				part_heads(s, kh, part, parts, &h0, &h1);
				forward_part(a, lse, &docs[d], s, kh, h0, h1, &w);
			}
}

/* ---- backward ---- */

/* Probabilities again from products of queries and keys and the log-sum-exp that forward kept, and the gradient at those
 * products, scale P (dP - delta), out of dP, that at the probabilities; zeros where nothing is visible. */
HONE_SIMD static void
gradient_row(uint16_t *P, uint16_t *dS, const float *S, const float *dP, float scale, float lse, float delta, int from,
	int to, int n)
{
	clear_outside(P, from, to, n);
	clear_outside(dS, from, to, n);
	for (int j = from; j < to; j++) {
		float p = exp_f32(scale * S[j] - lse);
		P[j] = rounded(p);
		dS[j] = rounded(scale * p * (dP[j] - delta));
	}
}

static void
backward_block(const struct attn *d, const struct attn *a, const float *lse, const struct attn_block *b,
	const struct attn_shape *s, const struct keys *keys, const struct scratch *w)
{
	int D = s->D, ld = padded(keys->len), row = b->doc->q + b->i0;
	struct rows q_rows = head_rows(&a->q, row, b->h), dout_rows = head_rows(&d->out, row, b->h);
	struct rows out_rows = head_rows(&a->out, row, b->h);
	struct packed_left q = packed_left(w->q, q_rows, false, b->n, D), dout = packed_left(w->dout, dout_rows, false, b->n, D);
	struct packed_left q_turned = packed_left(w->q_turned, q_rows, true, D, b->n);
	struct packed_left dout_turned = packed_left(w->dout_turned, dout_rows, true, D, b->n);
	float delta[ATTN_BLOCK], *buf = math_scratch();
	for (int i = 0; i < b->n; i++)
		delta[i] = dot(row_load(dout_rows, i, 0, D, buf), row_load(out_rows, i, 0, D, buf + D), D);
	int first = b->j0 / PACKED_K * PACKED_K;
	for (int c0 = first; c0 < b->j1; c0 += CHUNK) {
		int n = chunk_length(b, c0);
		struct packed_left P = packed_left_rows(w->P, b->n, n), dS = packed_left_rows(w->dP, b->n, n);
		packed_product(w->S, CHUNK, &q, &keys->k, c0, n, 0, false);
		packed_product(w->dS, CHUNK, &dout, &keys->v, c0, n, 0, false);
		for (int i = 0; i < b->n; i++) {
			int from, to;
			visible_in_chunk(b, s, i, c0, n, &from, &to);
			gradient_row(rows_at(P.rows, i, 0).data, rows_at(dS.rows, i, 0).data, w->S + i * CHUNK, w->dS + i * CHUNK,
				s->scale, lse[(size_t)(row + i) * (size_t)s->H + (size_t)b->h], delta[i], from, to, n);
		}
		struct packed_right turned = packed_right(w->right, P.rows, true, n, b->n);
		packed_product(w->dv + c0, ld, &dout_turned, &turned, 0, n, 0, true);
		turned = packed_right(w->right, dS.rows, true, n, b->n);
		packed_product(w->dk + c0, ld, &q_turned, &turned, 0, n, 0, true);
		packed_product(w->sum, padded(D), &dS, &keys->k_turned, 0, D, c0, c0 > first);
	}
	rows_copy(head_rows(&d->q, row, b->h), rows_f32(w->sum, padded(D)), b->n, D);
}

/* One query head's gradients at keys, [len,D], or values: in [T,H,D] twice, a document's heads one after the other. */
static float *
partial_of(float *partial, const struct attn_doc *doc, const struct attn_shape *s, int T, int h, bool values)
{
	size_t D = (size_t)s->D, all = (size_t)T * (size_t)s->H * D;
	return partial + (values ? all : 0) + (size_t)doc->k * (size_t)s->H * D + (size_t)h * (size_t)doc->n * D;
}

/* to[n,D] out of from[D,n], ld from row to row. */
HONE_SIMD static void
turn_back(float *to, const float *from, int ld, int n, int D)
{
	enum { SIDE = 16 };
	for (int j0 = 0; j0 < n; j0 += SIDE)
		for (int c0 = 0; c0 < D; c0 += SIDE)
			for (int j = j0; j < n && j < j0 + SIDE; j++)
				for (int c = c0; c < D && c < c0 + SIDE; c++)
					to[(size_t)j * (size_t)D + (size_t)c] = from[(size_t)c * (size_t)ld + (size_t)j];
}

static void
backward_part(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *doc,
	const struct attn_shape *s, int kh, int h0, int h1, float *partial, int T, const struct scratch *w)
{
	int D = s->D, ld = padded(doc->n);
	size_t size = (size_t)padded(D) * (size_t)ld * sizeof(float);
	struct rows k = head_rows(&a->k, doc->k, kh), v = head_rows(&a->v, doc->k, kh);
	struct keys keys = {packed_right(w->k, k, false, doc->n, D), packed_right(w->v, v, false, doc->n, D),
		packed_right(w->k_turned, k, true, D, doc->n), doc->n};
	for (int h = h0; h < h1; h++) {
		memset(w->dk, 0, size);
		memset(w->dv, 0, size);
		for (int i0 = 0; i0 < doc->n; i0 += ATTN_BLOCK) {
			struct attn_block b = attn_block_at(doc, s, h, i0);
			backward_block(d, a, lse, &b, s, &keys, w);
		}
		turn_back(partial_of(partial, doc, s, T, h, false), w->dk, ld, doc->n, D);
		turn_back(partial_of(partial, doc, s, T, h, true), w->dv, ld, doc->n, D);
	}
}

/* Gradients of a key head's keys or values, of rows j0 .. j0+n-1: the sum of those of its query heads. */
static void
sum_heads(const struct heads *out, const struct attn_doc *doc, const struct attn_shape *s, int kh, int j0, int n,
	float *partial, int T, bool values)
{
	int group = s->H / s->K, D = s->D;
	size_t at = (size_t)j0 * (size_t)D;
	float *sum = partial_of(partial, doc, s, T, kh * group, values) + at;
	for (int h = kh * group + 1; h < (kh + 1) * group; h++)
		add_scaled(sum, partial_of(partial, doc, s, T, h, values) + at, 1, n * D);
	rows_copy(head_rows(out, doc->k + j0, kh), rows_f32(sum, D), n, D);
}

void
attn_bf16_backward(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs,
	int n_docs, const struct attn_shape *s, int max_len, float *scratch)
{
	int parts = parts_of(s, n_docs), T = 0;
	for (int i = 0; i < n_docs; i++)
		T = docs[i].k + docs[i].n > T ? docs[i].k + docs[i].n : T;
	float *memory = behind_partial(scratch, s, T);
#pragma omp parallel for collapse(3) schedule(dynamic)
	for (int i = 0; i < n_docs; i++)
		for (int kh = 0; kh < s->K; kh++)
			for (int part = 0; part < parts; part++) {
				struct scratch w = own_scratch(s, max_len, memory);
				int h0, h1;
				assert(docs[i].n_prefix == 0 && docs[i].k == docs[i].q);
				part_heads(s, kh, part, parts, &h0, &h1);
				backward_part(d, a, lse, &docs[i], s, kh, h0, h1, scratch, T, &w);
			}
#pragma omp parallel for collapse(2) schedule(dynamic)
	for (int i = 0; i < n_docs; i++)
		for (int kh = 0; kh < s->K; kh++)
			for (int j0 = 0; j0 < docs[i].n; j0 += ATTN_BLOCK) {
				int n = docs[i].n - j0 < ATTN_BLOCK ? docs[i].n - j0 : ATTN_BLOCK;
				sum_heads(&d->k, &docs[i], s, kh, j0, n, scratch, T, false);
				sum_heads(&d->v, &docs[i], s, kh, j0, n, scratch, T, true);
			}
}

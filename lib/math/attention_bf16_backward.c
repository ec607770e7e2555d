/* Attention over bf16 rows, backward. Scores are computed again, turned: a row holds what the queries give to one key. So
 * the probabilities P and the gradients dS of a block of keys are rows as the next product reads them, and each of the
 * three products that they enter runs over many queries or keys at a time:
 *
 *	dV[keys,D] = P^T dO    dK[keys,D] = dS^T Q    dQ^T[D,queries] = K^T dS^T
 *
 * (Dao et al. 2022 for the formulas.) What is below a document counts as further queries of its own, which have no keys; they
 * are taken some at a time. Sums are those of one query head; those of the heads that share a key head are added
 * in the order of the heads, so that nothing depends on how many threads there are. */
#include <assert.h>
#include <omp.h>

#include "math/attention_bf16.h"
#include "math/attention_rows.h"
#include "math/gemm.h"

enum {
	BLOCK = 64,   /* keys, and queries of one product of scores: these stay in the first-level cache */
	GROUP = 256,  /* queries that dV and dK are summed over at a time, and keys that dQ is */
	QUERIES = 512, /* at a time, least, of a document and what is below it */
	AHEAD = 16,    /* rows that are asked for before they are read */
};

/* ---- scratch ---- */

/* One thread's. */
struct scratch {
	void *k, *v;                  /* on the left, [len,D] */
	void *k_turned;               /* [D,len] */
	void *q, *dout;               /* on the right, [queries,D], of one query head */
	void *q_turned, *dout_turned; /* [D,queries] */
	float *lse, *delta;           /* [queries] */
	void *P, *dS;                 /* on the left, [BLOCK keys, GROUP queries] */
	void *dS_right;               /* on the right, [queries, GROUP keys] */
	float *S, *dP;                /* [BLOCK,BLOCK] */
	float *dk, *dv;               /* [BLOCK,D] */
	float *all_dk, *all_dv;       /* [len,D], where one thread has all query heads of a key head */
	float *dq;                    /* [D,queries] */
};

/* How many queries are taken at a time where documents have up to `len`: all of those that see each other. */
static int
queries_at_a_time(int len)
{
	return len > QUERIES ? len : QUERIES;
}

static void
take_scratch(struct scratch *w, struct arena *a, const struct attn_shape *s, int len)
{
	int D = s->D, queries = queries_at_a_time(len);
	w->k = arena_take(a, 1, packed_left_size(len, D));
	w->v = arena_take(a, 1, packed_left_size(len, D));
	w->k_turned = arena_take(a, 1, packed_left_size(D, len));
	w->q = arena_take(a, 1, packed_right_size(queries, D));
	w->dout = arena_take(a, 1, packed_right_size(queries, D));
	w->q_turned = arena_take(a, 1, packed_right_size(D, queries));
	w->dout_turned = arena_take(a, 1, packed_right_size(D, queries));
	w->lse = ARENA_TAKE(a, float, (size_t)queries);
	w->delta = ARENA_TAKE(a, float, (size_t)queries);
	w->P = arena_take(a, 1, packed_left_size(BLOCK, GROUP));
	w->dS = arena_take(a, 1, packed_left_size(BLOCK, GROUP));
	w->dS_right = arena_take(a, 1, packed_right_size(queries, GROUP));
	w->S = ARENA_TAKE(a, float, BLOCK * BLOCK);
	w->dP = ARENA_TAKE(a, float, BLOCK * BLOCK);
	w->dk = ARENA_TAKE(a, float, (size_t)BLOCK * (size_t)attn_padded(D));
	w->dv = ARENA_TAKE(a, float, (size_t)BLOCK * (size_t)attn_padded(D));
	w->all_dk = ARENA_TAKE(a, float, (size_t)len * (size_t)D);
	w->all_dv = ARENA_TAKE(a, float, (size_t)len * (size_t)D);
	w->dq = ARENA_TAKE(a, float, (size_t)round_up(D, BLOCK) * (size_t)round_up(queries, BLOCK));
}

size_t
attn_bf16_backward_scratch(const struct attn_shape *s, int len)
{
	struct scratch w;
	struct arena count = {0};
	take_scratch(&w, &count, s, len);
	return count.used;
}

/* ---- what a key head and a query head bring ---- */

/* A document's keys, and those of its queries that are taken at a time. */
struct side {
	struct packed_left k, v, k_turned;
	struct packed_right q, dout, q_turned, dout_turned, dS;
	int keys;
	int n, first; /* queries, and the place of the first */
	int window;   /* as in struct attn_shape; no query is so far from a key when there is none */
	int D;
	float scale;
};

static void
take_keys(struct side *x, const struct attn *a, const struct attn_doc *doc, int kh, const struct scratch *w)
{
	struct rows k = attn_head_rows(&a->k, doc->k, kh), v = attn_head_rows(&a->v, doc->k, kh);
	x->k = packed_left(w->k, k, false, x->keys, x->D);
	x->v = packed_left(w->v, v, false, x->keys, x->D);
	x->k_turned = packed_left(w->k_turned, k, true, x->D, x->keys);
}

static void
take_queries(struct side *x, const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *doc,
	const struct attn_shape *s, int h, const struct scratch *w)
{
	int row = doc->q + x->first;
	struct rows q = attn_head_rows(&a->q, row, h), dout = attn_head_rows(&d->out, row, h), out = attn_head_rows(&a->out, row, h);
	x->q = packed_right(w->q, q, false, x->n, x->D);
	x->dout = packed_right(w->dout, dout, false, x->n, x->D);
	x->q_turned = packed_right(w->q_turned, q, true, x->D, x->n);
	x->dout_turned = packed_right(w->dout_turned, dout, true, x->D, x->n);
	x->dS = (struct packed_right){w->dS_right, x->n, GROUP};
	for (int i = 0; i < x->n; i++) {
		row_ahead(out, i + AHEAD, 0, x->D);
		w->lse[i] = lse[(size_t)(row + i) * (size_t)s->H + (size_t)h];
		w->delta[i] = attn_dot(rows_at(dout, i, 0).data, rows_at(out, i, 0).data, x->D);
	}
}

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* The queries that see any of a block's keys, in whole blocks: those that see none of them give zeros. */
static int
queries_start(const struct side *x, int j0)
{
	return j0 > x->first ? j0 - x->first : 0;
}

static int
queries_end(const struct side *x, int j0)
{
	return least(x->n, round_up(least(x->keys, j0 + BLOCK - 1) + x->window - x->first, BLOCK));
}

/* The first block of keys that a block of queries meets by that rule. */
static int
keys_start(const struct side *x, int i0)
{
	int j0 = x->first + i0 + 2 - BLOCK - x->window;
	return j0 > 0 ? round_up(j0, BLOCK) : 0;
}

/* ---- backward ---- */

/* P and dS of the block of keys from j0 on, for queries i0 .. i0+n-1, into columns from `at` on. */
static void
scores(struct packed_left P, struct packed_left dS, int at, const struct side *x, int j0, int i0, int n,
	const struct scratch *w)
{
	struct packed_left k = packed_left_part(&x->k, j0, P.n, 0, x->D), v = packed_left_part(&x->v, j0, P.n, 0, x->D);
	packed_product(w->S, BLOCK, &k, &x->q, i0, n, 0, false);
	packed_product(w->dP, BLOCK, &v, &x->dout, i0, n, 0, false);
	attn_gradient(&(struct attn_gradient){rows_at(P.rows, 0, at), rows_at(dS.rows, 0, at), w->S, w->dP, BLOCK, P.n, n,
		j0 - x->first - i0, x->window, x->scale, w->lse + i0, w->delta + i0});
}

/* The gradients of the block of keys from j0 on, and its dS on the right, where the group begins with key g0. */
static void
backward_keys(const struct side *x, int j0, int g0, const struct scratch *w)
{
	int n = least(BLOCK, x->keys - j0), start = queries_start(x, j0), end = queries_end(x, j0), ld = attn_padded(x->D);
	for (int g = start; g < end; g += GROUP) {
		int queries = least(GROUP, end - g);
		struct packed_left P = packed_left_rows(w->P, n, queries), dS = packed_left_rows(w->dS, n, queries);
		for (int i = 0; i < queries; i += BLOCK)
			scores(P, dS, i, x, j0, g + i, least(BLOCK, queries - i), w);
		packed_product(w->dv, ld, &P, &x->dout_turned, 0, x->D, g, g > start);
		packed_product(w->dk, ld, &dS, &x->q_turned, 0, x->D, g, g > start);
		packed_right_part(&x->dS, dS.rows, true, g, queries, j0 - g0, n);
	}
}

/* Adds to dQ what the group of keys from g0 on gives; sets it, where that is the first and dQ is not `further`. */
static void
backward_queries(const struct side *x, int g0, bool further, const struct scratch *w)
{
	int ld = round_up(x->n, BLOCK), end = least(x->keys, g0 + GROUP);
	for (int i = queries_start(x, g0); i < queries_end(x, end - 1); i += BLOCK) {
		int first = keys_start(x, i), j0 = first > g0 ? first : g0, j1 = least(end, x->first + i + BLOCK);
		if (j0 >= j1)
			continue;
		struct packed_left k = packed_left_part(&x->k_turned, 0, x->D, j0, j1 - j0);
		packed_product(w->dq + i, ld, &k, &x->dS, i, least(BLOCK, x->n - i), j0 - g0, further || first < g0);
	}
}

/* One query head's gradients at keys, [len,D], or values: in [T,H,D] twice, a document's heads one after the other. */
static float *
partial_of(float *partial, const struct attn_doc *doc, const struct attn_shape *s, int T, int h, bool values)
{
	size_t D = (size_t)s->D, all = (size_t)T * (size_t)s->H * D;
	return partial + (values ? all : 0) + (size_t)doc->k * (size_t)s->H * D + (size_t)h * (size_t)doc->n * D;
}

HONE_SIMD static void
add(float *out, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		out[i] += x[i];
}

/* Asks for rows that will be written to. */
static void
ask_for(struct rows to, int n, int D)
{
	for (int i = 0; i < n; i++)
		row_ahead(to, i, 0, D);
}

/* n rows of a block's sums to [n,D], or added there. */
static void
put_rows(float *to, const float *sums, int n, int D, bool further)
{
	int ld = attn_padded(D);
	for (int i = 0; i < n; i++, to += D, sums += ld)
		if (further)
			add(to, sums, D);
		else
			memcpy(to, sums, (size_t)D * sizeof *to);
}

/* dk and dv [keys,D] are set, or added to; and so is dQ. */
static void
backward_head(const struct side *x, float *dk, float *dv, bool further, bool further_q, const struct scratch *w)
{
	for (int g0 = 0; g0 < x->keys; g0 += GROUP) {
		for (int j0 = g0; j0 < least(x->keys, g0 + GROUP); j0 += BLOCK) {
			int n = least(BLOCK, x->keys - j0);
			size_t at = (size_t)j0 * (size_t)x->D;
			backward_keys(x, j0, g0, w);
			put_rows(dk + at, w->dk, n, x->D, further);
			put_rows(dv + at, w->dv, n, x->D, further);
		}
		backward_queries(x, g0, further_q, w);
	}
}

/* Puts into dQ what documents of lower levels have given. */
static void
take_gradient(const struct side *x, struct rows dq, const struct scratch *w)
{
	int ld = round_up(x->n, BLOCK);
	for (int i = 0; i < x->n; i++) {
		const float *row = row_load(dq, i, 0, x->D, w->dk);
		for (int c = 0; c < x->D; c++)
			w->dq[c * ld + i] = row[c];
	}
}

/* The documents of one level. */
struct level {
	const struct attn_doc *docs;
	int n_docs, at;
	int parts;       /* of the query heads of a key head */
	float *partial;  /* of T rows */
	int T;
};

/* Where a query head's gradients at keys or values are added up, [len,D]: the heads of the first part in one place, as they
 * come, and any other in its own until all can be added in the order of the heads. */
static float *
sums_of(const struct level *l, const struct attn_doc *doc, const struct attn_shape *s, int kh, int h, bool values,
	const struct scratch *w)
{
	int h0, h1;
	if (l->parts == 1)
		return values ? w->all_dv : w->all_dk;
	attn_part_heads(s, kh, 0, l->parts, &h0, &h1);
	return partial_of(l->partial, doc, s, l->T, h < h1 ? h0 : h, values);
}

/* The gradients that query heads h0 .. h1-1 of a document give. */
static void
backward_part(const struct attn *d, const struct attn *a, const float *lse, const struct level *l, const struct attn_doc *doc,
	const struct attn_shape *s, int kh, int h0, int h1, int most, const struct scratch *w)
{
	int all = doc->n + doc->below;
	struct side x = {.keys = doc->n, .window = s->window && !doc->below ? s->window : all, .D = s->D, .scale = s->scale};
	take_keys(&x, a, doc, kh, w);
	for (int h = h0; h < h1; h++)
		for (x.first = 0; x.first < all; x.first += most) {
			x.n = least(most, all - x.first);
			take_queries(&x, d, a, lse, doc, s, h, w);
			bool first = h0 == kh * (s->H / s->K);
			struct rows dq = attn_head_rows(&d->q, doc->q + x.first, h);
			if (doc->back)
				take_gradient(&x, dq, w);
			packed_begin();
			backward_head(&x, sums_of(l, doc, s, kh, h, false, w), sums_of(l, doc, s, kh, h, true, w),
				(first && h > h0) || x.first > 0, doc->back, w);
			packed_end();
			ask_for(dq, x.n, x.D);
			packed_turn(dq, rows_f32(w->dq, round_up(x.n, BLOCK)), x.n, x.D);
		}
}

/* Where one thread had all query heads. */
static void
put_sums(const struct attn *d, const struct attn_doc *doc, const struct attn_shape *s, int kh, const struct scratch *w)
{
	struct rows dk = attn_head_rows(&d->k, doc->k, kh), dv = attn_head_rows(&d->v, doc->k, kh);
	ask_for(dk, doc->n, s->D);
	rows_copy(dk, rows_f32(w->all_dk, s->D), doc->n, s->D);
	ask_for(dv, doc->n, s->D);
	rows_copy(dv, rows_f32(w->all_dv, s->D), doc->n, s->D);
}

/* Gradients of a key head's keys or values, of rows j0 .. j0+n-1: the sum of those of its query heads, of which the first
 * part's are added up. */
static void
sum_heads(const struct heads *out, const struct level *l, const struct attn_doc *doc, const struct attn_shape *s, int kh,
	int j0, int n, bool values)
{
	int group = s->H / s->K, D = s->D, h0, h1;
	size_t at = (size_t)j0 * (size_t)D;
	attn_part_heads(s, kh, 0, l->parts, &h0, &h1);
	float *sum = partial_of(l->partial, doc, s, l->T, h0, values) + at;
	for (int h = h1; h < (kh + 1) * group; h++)
		add(sum, partial_of(l->partial, doc, s, l->T, h, values) + at, n * D);
	rows_copy(attn_head_rows(out, doc->k + j0, kh), rows_f32(sum, D), n, D);
}

static void
backward_level(const struct attn *d, const struct attn *a, const float *lse, const struct level *l,
	const struct attn_shape *s, int max_len, float *memory)
{
#pragma omp parallel for collapse(3) schedule(dynamic)
	for (int i = 0; i < l->n_docs; i++)
		for (int kh = 0; kh < s->K; kh++)
			for (int part = 0; part < l->parts; part++) {
				struct scratch w;
				struct arena own = attn_own_memory(memory, attn_bf16_backward_scratch(s, max_len));
				int h0, h1;
				if (attn_level(&l->docs[i]) != l->at)
					continue;
				take_scratch(&w, &own, s, max_len);
				attn_part_heads(s, kh, part, l->parts, &h0, &h1);
				backward_part(d, a, lse, l, &l->docs[i], s, kh, h0, h1, queries_at_a_time(max_len), &w);
				if (l->parts == 1)
					put_sums(d, &l->docs[i], s, kh, &w);
			}
}

static void
sum_level(const struct attn *d, const struct level *l, const struct attn_shape *s)
{
#pragma omp parallel for collapse(2) schedule(dynamic)
	for (int i = 0; i < l->n_docs; i++)
		for (int kh = 0; kh < s->K; kh++)
			for (int j0 = 0; j0 < l->docs[i].n && attn_level(&l->docs[i]) == l->at; j0 += BLOCK) {
				int n = least(BLOCK, l->docs[i].n - j0);
				sum_heads(&d->k, l, &l->docs[i], s, kh, j0, n, false);
				sum_heads(&d->v, l, &l->docs[i], s, kh, j0, n, true);
			}
}

void
attn_bf16_backward(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs,
	int n_docs, const struct attn_shape *s, int max_len, float *scratch)
{
	struct level l = {.docs = docs, .n_docs = n_docs, .partial = scratch};
	for (int i = 0; i < n_docs; i++) {
		assert(docs[i].k == docs[i].q && (docs[i].back || docs[i].n_prefix == 0));
		l.T = docs[i].k + docs[i].n > l.T ? docs[i].k + docs[i].n : l.T;
	}
	float *memory = scratch + (size_t)l.T * (size_t)s->H * (size_t)s->D * 2;
	for (int n; (n = attn_at_level(docs, n_docs, l.at)) > 0; l.at++) {
		l.parts = attn_parts(s, n);
		backward_level(d, a, lse, &l, s, max_len, memory);
		if (l.parts > 1)
			sum_level(d, &l, s);
	}
}

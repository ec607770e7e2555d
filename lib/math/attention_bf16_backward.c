/* Attention over bf16 rows, backward. Scores are computed again, turned: a row holds what the queries give to one key. So
 * the probabilities P and the gradients dS of a block of keys are rows as the next product reads them, and each of the
 * three products that they enter runs over many queries or keys at a time:
 *
 *	dV[keys,D] = P^T dO    dK[keys,D] = dS^T Q    dQ^T[D,queries] = K^T dS^T
 *
 * (Dao et al. 2022 for the formulas.) Sums are those of one query head; those of the heads that share a key head are added
 * in the order of the heads, so that nothing depends on how many threads there are. */
#include <assert.h>
#include <omp.h>

#include "math/attention_bf16.h"
#include "math/attention_rows.h"
#include "math/gemm.h"

enum {
	BLOCK = 64,   /* keys, and queries of one product of scores: these stay in the first-level cache */
	GROUP = 256,  /* queries that dV and dK are summed over at a time, and keys that dQ is */
};

/* ---- scratch ---- */

/* One thread's. */
struct scratch {
	void *k, *v;                  /* on the left, [len,D] */
	void *k_turned;               /* [D,len] */
	void *q, *dout;               /* on the right, [len,D], of one query head */
	void *q_turned, *dout_turned; /* [D,len] */
	float *lse, *delta;           /* [len] */
	void *P, *dS;                 /* on the left, [BLOCK keys, GROUP queries] */
	void *dS_right;               /* on the right, [len queries, GROUP keys] */
	float *S, *dP;                /* [BLOCK,BLOCK] */
	float *dk, *dv;               /* [BLOCK,D] */
	float *dq;                    /* [D,len] */
};

static void
take_scratch(struct scratch *w, struct arena *a, const struct attn_shape *s, int len)
{
	int D = s->D;
	w->k = arena_take(a, 1, packed_left_size(len, D));
	w->v = arena_take(a, 1, packed_left_size(len, D));
	w->k_turned = arena_take(a, 1, packed_left_size(D, len));
	w->q = arena_take(a, 1, packed_right_size(len, D));
	w->dout = arena_take(a, 1, packed_right_size(len, D));
	w->q_turned = arena_take(a, 1, packed_right_size(D, len));
	w->dout_turned = arena_take(a, 1, packed_right_size(D, len));
	w->lse = ARENA_TAKE(a, float, (size_t)len);
	w->delta = ARENA_TAKE(a, float, (size_t)len);
	w->P = arena_take(a, 1, packed_left_size(BLOCK, GROUP));
	w->dS = arena_take(a, 1, packed_left_size(BLOCK, GROUP));
	w->dS_right = arena_take(a, 1, packed_right_size(len, GROUP));
	w->S = ARENA_TAKE(a, float, BLOCK * BLOCK);
	w->dP = ARENA_TAKE(a, float, BLOCK * BLOCK);
	w->dk = ARENA_TAKE(a, float, (size_t)BLOCK * (size_t)attn_padded(D));
	w->dv = ARENA_TAKE(a, float, (size_t)BLOCK * (size_t)attn_padded(D));
	w->dq = ARENA_TAKE(a, float, (size_t)round_up(D, BLOCK) * (size_t)round_up(len, BLOCK));
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

/* Of one document. */
struct side {
	struct packed_left k, v, k_turned;
	struct packed_right q, dout, q_turned, dout_turned, dS;
	int n;       /* queries, and keys */
	int window;  /* as in struct attn_shape; n when there is none */
	int D;
	float scale;
};

static void
take_keys(struct side *x, const struct attn *a, const struct attn_doc *doc, int kh, const struct scratch *w)
{
	struct rows k = attn_head_rows(&a->k, doc->k, kh), v = attn_head_rows(&a->v, doc->k, kh);
	x->k = packed_left(w->k, k, false, x->n, x->D);
	x->v = packed_left(w->v, v, false, x->n, x->D);
	x->k_turned = packed_left(w->k_turned, k, true, x->D, x->n);
}

static void
take_queries(struct side *x, const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *doc,
	const struct attn_shape *s, int h, const struct scratch *w)
{
	struct rows q = attn_head_rows(&a->q, doc->q, h), dout = attn_head_rows(&d->out, doc->q, h);
	struct rows out = attn_head_rows(&a->out, doc->q, h);
	x->q = packed_right(w->q, q, false, x->n, x->D);
	x->dout = packed_right(w->dout, dout, false, x->n, x->D);
	x->q_turned = packed_right(w->q_turned, q, true, x->D, x->n);
	x->dout_turned = packed_right(w->dout_turned, dout, true, x->D, x->n);
	x->dS = (struct packed_right){w->dS_right, x->n, GROUP};
	for (int i = 0; i < x->n; i++) {
		w->lse[i] = lse[(size_t)(doc->q + i) * (size_t)s->H + (size_t)h];
		w->delta[i] = attn_dot(rows_at(dout, i, 0).data, rows_at(out, i, 0).data, x->D);
	}
}

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* Queries from j0 on that see any of a block's keys: up to here, in whole blocks. Those that see none of them give zeros. */
static int
queries_end(const struct side *x, int j0)
{
	return least(x->n, round_up(least(x->n, j0 + BLOCK - 1) + x->window, BLOCK));
}

/* The first block of keys that a block of queries meets by that rule. */
static int
keys_start(const struct side *x, int i0)
{
	int j0 = i0 + 2 - BLOCK - x->window;
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
	for (int j = 0; j < P.n; j++) {
		int key = j0 + j - i0, from = least(n, key > 0 ? key : 0), to = least(n, key + x->window);
		attn_gradient_row(rows_at(P.rows, j, at).data, rows_at(dS.rows, j, at).data, w->S + j * BLOCK, w->dP + j * BLOCK,
			x->scale, w->lse + i0, w->delta + i0, from, to < from ? from : to, n);
	}
}

/* The gradients of the block of keys from j0 on, and its dS on the right, where the group begins with key g0. */
static void
backward_keys(const struct side *x, int j0, int g0, const struct scratch *w)
{
	int n = least(BLOCK, x->n - j0), end = queries_end(x, j0), ld = attn_padded(x->D);
	for (int g = j0; g < end; g += GROUP) {
		int queries = least(GROUP, end - g);
		struct packed_left P = packed_left_rows(w->P, n, queries), dS = packed_left_rows(w->dS, n, queries);
		for (int i = 0; i < queries; i += BLOCK)
			scores(P, dS, i, x, j0, g + i, least(BLOCK, queries - i), w);
		packed_product(w->dv, ld, &P, &x->dout_turned, 0, x->D, g, g > j0);
		packed_product(w->dk, ld, &dS, &x->q_turned, 0, x->D, g, g > j0);
		packed_right_part(&x->dS, dS.rows, true, g, queries, j0 - g0, n);
	}
}

/* Adds to dQ what the group of keys from g0 on gives. */
static void
backward_queries(const struct side *x, int g0, const struct scratch *w)
{
	int ld = round_up(x->n, BLOCK), end = least(x->n, g0 + GROUP);
	for (int i = g0; i < queries_end(x, end - 1); i += BLOCK) {
		int first = keys_start(x, i), j0 = first > g0 ? first : g0, j1 = least(end, i + BLOCK);
		if (j0 >= j1)
			continue;
		struct packed_left k = packed_left_part(&x->k_turned, 0, x->D, j0, j1 - j0);
		packed_product(w->dq + i, ld, &k, &x->dS, i, least(BLOCK, x->n - i), j0 - g0, first < g0);
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

/* dk and dv [len,D] are set, or added to. */
static void
backward_head(const struct side *x, float *dk, float *dv, bool further, const struct scratch *w)
{
	for (int g0 = 0; g0 < x->n; g0 += GROUP) {
		for (int j0 = g0; j0 < least(x->n, g0 + GROUP); j0 += BLOCK) {
			int n = least(BLOCK, x->n - j0);
			size_t at = (size_t)j0 * (size_t)x->D;
			backward_keys(x, j0, g0, w);
			put_rows(dk + at, w->dk, n, x->D, further);
			put_rows(dv + at, w->dv, n, x->D, further);
		}
		backward_queries(x, g0, w);
	}
}

/* The heads of the first part are added up as they come; any other has a place of its own until all can be added in the
 * order of the heads. */
static void
backward_part(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *doc,
	const struct attn_shape *s, int kh, int h0, int h1, float *partial, int T, const struct scratch *w)
{
	struct side x = {.n = doc->n, .window = s->window ? s->window : doc->n, .D = s->D, .scale = s->scale};
	assert(doc->n_prefix == 0 && doc->k == doc->q);
	take_keys(&x, a, doc, kh, w);
	for (int h = h0; h < h1; h++) {
		take_queries(&x, d, a, lse, doc, s, h, w);
		packed_begin();
		bool first = h0 == kh * (s->H / s->K);
		int place = first ? h0 : h;
		backward_head(&x, partial_of(partial, doc, s, T, place, false), partial_of(partial, doc, s, T, place, true),
			first && h > h0, w);
		packed_end();
		packed_turn(attn_head_rows(&d->q, doc->q, h), rows_f32(w->dq, round_up(x.n, BLOCK)), x.n, x.D);
	}
}

/* Gradients of a key head's keys or values, of rows j0 .. j0+n-1: the sum of those of its query heads, of which the first
 * part's are added up. */
static void
sum_heads(const struct heads *out, const struct attn_doc *doc, const struct attn_shape *s, int kh, int j0, int n,
	float *partial, int T, int parts, bool values)
{
	int group = s->H / s->K, D = s->D, h0, h1;
	size_t at = (size_t)j0 * (size_t)D;
	attn_part_heads(s, kh, 0, parts, &h0, &h1);
	float *sum = partial_of(partial, doc, s, T, h0, values) + at;
	for (int h = h1; h < (kh + 1) * group; h++)
		add(sum, partial_of(partial, doc, s, T, h, values) + at, n * D);
	rows_copy(attn_head_rows(out, doc->k + j0, kh), rows_f32(sum, D), n, D);
}

void
attn_bf16_backward(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs,
	int n_docs, const struct attn_shape *s, int max_len, float *scratch)
{
	int parts = attn_parts(s, n_docs), T = 0;
	for (int i = 0; i < n_docs; i++)
		T = docs[i].k + docs[i].n > T ? docs[i].k + docs[i].n : T;
	float *memory = scratch + (size_t)T * (size_t)s->H * (size_t)s->D * 2;
#pragma omp parallel for collapse(3) schedule(dynamic)
	for (int i = 0; i < n_docs; i++)
		for (int kh = 0; kh < s->K; kh++)
			for (int part = 0; part < parts; part++) {
				struct scratch w;
				struct arena own = attn_own_memory(memory, attn_bf16_backward_scratch(s, max_len));
				int h0, h1;
				take_scratch(&w, &own, s, max_len);
				attn_part_heads(s, kh, part, parts, &h0, &h1);
				backward_part(d, a, lse, &docs[i], s, kh, h0, h1, scratch, T, &w);
			}
#pragma omp parallel for collapse(2) schedule(dynamic)
	for (int i = 0; i < n_docs; i++)
		for (int kh = 0; kh < s->K; kh++)
			for (int j0 = 0; j0 < docs[i].n; j0 += BLOCK) {
				int n = least(BLOCK, docs[i].n - j0);
				sum_heads(&d->k, &docs[i], s, kh, j0, n, scratch, T, parts, false);
				sum_heads(&d->v, &docs[i], s, kh, j0, n, scratch, T, parts, true);
			}
}

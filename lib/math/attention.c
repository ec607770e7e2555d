#include "math/attention_int.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "math/gemm.h"
#include "math/simd.h"

/* One thread's scratch: scores of a block of queries against all keys, and as many again for their gradients. */
static size_t
thread_scratch(int max_len)
{
	return (size_t)2 * ATTN_BLOCK * (size_t)((max_len + 15) / 16 * 16);
}

size_t
attention_scratch(const struct attn_shape *s, enum num type, int T, int max_len, int threads)
{
	if (type == NUM_BF16)
		return attn_bf16_scratch(s, T, max_len, threads);
	return thread_scratch(max_len) * (size_t)threads;
}

struct attn_block
attn_block_at(const struct attn_doc *doc, const struct attn_shape *s, int h, int i0, int size)
{
	struct attn_block b = {.doc = doc, .h = h, .kh = h / (s->H / s->K), .i0 = i0};
	b.n = doc->n - i0 < size ? doc->n - i0 : size;
	int first = doc->n_prefix + i0;  /* the first query's place in the document */
	b.j1 = first + b.n;
	b.j0 = s->window && first - s->window + 1 > 0 ? first - s->window + 1 : 0;
	return b;
}

int
attn_at_level(const struct attn_doc *docs, int n_docs, int level)
{
	int n = 0;
	for (int d = 0; d < n_docs; d++)
		n += attn_level(&docs[d]) == level;
	return n;
}

/* Head h of a row. */
static float *
at(const struct heads *x, int row, int h)
{
	assert(x->rows.type == NUM_F32);
	return rows_at(x->rows, row, h * x->stride).data;
}

/* How many of the block's keys from place j on lie in rows one after the other, and the first of these. */
static int
block_run(const struct attn_block *b, int j, int *row)
{
	int n = attn_key_run(b->doc, j, row);
	return n < b->j1 - j ? n : b->j1 - j;
}

/* S[n, j1-j0] = scale * X Y^T for the block's rows of x and its keys in y. */
static void
block_products(float *S, int lds, const struct heads *x, const struct heads *y, const struct attn_block *b, int D,
	float scale)
{
	const float *rows = at(x, b->doc->q + b->i0, b->h);
	for (int j = b->j0, n, row; j < b->j1; j += n) {
		n = block_run(b, j, &row);
		gemm_nt(S + j - b->j0, lds, rows, x->rows.ld, at(y, row, b->kh), y->rows.ld, b->n, n, D, scale, 0);
	}
}

/* The block's rows of out (+)= scale * S Y for its keys in y; beta 0 sets, 1 adds. */
static void
block_combine(const struct heads *out, const float *S, int lds, const struct heads *y, const struct attn_block *b, int D,
	float scale, float beta)
{
	float *rows = at(out, b->doc->q + b->i0, b->h);
	for (int j = b->j0, n, row; j < b->j1; j += n) {
		n = block_run(b, j, &row);
		gemm_nn(rows, out->rows.ld, S + j - b->j0, lds, at(y, row, b->kh), y->rows.ld, b->n, D, n, scale, j > b->j0 ? 1 : beta);
	}
}

/* The columns of the scores that query i of the block may see: [*from, *to). */
static void
visible(const struct attn_block *b, const struct attn_shape *s, int i, int *from, int *to)
{
	attn_visible(b, s, i, from, to);
	*from = *from > b->j0 ? *from - b->j0 : 0;
	*to = (*to < b->j1 ? *to : b->j1) - b->j0;
}

/* Softmax of columns [from, to) of a row of n; zero elsewhere. Returns the log-sum-exp. */
HONE_SIMD static float
softmax_row(float *row, int from, int to, int n)
{
	float max = row_max(row + from, to - from);
	float sum = row_exp_sum(row + from, max, to - from), inv = 1.0f / sum;
	for (int j = 0; j < from; j++)
		row[j] = 0;
	for (int j = from; j < to; j++)
		row[j] *= inv;
	for (int j = to; j < n; j++)
		row[j] = 0;
	return max + logf(sum);
}

/* Probabilities again from scores and the log-sum-exp that forward kept. */
HONE_SIMD static void
probabilities_row(float *row, float lse, int from, int to, int n)
{
	for (int j = 0; j < from; j++)
		row[j] = 0;
	for (int j = from; j < to; j++)
		row[j] = exp_f32(row[j] - lse);
	for (int j = to; j < n; j++)
		row[j] = 0;
}

HONE_SIMD static float
dot_row(const float *a, const float *b, int n)
{
	return row_dot(a, b, n);
}

/* dS = P (dP - delta) */
HONE_SIMD static void
score_gradient_row(float *dS, const float *P, float delta, int n)
{
	for (int j = 0; j < n; j++)
		dS[j] = P[j] * (dS[j] - delta);
}

static void
forward_block(const struct attn *a, float *lse, const struct attn_block *b, const struct attn_shape *s, float *S)
{
	int keys = b->j1 - b->j0;
	block_products(S, keys, &a->q, &a->k, b, s->D, s->scale);
	for (int i = 0; i < b->n; i++) {
		int from, to;
		visible(b, s, i, &from, &to);
		float l = softmax_row(S + (size_t)i * (size_t)keys, from, to, keys);
		if (lse)
			lse[(size_t)(b->doc->q + b->i0 + i) * (size_t)s->H + (size_t)b->h] = l;
	}
	block_combine(&a->out, S, keys, &a->v, b, s->D, 1, 0);
}

/* Documents differ in length, so blocks are dealt out one by one; each writes rows of its own, so the order does
 * not matter to the result. */
void
attention_forward(const struct attn *a, float *lse, const struct attn_doc *docs, int n_docs,
	const struct attn_shape *s, int max_len, float *scratch)
{
	if (a->q.rows.type == NUM_BF16) {
		attn_bf16_forward(a, lse, docs, n_docs, s, max_len, scratch);
		return;
	}
	size_t each = thread_scratch(max_len);
#pragma omp parallel for collapse(2) schedule(dynamic)
	for (int d = 0; d < n_docs; d++)
		for (int h = 0; h < s->H; h++)
			for (int i0 = 0; i0 < docs[d].n; i0 += ATTN_BLOCK) {
				struct attn_block b = attn_block_at(&docs[d], s, h, i0, ATTN_BLOCK);
				forward_block(a, lse, &b, s, scratch + each * (size_t)omp_get_thread_num());
			}
}

/* The block's part of the gradients: dQ is added to with beta 1, dK and dV always. */
static void
backward_block(const struct attn *d, const struct attn *a, const float *lse, const struct attn_block *b,
	const struct attn_shape *s, float beta, float *P, float *dS)
{
	int keys = b->j1 - b->j0, D = s->D, row = b->doc->q + b->i0, first = b->doc->k + b->j0;
	block_products(P, keys, &a->q, &a->k, b, D, s->scale);
	block_products(dS, keys, &d->out, &a->v, b, D, 1);
	for (int i = 0; i < b->n; i++) {
		int from, to;
		size_t r = (size_t)i * (size_t)keys;
		visible(b, s, i, &from, &to);
		probabilities_row(P + r, lse[(size_t)(row + i) * (size_t)s->H + (size_t)b->h], from, to, keys);
		float delta = dot_row(at(&d->out, row + i, b->h), at(&a->out, row + i, b->h), D);
		score_gradient_row(dS + r, P + r, delta, keys);
	}
	gemm_tn(at(&d->v, first, b->kh), d->v.rows.ld, P, keys, at(&d->out, row, b->h), d->out.rows.ld, keys, D, b->n, 1, 1);
	block_combine(&d->q, dS, keys, &a->k, b, D, s->scale, beta);
	gemm_tn(at(&d->k, first, b->kh), d->k.rows.ld, dS, keys, at(&a->q, row, b->h), a->q.rows.ld, keys, D, b->n, s->scale,
		1);
}

/* A document's own keys with all queries that see any of them, of one query head: what is below it counts as further queries
 * of its own, which have no keys. */
static void
backward_head(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *doc,
	const struct attn_shape *s, int h, float *P, float *dS)
{
	const struct attn_doc all = {.q = doc->q, .n = doc->n + doc->below, .k = doc->k};
	for (int i0 = 0; i0 < all.n; i0 += ATTN_BLOCK) {
		struct attn_block b = attn_block_at(&all, s, h, i0, ATTN_BLOCK);
		b.j1 = b.j1 < doc->n ? b.j1 : doc->n;
		backward_block(d, a, lse, &b, s, doc->back ? 1 : 0, P, dS);
	}
}

static void
clear(const struct heads *x, int row, int n, int head, int D)
{
	for (int i = 0; i < n; i++)
		memset(at(x, row + i, head), 0, (size_t)D * sizeof(float));
}

/* A task is one document and one key head with all query heads that read it: their gradients at k and v meet. */
static void
backward_level(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs, int n_docs,
	const struct attn_shape *s, int level, size_t each, float *scratch)
{
	int group = s->H / s->K;
#pragma omp parallel for collapse(2) schedule(dynamic)
	for (int i = 0; i < n_docs; i++)
		for (int kh = 0; kh < s->K; kh++) {
			float *P = scratch + each * (size_t)omp_get_thread_num(), *dS = P + each / 2;
			if (attn_level(&docs[i]) != level)
				continue;
			assert(docs[i].k == docs[i].q && (docs[i].back || docs[i].n_prefix == 0));
			clear(&d->k, docs[i].k, docs[i].n, kh, s->D);
			clear(&d->v, docs[i].k, docs[i].n, kh, s->D);
			for (int h = kh * group; h < (kh + 1) * group; h++)
				backward_head(d, a, lse, &docs[i], s, h, P, dS);
		}
}

void
attention_backward(const struct attn *d, const struct attn *a, const float *lse, const struct attn_doc *docs,
	int n_docs, const struct attn_shape *s, int max_len, float *scratch)
{
	if (a->q.rows.type == NUM_BF16) {
		attn_bf16_backward(d, a, lse, docs, n_docs, s, max_len, scratch);
		return;
	}
	for (int level = 0; attn_at_level(docs, n_docs, level) > 0; level++)
		backward_level(d, a, lse, docs, n_docs, s, level, thread_scratch(max_len), scratch);
}

#include "math/attention_rows.h"

#include <string.h>

#include "math/bf16_kernel.h"
#include "math/packed.h"
#include "math/simd.h"

/* ---- where products are in fp32 ---- */

static void
clear_outside(float *row, int from, int to, int n)
{
	memset(row, 0, (size_t)from * sizeof *row);
	memset(row + to, 0, (size_t)(round_up(n, PACKED_K) - to) * sizeof *row);
}

/* To bf16, of what is no NaN, or one that arithmetic made: less work than bf16_from_f32. */
HONE_INLINE float
rounded(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000;
	memcpy(&f, &bits, sizeof f);
	return f;
}

HONE_SIMD static float
softmax_row(float *P, float *S, float scale, int from, int to, float *max, float *sum)
{
	float most = scale * row_max(S + from, to - from), m = most > *max ? most : *max, acc[LANES] = {0};
	int j = from;
	for (; j + LANES <= to; j += LANES)
		for (int l = 0; l < LANES; l++)
			acc[l] += S[j + l] = exp_f32(scale * S[j + l] - m);
	for (int l = 0; j < to; j++, l++)
		acc[l] += S[j] = exp_f32(scale * S[j] - m);
	for (j = from; j < to; j++)
		P[j] = rounded(S[j]);
	float factor = exp_f32(*max - m);
	*sum = *sum * factor + lanes_sum(acc);
	*max = m;
	return factor;
}

void
attn_softmax(const struct attn_softmax *g)
{
#ifdef __x86_64__
	if (bf16_instructions()) {
		attn_softmax_avx512(g);
		return;
	}
#endif
	for (int i = 0; i < g->queries; i++) {
		float *P = rows_at(g->P, i, 0).data, *S = g->S + (ptrdiff_t)i * g->ld;
		int from, to;
		attn_softmax_visible(g, i, &from, &to);
		clear_outside(P, from, to, g->keys);
		g->factor[i] = from < to ? softmax_row(P, S, g->scale, from, to, &g->max[i], &g->sum[i]) : 1;
	}
}

HONE_SIMD static void
gradient_row(float *P, float *dS, const float *S, const float *dP, float scale, const float *lse,
	const float *delta, int from, int to)
{
	for (int i = from; i < to; i++) {
		float p = exp_f32(scale * S[i] - lse[i]);
		P[i] = rounded(p);
		dS[i] = rounded(scale * p * (dP[i] - delta[i]));
	}
}

static int
within(int i, int n)
{
	return i < 0 ? 0 : i < n ? i : n;
}

void
attn_gradient(const struct attn_gradient *g)
{
#ifdef __x86_64__
	if (bf16_instructions()) {
		attn_gradient_avx512(g);
		return;
	}
#endif
	for (int j = 0; j < g->keys; j++) {
		float *P = rows_at(g->P, j, 0).data, *dS = rows_at(g->dS, j, 0).data;
		int from = within(g->key + j, g->queries), to = within(g->key + j + g->window, g->queries);
		clear_outside(P, from, to, g->queries);
		clear_outside(dS, from, to, g->queries);
		gradient_row(P, dS, g->S + (ptrdiff_t)j * g->ld, g->dP + (ptrdiff_t)j * g->ld, g->scale, g->lse, g->delta, from, to);
	}
}

HONE_SIMD static float
dot(const uint16_t *a, const uint16_t *b, int n)
{
	float acc[LANES] = {0};
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			acc[l] += bf16_to_f32(a[i + l]) * bf16_to_f32(b[i + l]);
	for (int l = 0; i < n; i++, l++)
		acc[l] += bf16_to_f32(a[i]) * bf16_to_f32(b[i]);
	return lanes_sum(acc);
}

float
attn_dot(const uint16_t *a, const uint16_t *b, int n)
{
#ifdef __x86_64__
	if (bf16_instructions())
		return attn_dot_avx512(a, b, n);
#endif
	return dot(a, b, n);
}

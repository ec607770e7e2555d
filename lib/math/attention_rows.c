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

float
attn_softmax_row(void *P, float *S, float scale, int from, int to, int n, float *max, float *sum)
{
#ifdef __x86_64__
	if (bf16_instructions())
		return attn_softmax_row_avx512(P, S, scale, from, to, n, max, sum);
#endif
	clear_outside(P, from, to, n);
	return from < to ? softmax_row(P, S, scale, from, to, max, sum) : 1;
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

void
attn_gradient_row(void *P, void *dS, const float *S, const float *dP, float scale, const float *lse,
	const float *delta, int from, int to, int n)
{
#ifdef __x86_64__
	if (bf16_instructions()) {
		attn_gradient_row_avx512(P, dS, S, dP, scale, lse, delta, from, to, n);
		return;
	}
#endif
	clear_outside(P, from, to, n);
	clear_outside(dS, from, to, n);
	gradient_row(P, dS, S, dP, scale, lse, delta, from, to);
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

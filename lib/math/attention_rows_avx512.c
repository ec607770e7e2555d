#include "math/attention_rows.h"

#ifdef __x86_64__

#include "math/exp_avx512.h"

enum { STEP = 32 };  /* scores at a time: one vector of bf16, two of fp32 */

/* Which of the 32 scores from j on lie in [from, to). */
AVX512_INLINE __mmask32
visible(int j, int from, int to)
{
	return lanes32(to - j) & ~lanes32(from - j);
}

AVX512_INLINE void
clear(uint16_t *row, int from, int to)
{
	for (int j = from; j < to; j += STEP)
		_mm512_storeu_si512(row + j, _mm512_setzero_si512());
}

/* Calls f(j, seen) for each 32 scores that have a visible one, where j and seen are declared: all of them but those at either end are
 * visible, which the compiler knows. */
#define FOR_VISIBLE(from, to, f) \
	do { \
		int j = (from) / STEP * STEP; \
		__mmask32 seen; \
		for (; j < (from); j += STEP) { \
			seen = visible(j, from, to); \
			f; \
		} \
		seen = ~(__mmask32)0; \
		for (; j + STEP <= (to); j += STEP) \
			f; \
		if (j < (to)) { \
			seen = lanes32((to) - j); \
			f; \
		} \
	} while (0)

AVX512_INLINE void
greater(__m512 most[2], const float *S, __mmask32 seen)
{
	most[0] = _mm512_mask_max_ps(most[0], (__mmask16)seen, most[0], _mm512_maskz_loadu_ps((__mmask16)seen, S));
	most[1] = _mm512_mask_max_ps(most[1], (__mmask16)(seen >> 16), most[1], _mm512_maskz_loadu_ps((__mmask16)(seen >> 16), S + 16));
}

/* P of 32 scores, which are added to the sums. */
AVX512_INLINE void
exponentials(uint16_t *P, __m512 sum[2], const float *S, __mmask32 seen, __m512 by, __m512 less)
{
	__mmask16 low = (__mmask16)seen, high = (__mmask16)(seen >> 16);
	__m512 e0 = exp2_16(_mm512_fmsub_ps(by, _mm512_maskz_loadu_ps(low, S), less));
	__m512 e1 = exp2_16(_mm512_fmsub_ps(by, _mm512_maskz_loadu_ps(high, S + 16), less));
	sum[0] = _mm512_mask_add_ps(sum[0], low, sum[0], e0);
	sum[1] = _mm512_mask_add_ps(sum[1], high, sum[1], e1);
	_mm512_storeu_si512(P, bf16_pair_of(seen, e0, e1));
}

/* Some queries' greatest scores; factor is what the maximum was. */
AVX512_INLINE void
raise(const struct attn_softmax *g, int i0, int end)
{
	for (int i = i0; i < end; i++) {
		const float *S = g->S + (ptrdiff_t)i * g->ld;
		__m512 most[2] = {_mm512_set1_ps(-__builtin_inff()), most[0]};
		int from, to;
		attn_softmax_visible(g, i, &from, &to);
		FOR_VISIBLE(from, to, greater(most, S + j, seen));
		float greatest = g->scale * _mm512_reduce_max_ps(_mm512_max_ps(most[0], most[1]));
		g->factor[i] = g->max[i];
		g->max[i] = greatest > g->max[i] ? greatest : g->max[i];
	}
}

AVX512_INLINE void
shrink(const struct attn_softmax *g, int i, int n)
{
	__mmask16 m = lanes16(n);
	__m512 before = _mm512_maskz_loadu_ps(m, g->factor + i), now = _mm512_maskz_loadu_ps(m, g->max + i);
	__m512 factor = exp2_16(_mm512_mul_ps(_mm512_set1_ps(LOG2_E), _mm512_sub_ps(before, now)));
	_mm512_mask_storeu_ps(g->factor + i, m, factor);
	_mm512_mask_storeu_ps(g->sum + i, m, _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(m, g->sum + i)));
}

AVX512_INLINE void
exponentials_of(const struct attn_softmax *g, int i)
{
	const __m512 by = _mm512_set1_ps(g->scale * LOG2_E), less = _mm512_set1_ps(g->max[i] * LOG2_E);
	const float *S = g->S + (ptrdiff_t)i * g->ld;
	uint16_t *P = rows_at(g->P, i, 0).data;
	__m512 sums[2] = {_mm512_setzero_ps(), sums[0]};
	int from, to;
	attn_softmax_visible(g, i, &from, &to);
	clear(P, 0, from / STEP * STEP);
	FOR_VISIBLE(from, to, exponentials(P + j, sums, S + j, seen, by, less));
	clear(P, round_up(to, STEP), g->keys);
	g->sum[i] += _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
}

/* Some queries at a time: few enough that their scores are at hand when they are read again, enough that the processor has
 * others to go on with while it finds out the greatest of one. */
AVX512 void
attn_softmax_avx512(const struct attn_softmax *g)
{
	enum { SOME = 8 };
	for (int i0 = 0; i0 < g->queries; i0 += SOME) {
		int n = g->queries - i0 < SOME ? g->queries - i0 : SOME;
		raise(g, i0, i0 + n);
		shrink(g, i0, n);
		for (int i = i0; i < i0 + n; i++)
			exponentials_of(g, i);
	}
}

/* What 32 queries bring: lse, times log2 e, and delta, times scale. */
struct queries {
	__m512 lse[2], delta[2];
};

AVX512_INLINE struct queries
queries_of(const struct attn_gradient *g, int i)
{
	const __m512 scale = _mm512_set1_ps(g->scale), log2e = _mm512_set1_ps(LOG2_E);
	struct queries q;
	for (int half = 0; half < 2; half++, i += 16) {
		__mmask16 there = lanes16(g->queries - i);
		q.lse[half] = _mm512_mul_ps(log2e, _mm512_maskz_loadu_ps(there, g->lse + i));
		q.delta[half] = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(there, g->delta + i));
	}
	return q;
}

/* Sixteen of a row: probabilities, and gradients. */
AVX512_INLINE __m512
gradient16(__m512 *p, __mmask16 seen, const float *S, const float *dP, const struct queries *q, int half, float scale)
{
	*p = exp2_16(_mm512_fmsub_ps(_mm512_set1_ps(scale * LOG2_E), _mm512_maskz_loadu_ps(seen, S), q->lse[half]));
	return _mm512_mul_ps(*p, _mm512_fmsub_ps(_mm512_set1_ps(scale), _mm512_maskz_loadu_ps(seen, dP), q->delta[half]));
}

/* All keys of 32 queries, from query i on. `whole`: all see all, and the compiler knows. */
AVX512_INLINE void
gradient_columns(const struct attn_gradient *g, int i, bool whole)
{
	const struct queries q = queries_of(g, i);
	const float *S = g->S + i, *dP = g->dP + i;
	uint16_t *P = rows_at(g->P, 0, i).data, *dS = rows_at(g->dS, 0, i).data;
	for (int j = 0; j < g->keys; j++, S += g->ld, dP += g->ld, P += g->P.ld, dS += g->dS.ld) {
		int from = g->key + j;
		__mmask32 seen = whole ? ~(__mmask32)0 : visible(i, from, from + g->window) & lanes32(g->queries - i);
		__m512 p0, p1, d0 = gradient16(&p0, (__mmask16)seen, S, dP, &q, 0, g->scale);
		__m512 d1 = gradient16(&p1, (__mmask16)(seen >> 16), S + 16, dP + 16, &q, 1, g->scale);
		_mm512_storeu_si512(P, bf16_pair_of(seen, p0, p1));
		_mm512_storeu_si512(dS, bf16_pair_of(seen, d0, d1));
	}
}

AVX512 void
attn_gradient_avx512(const struct attn_gradient *g)
{
	for (int i = 0; i < g->queries; i += STEP)
		if (i + STEP <= g->queries && g->key + g->keys - 1 <= i && i + STEP <= g->key + g->window)
			gradient_columns(g, i, true);
		else
			gradient_columns(g, i, false);
}

AVX512 float
attn_dot_avx512(const uint16_t *a, const uint16_t *b, int n)
{
	__m512 sum = _mm512_setzero_ps();
	for (int i = 0; i < n; i += 16) {
		__mmask16 m = lanes16(n - i);
		sum = _mm512_fmadd_ps(bf16_widen(_mm256_maskz_loadu_epi16(m, a + i)), bf16_widen(_mm256_maskz_loadu_epi16(m, b + i)), sum);
	}
	return _mm512_reduce_add_ps(sum);
}

#endif

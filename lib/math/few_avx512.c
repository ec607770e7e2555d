#include "math/few_kernel.h"

#include <stdbool.h>

bool few_plain;

void
few_turn(float *to, const float *x, int n)
{
	enum { WORDS = FEW_TURN / 8 };
	for (int b = 0; b < n; b += FEW_TURN)
		for (int k = 0; k < 8; k++)
			for (int i = 0; i < WORDS; i++) {
				int from = b + 8 * i + (k ^ 1);
				to[b + k * WORDS + i] = from < n ? x[from] : 0;
			}
}

#ifdef __x86_64__

#include <immintrin.h>

#include "base/isa.h"
#include "math/dynamic8.h"

#define FEATURES "avx512f,avx512bw,avx512dq,avx512vl"
#define AVX512 __attribute__((target(FEATURES)))
#define INLINE static inline __attribute__((always_inline, target(FEATURES)))

/* A loop that is unrolled, so that the elements of small arrays are registers. */
#define EACH(i, n) _Pragma("GCC unroll 4") for (int i = 0; i < (n); i++)

enum {
	WIDE = 16,     /* elements of a register */
	SUMS = 4,      /* that go on at once: an addition takes as many cycles */
	AHEAD = 2048,  /* bytes: processors read ahead too little by themselves where so few are used at a time (NF4) */
};

/* ---- forms in which each element stands by itself ---- */

/* The first elements of w that the mask has. */
INLINE __m512
load(enum matrix_form form, const unsigned char *w, __mmask16 m)
{
	if (form == MATRIX_F32)
		return _mm512_maskz_loadu_ps(m, w);
	if (form == MATRIX_BF16) {
		__m512i h = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, w));
		return _mm512_castsi512_ps(_mm512_slli_epi32(h, 16));
	}
	if (form == MATRIX_F16)
		return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, w));
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(m, w)));
}

INLINE int
size_of(enum matrix_form form)
{
	return form == MATRIX_F32 ? 4 : form == MATRIX_INT8 ? 1 : 2;
}

/* n elements of w times as many of each row of x. */
INLINE void
dots(float *sum, enum matrix_form form, const unsigned char *w, const float *x, int ld, int n, int T)
{
	__m512 s[FEW_ROWS][SUMS];
	const size_t size = (size_t)size_of(form), row = (size_t)ld;
	int i = 0;
	EACH(t, T)
		EACH(k, SUMS)
			s[t][k] = _mm512_setzero_ps();
	for (; i + SUMS * WIDE <= n; i += SUMS * WIDE)
		EACH(k, SUMS) {
			int at = i + k * WIDE;
			__m512 v = load(form, w + (size_t)at * size, 0xffff);
			EACH(t, T)
				s[t][k] = _mm512_fmadd_ps(v, _mm512_loadu_ps(x + (size_t)t * row + at), s[t][k]);
		}
	for (; i < n; i += WIDE) {
		__mmask16 m = n - i >= WIDE ? 0xffff : (__mmask16)((1u << (n - i)) - 1);
		__m512 v = load(form, w + (size_t)i * size, m);
		EACH(t, T)
			s[t][0] = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, x + (size_t)t * row + i), s[t][0]);
	}
	EACH(t, T) {
		__m512 a = _mm512_add_ps(s[t][0], s[t][1]), b = _mm512_add_ps(s[t][2], s[t][3]);
		sum[t] = _mm512_reduce_add_ps(_mm512_add_ps(a, b));
	}
}

/* Each number of rows is compiled by itself, so that its sums are registers. */
INLINE void
dots_of(float *sum, enum matrix_form form, const struct matrix *w, int r, const float *x, int ld, int T)
{
	const unsigned char *row = (const unsigned char *)w->data + (size_t)r * (size_t)matrix_columns(w) * (size_t)size_of(form);
	switch (T) {
	case 1:
		dots(sum, form, row, x, ld, matrix_columns(w), 1);
		break;
	case 2:
		dots(sum, form, row, x, ld, matrix_columns(w), 2);
		break;
	case 3:
		dots(sum, form, row, x, ld, matrix_columns(w), 3);
		break;
	default:
		dots(sum, form, row, x, ld, matrix_columns(w), 4);
	}
}

AVX512 static void
dots_f32(float *sum, const struct matrix *w, int r, const float *x, int ld, int T)
{
	dots_of(sum, MATRIX_F32, w, r, x, ld, T);
}

AVX512 static void
dots_bf16(float *sum, const struct matrix *w, int r, const float *x, int ld, int T)
{
	dots_of(sum, MATRIX_BF16, w, r, x, ld, T);
}

AVX512 static void
dots_f16(float *sum, const struct matrix *w, int r, const float *x, int ld, int T)
{
	dots_of(sum, MATRIX_F16, w, r, x, ld, T);
}

AVX512 static void
dots_int8(float *sum, const struct matrix *w, int r, const float *x, int ld, int T)
{
	dots_of(sum, MATRIX_INT8, w, r, x, ld, T);
	for (int t = 0; t < T; t++)
		sum[t] *= w->scale[r];
}

/* ---- NF4 ---- */

INLINE float
magnitude(const struct matrix *w, size_t block, const float *value)
{
	return value[w->block[block]] * w->scale[1 + block / DYNAMIC8_BLOCK] + w->scale[0];
}

/* Two blocks are sixteen words of eight nibbles. Shifted by 4 k bits, all words at once, the k-th nibble of each is
 * where the permutation of the sixteen codes looks for an index; it ignores the bits above. In x as few_turn left
 * it, the factors of these sixteen lie side by side: nibble k of word i is element 8 i + k, the two of each byte
 * exchanged. */
INLINE void
dots_blocks(float *sum, const struct matrix *w, int r, const float *x, int ld, int T)
{
	const float *value = dynamic8_signed()->value;
	const __m512 code = _mm512_loadu_ps(nf4_code);
	__m512 s[FEW_ROWS], even[FEW_ROWS], odd[FEW_ROWS];
	const int n = matrix_columns(w);
	size_t block = (size_t)r * (size_t)matrix_columns(w) / NF4_BLOCK;
	const unsigned char *at = (const unsigned char *)w->data + block * (NF4_BLOCK / 2);
	EACH(t, T)
		s[t] = _mm512_setzero_ps();
	for (int i = 0; i < n; i += FEW_TURN, at += FEW_TURN / 2, block += 2, x += FEW_TURN) {
		bool two = n - i >= FEW_TURN;
		float first = magnitude(w, block, value), second = two ? magnitude(w, block + 1, value) : 0;
		__m512 scale = _mm512_insertf32x8(_mm512_set1_ps(first), _mm256_set1_ps(second), 1);
		__m512i v = _mm512_maskz_loadu_epi32(two ? 0xffff : 0xff, at);
		_mm_prefetch(at + AHEAD, _MM_HINT_T0);
		EACH(t, T)
			even[t] = odd[t] = _mm512_setzero_ps();
		EACH(k, 4) {
			__m512 a = _mm512_permutexvar_ps(v, code);
			__m512 b = _mm512_permutexvar_ps(_mm512_srli_epi32(v, 4), code);
			v = _mm512_srli_epi32(v, 8);
			EACH(t, T) {
				const float *p = x + (size_t)t * (size_t)ld + 2 * k * WIDE;
				even[t] = _mm512_fmadd_ps(a, _mm512_loadu_ps(p), even[t]);
				odd[t] = _mm512_fmadd_ps(b, _mm512_loadu_ps(p + WIDE), odd[t]);
			}
		}
		EACH(t, T)
			s[t] = _mm512_fmadd_ps(_mm512_add_ps(even[t], odd[t]), scale, s[t]);
	}
	EACH(t, T)
		sum[t] = _mm512_reduce_add_ps(s[t]);
}

AVX512 static void
dots_nf4(float *sum, const struct matrix *w, int r, const float *x, int ld, int T)
{
	switch (T) {
	case 1:
		dots_blocks(sum, w, r, x, ld, 1);
		break;
	case 2:
		dots_blocks(sum, w, r, x, ld, 2);
		break;
	case 3:
		dots_blocks(sum, w, r, x, ld, 3);
		break;
	default:
		dots_blocks(sum, w, r, x, ld, 4);
	}
}

few_dots *
few_avx512(const struct matrix *w)
{
	static few_dots *const kernels[] = {[MATRIX_F32] = dots_f32, [MATRIX_BF16] = dots_bf16,
		[MATRIX_F16] = dots_f16, [MATRIX_INT8] = dots_int8, [MATRIX_NF4] = dots_nf4};
	if (few_plain || isa_best() < ISA_AVX512 || (w->form == MATRIX_NF4 && matrix_columns(w) % NF4_BLOCK))
		return NULL;
	return kernels[w->form];
}

#else

few_dots *
few_avx512(const struct matrix *w)
{
	(void)w;
	return NULL;
}

#endif

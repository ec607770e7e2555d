/* What the row kernels share: compilation for several instruction sets with the choice made when the
 * program starts, sums in a fixed order that the compiler can vectorise, and exp.
 *
 * The file's habit: a kernel is a static function over one row, marked HONE_SIMD; the exported function
 * runs it over rows in parallel. Rows are dealt out in fixed blocks, so one thread count gives one result. */
#ifndef HONE_MATH_SIMD_H
#define HONE_MATH_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Without the first, what a processor without AVX-512 computes can be measured on one that has it. */
#ifndef HONE_SIMD_LEVELS
#define HONE_SIMD_LEVELS "arch=x86-64-v4", "arch=x86-64-v3", "default"
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__)
#define HONE_SIMD __attribute__((target_clones(HONE_SIMD_LEVELS)))
#else
#define HONE_SIMD
#endif

#define HONE_INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };  /* partial sums kept apart: one AVX-512 register, two of AVX2 */

/* Work of fewer elements is not worth waking the other threads for. */
enum { PARALLEL_MIN = 1 << 14 };

HONE_INLINE float
lanes_sum(const float acc[LANES])
{
	float s = 0;
	for (int i = 0; i < LANES; i++)
		s += acc[i];
	return s;
}

HONE_INLINE float
row_dot(const float *a, const float *b, int n)
{
	float acc[LANES] = {0};
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] += a[i + j] * b[i + j];
	for (int j = 0; i < n; i++, j++)
		acc[j] += a[i] * b[i];
	return lanes_sum(acc);
}

/* Of a row with a NaN, any. ARM has an instruction for what fmaxf computes, and gcc makes no vectors of comparisons there; on
 * x86 it is the other way round. */
HONE_INLINE float
row_max(const float *a, int n)
{
#ifdef __aarch64__
	float m = a[0];
	for (int i = 1; i < n; i++)
		m = fmaxf(m, a[i]);
	return m;
#else
	float acc[LANES];
	for (int j = 0; j < LANES; j++)
		acc[j] = a[0];
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] = a[i + j] > acc[j] ? a[i + j] : acc[j];
	for (; i < n; i++)
		acc[0] = a[i] > acc[0] ? a[i] : acc[0];
	float m = acc[0];
	for (int j = 1; j < LANES; j++)
		m = acc[j] > m ? acc[j] : m;
	return m;
#endif
}

/* e^x in fp32 within 1.2e-7 relative; beyond where the result is a normal number it is that of the last argument within.
 * x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its Taylor sum to the seventh power; 2^n by its bits. What lies beyond is told
 * from the rest at the end: choices before the sum would have compilers compute with parts of a vector. */
HONE_INLINE float
exp_f32(float x)
{
	const float magic = 12582912.0f;  /* 1.5 * 2^23: adding it rounds to a whole number */
	float t = x * 1.44269504088896341f + magic, n = t - magic;
	float r = x - n * 0.693359375f;
	r = r - n * -2.12194440e-4f;
	float p = 1.98412698e-4f;
	p = p * r + 1.38888889e-3f;
	p = p * r + 8.33333333e-3f;
	p = p * r + 4.16666667e-2f;
	p = p * r + 1.66666667e-1f;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	uint32_t bits;
	memcpy(&bits, &t, sizeof bits);
	bits = (bits + 127) << 23;  /* n is in the low bits of t; so no conversion, which a NaN would not have */
	float scale;
	memcpy(&scale, &bits, sizeof scale);
	float e = p * scale;
	e = x < -87.0f ? 1.64581145e-38f : e;
	return x > 88.0f ? 1.65163627e38f : e;
}

/* row[i] = e^(row[i] - max); returns their sum. */
HONE_INLINE float
row_exp_sum(float *row, float max, int n)
{
	float acc[LANES] = {0};
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++) {
			row[i + j] = exp_f32(row[i + j] - max);
			acc[j] += row[i + j];
		}
	for (int j = 0; i < n; i++, j++) {
		row[i] = exp_f32(row[i] - max);
		acc[j] += row[i];
	}
	return lanes_sum(acc);
}

#endif

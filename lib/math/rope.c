#include "math/rope.h"

#include <math.h>
#include <stddef.h>

#include "math/gemm.h"
#include "math/simd.h"

/* Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, those between blended. */
static float
llama3_frequency(float f, const struct rope *r)
{
	float wavelength = 6.283185307179586f / f;
	float low = (float)r->original_max_position / (float)r->low_freq_factor;
	float high = (float)r->original_max_position / (float)r->high_freq_factor;
	if (wavelength > low)
		return f / (float)r->factor;
	if (wavelength < high)
		return f;
	float smooth = ((float)r->original_max_position / wavelength - (float)r->low_freq_factor) /
		(float)(r->high_freq_factor - r->low_freq_factor);
	return (1 - smooth) * f / (float)r->factor + smooth * f;
}

void
rope_frequencies(float *freq, const struct rope *r)
{
	for (int i = 0; i < r->rotary / 2; i++) {
		float exponent = (float)(2 * i) / (float)r->rotary;
		float f = 1.0f / (float)pow(r->theta, exponent);
		if (r->type == ROPE_LINEAR)
			f /= (float)r->factor;
		else if (r->type == ROPE_LLAMA3)
			f = llama3_frequency(f, r);
		freq[i] = f;
	}
}

void
rope_table(float *cos_, float *sin_, const float *freq, int positions, int rotary)
{
	int half = rotary / 2;
	for (int p = 0; p < positions; p++)
		for (int i = 0; i < half; i++) {
			float angle = (float)p * freq[i];
			cos_[(size_t)p * (size_t)half + (size_t)i] = (float)cos((double)angle);
			sin_[(size_t)p * (size_t)half + (size_t)i] = (float)sin((double)angle);
		}
}

HONE_SIMD static void
turn_head(float *x, const float *cos_, const float *sin_, int half, float sign)
{
	for (int i = 0; i < half; i++) {
		float a = x[i], b = x[i + half], s = sign * sin_[i];
		x[i] = a * cos_[i] - b * s;
		x[i + half] = b * cos_[i] + a * s;
	}
}

static void
turn_row(struct heads x, const float *cos_, const float *sin_, int t, int n, int rotary, float sign)
{
	float *buf = math_scratch();
	for (int h = 0; h < n; h++) {
		float *head = row_begin(x.rows, t, h * x.stride, buf);
		row_load(x.rows, t, h * x.stride, rotary, buf);
		turn_head(head, cos_, sin_, rotary / 2, sign);
		row_store(x.rows, t, h * x.stride, rotary, head);
	}
}

void
rope_apply(struct heads x, const float *cos_, const float *sin_, const int32_t *pos, int T, int n, int rotary,
	float sign)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)n * (size_t)rotary > PARALLEL_MIN)
	for (int t = 0; t < T; t++) {
		size_t at = (size_t)pos[t] * (size_t)(rotary / 2);
		turn_row(x, cos_ + at, sin_ + at, t, n, rotary, sign);
	}
}

#include "math/rope.h"

#include <math.h>
#include <stddef.h>

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

/* The dimension whose frequency makes so many turns within the original context. */
static double
yarn_dimension(const struct rope *r, double turns)
{
	return r->rotary * log(r->original_max_position / (turns * 2 * 3.14159265358979323846)) / (2 * log(r->theta));
}

/* Where the blend begins and ends. */
static void
yarn_range(const struct rope *r, double *low, double *high)
{
	*low = yarn_dimension(r, r->beta_fast);
	*high = yarn_dimension(r, r->beta_slow);
	if (r->truncate) {
		*low = floor(*low);
		*high = ceil(*high);
	}
	*low = fmax(*low, 0);
	*high = fmin(*high, r->rotary - 1);
	if (*low == *high)
		*high += 0.001;
}

static float
yarn_frequency(float period, int i, const struct rope *r)
{
	double low, high;
	yarn_range(r, &low, &high);
	float ramp = ((float)i - (float)low) / (float)(high - low);
	float kept = 1 - fminf(fmaxf(ramp, 0), 1);
	return 1.0f / ((float)r->factor * period) * (1 - kept) + 1.0f / period * kept;
}

/* NTK scaling by the length of the document (bloc97 and emozilla). */
static double
dynamic_base(const struct rope *r, int length)
{
	double n = length > r->original_max_position ? length : r->original_max_position;
	double stretch = r->factor * n / r->original_max_position - (r->factor - 1);
	return r->theta * pow(stretch, r->rotary / (r->rotary - 2.0));
}

bool
rope_varies(const struct rope *r, int max_len)
{
	return (r->type == ROPE_DYNAMIC || r->type == ROPE_LONGROPE) && max_len > r->original_max_position;
}

void
rope_frequencies(float *freq, const struct rope *r, int length)
{
	double base = r->type == ROPE_DYNAMIC ? dynamic_base(r, length) : r->theta;
	const float *own = length > r->original_max_position ? r->long_factor : r->short_factor;
	for (int i = 0; i < r->rotary / 2; i++) {
		float period = (float)pow(base, (float)(2 * i) / (float)r->rotary), f = 1.0f / period;
		if (r->type == ROPE_LINEAR)
			f /= (float)r->factor;
		else if (r->type == ROPE_LLAMA3)
			f = llama3_frequency(f, r);
		else if (r->type == ROPE_YARN)
			f = yarn_frequency(period, i, r);
		else if (r->type == ROPE_LONGROPE)
			f = 1.0f / (own[i] * period);
		freq[i] = f;
	}
}

void
rope_table(float *cos_, float *sin_, const float *freq, const int32_t *pos, int n, const struct rope *r)
{
	size_t half = (size_t)r->rotary / 2;
#pragma omp parallel for schedule(static) if ((size_t)n * half > PARALLEL_MIN)
	for (int p = 0; p < n; p++)
		for (size_t i = 0; i < half; i++) {
			float angle = (float)(pos ? pos[p] : p) * freq[i];
			cos_[(size_t)p * half + i] = (float)cos((double)angle) * r->attention_factor;
			sin_[(size_t)p * half + i] = (float)sin((double)angle) * r->attention_factor;
		}
}

/* n heads of one type, `stride` elements apart. */
HONE_INLINE void
turn_typed(void *x, enum num type, int stride, int n, const float *cos_, const float *sin_, int half, float sign)
{
	for (int h = 0; h < n; h++) {
		size_t first = (size_t)h * (size_t)stride, second = first + (size_t)half;
#pragma GCC ivdep
		for (int i = 0; i < half; i++) {
			float a = num_load(x, first + (size_t)i, type), b = num_load(x, second + (size_t)i, type), s = sign * sin_[i];
			num_store(x, first + (size_t)i, type, a * cos_[i] - b * s);
			num_store(x, second + (size_t)i, type, b * cos_[i] + a * s);
		}
	}
}

HONE_SIMD static void
turn_heads(void *x, enum num type, int stride, int n, const float *cos_, const float *sin_, int half, float sign)
{
	if (type == NUM_F32)
		turn_typed(x, NUM_F32, stride, n, cos_, sin_, half, sign);
	else
		turn_typed(x, NUM_BF16, stride, n, cos_, sin_, half, sign);
}

void
rope_apply(struct heads x, const float *cos_, const float *sin_, const int32_t *at, int T, int n, int rotary,
	float sign)
{
#pragma omp parallel for schedule(static) if ((size_t)T * (size_t)n * (size_t)rotary > PARALLEL_MIN)
	for (int t = 0; t < T; t++) {
		size_t first = (size_t)at[t] * (size_t)(rotary / 2);
		row_ahead(x.rows, t + 1, 0, n * x.stride);
		turn_heads(rows_at(x.rows, t, 0).data, x.rows.type, x.stride, n, cos_ + first, sin_ + first, rotary / 2, sign);
	}
}

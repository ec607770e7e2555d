#include "math/dynamic8.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "math/simd.h"

/* ---- the maps ---- */

enum { DECADES = 7 };

/* The values above zero, ascending; returns how many. */
static int
positive_values(float *v, int steps_of_lowest)
{
	int n = 0;
	for (int i = 0; i < DECADES; i++) {
		int steps = steps_of_lowest << i;
		for (int j = 0; j < steps; j++)
			v[n++] = (float)(pow(10, i - (DECADES - 1)) * (0.1 + 0.9 * (j + 0.5) / steps));
	}
	v[n++] = 1;
	return n;
}

static void
make_map(struct dynamic8 *d, bool has_sign)
{
	float positive[256];
	int n = positive_values(positive, has_sign ? 1 : 2);
	d->zero = has_sign ? n - 1 : 0;  /* -1 has no code */
	for (int k = 0; k < n; k++) {
		d->value[d->zero + 1 + k] = positive[k];
		if (d->zero && k < n - 1)
			d->value[d->zero - 1 - k] = -positive[k];
		d->border[k] = 0.5f * (positive[k] + (k ? positive[k - 1] : 0));
	}
	for (int k = n; k < 256; k++)
		d->border[k] = INFINITY;
	for (int i = 0, k = 0; i < DYNAMIC8_CELLS; i++) {
		uint32_t bits = (uint32_t)(DYNAMIC8_LOWEST + i) << 16;
		float least;
		memcpy(&least, &bits, sizeof least);
		while (least > d->border[k])
			k++;
		d->cell[i] = k;
	}
}

const struct dynamic8 *
dynamic8_signed(void)
{
	static struct dynamic8 d;
	if (!d.zero)
		make_map(&d, true);
	return &d;
}

const struct dynamic8 *
dynamic8_unsigned(void)
{
	static struct dynamic8 d;
	if (d.value[255] == 0)
		make_map(&d, false);
	return &d;
}

/* ---- numbers in and out ----
 * `restrict`, and codes of int on the way: bytes may alias anything, and nothing would become a vector. */

HONE_SIMD void
dynamic8_read(float *restrict x, const uint8_t *restrict code, float max, int n, const struct dynamic8 *restrict d)
{
	for (int i = 0; i < n; i++)
		x[i] = d->value[code[i]] * max;
}

HONE_INLINE float
magnitude(const float *x, int n)
{
	float acc[LANES] = {0}, max = 0;
	int i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int j = 0; j < LANES; j++)
			acc[j] = fabsf(x[i + j]) > acc[j] ? fabsf(x[i + j]) : acc[j];
	for (; i < n; i++)
		acc[0] = fabsf(x[i]) > acc[0] ? fabsf(x[i]) : acc[0];
	for (int j = 0; j < LANES; j++)
		max = acc[j] > max ? acc[j] : max;
	return max;
}

/* A magnitude's cell tells its code but for one border, with which it is compared. */
HONE_INLINE void
find_codes(int32_t *restrict code, const float *restrict x, float scale, int n, const struct dynamic8 *restrict d)
{
	const int zero = d->zero;
	for (int i = 0; i < n; i++) {
		float y = x[i] * scale, a = fabsf(y);
		a = a < 1 ? a : 1;
		int32_t bits;
		memcpy(&bits, &a, sizeof bits);
		int cell = (bits >> 16) - DYNAMIC8_LOWEST;
		int k = d->cell[cell > 0 ? cell : 0];
		k += a > d->border[k] ? 1 : 0;
		int negative = k < zero ? -k : -zero;
		code[i] = zero + (y < 0 ? negative : k);
	}
}

HONE_SIMD float
dynamic8_write(uint8_t *restrict code, const float *restrict x, int n, const struct dynamic8 *restrict d)
{
	int32_t wide[DYNAMIC8_BLOCK];
	float max = magnitude(x, n), scale = max > 0 ? 1 / max : 0;
	if (scale > 3e38f)  /* of a denormal maximum: all of it is nothing */
		max = scale = 0;
	find_codes(wide, x, scale, n, d);
	for (int i = 0; i < n; i++)
		code[i] = (uint8_t)wide[i];
	return max;
}

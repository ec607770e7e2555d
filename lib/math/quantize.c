#include "math/quantize.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "math/dynamic8.h"
#include "math/gemm.h"
#include "math/simd.h"

static size_t
elements(const struct matrix *m)
{
	return (size_t)m->out * (size_t)m->in;
}

static size_t
units(size_t n, size_t unit)
{
	return (n + unit - 1) / unit;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The memory of a matrix, which those who multiply with it only read. */
static void *
writable(const void *p)
{
	return (void *)(uintptr_t)p;
}

void
quantize_place(struct matrix *m, enum matrix_form form, struct arena *a)
{
	m->form = form;
	if (form == MATRIX_INT8) {
		m->data = ARENA_TAKE(a, int8_t, elements(m));
		m->scale = ARENA_TAKE(a, float, (size_t)matrix_rows(m));
		return;
	}
	size_t blocks = units(elements(m), NF4_BLOCK);
	m->data = ARENA_TAKE(a, uint8_t, units(elements(m), 2));
	m->block = ARENA_TAKE(a, uint8_t, blocks);
	m->scale = ARENA_TAKE(a, float, 1 + units(blocks, DYNAMIC8_BLOCK));
}

/* The bits of the largest magnitude. As whole numbers they are in the order of the magnitudes, and infinities and NaN
 * come last, so that none is overlooked. */
HONE_SIMD static uint32_t
largest(const float *x, int n)
{
	uint32_t max = 0;
	for (int i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bits &= 0x7fffffff;
		max = bits > max ? bits : max;
	}
	return max;
}

/* Whether it is a magnitude at all; *max is the divisor that brings all elements into [-1, 1]. */
static bool
magnitude(uint32_t bits, float *max)
{
	memcpy(max, &bits, sizeof bits);
	return bits < 0x7f800000;
}

/* ---- 8 bits ---- */

HONE_SIMD static void
encode_int8(int8_t *to, const float *x, int n, float max)
{
	const float magic = 12582912.0f;  /* 1.5 * 2^23: adding it rounds to a whole number, its low bits */
	for (int i = 0; i < n; i++) {
		float t = x[i] / max * 127 + magic;
		uint32_t bits;
		memcpy(&bits, &t, sizeof bits);
		to[i] = (int8_t)(uint8_t)bits;
	}
}

/* A row that is longer than the scratch is read twice, in pieces. */
static bool
quantize_row(const struct matrix *m, int r, quantize_read *read, void *ctx)
{
	size_t n = (size_t)matrix_columns(m), first = (size_t)r * n, k = 0;
	int8_t *to = (int8_t *)writable(m->data) + first;
	float *x = math_scratch(), max;
	uint32_t bits = 0;
	for (size_t at = 0; at < n; at += k) {
		k = smaller(n - at, MATH_SCRATCH);
		read(ctx, first + at, k, x);
		uint32_t most = largest(x, (int)k);
		bits = most > bits ? most : bits;
	}
	if (!magnitude(bits, &max))
		return false;
	((float *)writable(m->scale))[r] = max / 127;
	for (size_t at = 0; at < n; at += k) {
		k = smaller(n - at, MATH_SCRATCH);
		if (k < n)
			read(ctx, first + at, k, x);
		encode_int8(to + at, x, (int)k, max > 0 ? max : 1);
	}
	return true;
}

static int
quantize_int8(const struct matrix *m, quantize_read *read, void *ctx)
{
	bool ok = true;
#pragma omp parallel for schedule(dynamic) reduction(&& : ok)
	for (int r = 0; r < matrix_rows(m); r++)
		ok = quantize_row(m, r, read, ctx) && ok;
	return ok ? 0 : -1;
}

/* ---- 4 bits ---- */

/* How many borders, which lie midway between two neighbours of nf4_code, an element is beyond. */
HONE_SIMD static void
nearest_codes(uint8_t *code, const float *x, int n, float max)
{
	float border[15];
	for (int k = 0; k < 15; k++)
		border[k] = 0.5f * (nf4_code[k] + nf4_code[k + 1]);
	for (int i = 0; i < n; i++) {
		float y = x[i] / max;
		int c = 0;
		for (int k = 0; k < 15; k++)
			c += y > border[k];
		code[i] = (uint8_t)c;
	}
}

/* Pairs of codes, the first one in the high half. */
HONE_SIMD static void
pack(uint8_t *to, const uint8_t *code, int n)
{
	for (int i = 0; i < n; i++) {
		uint16_t pair;  /* little-endian: the first is the low half of it */
		memcpy(&pair, code + 2 * i, sizeof pair);
		to[i] = (uint8_t)(pair << 4 | pair >> 8);
	}
}

static bool
encode_block(uint8_t *to, const float *x, int n, float *max)
{
	uint8_t code[NF4_BLOCK + 1] = {0};
	if (!magnitude(largest(x, n), max))
		return false;
	nearest_codes(code, x, n, *max > 0 ? *max : 1);
	pack(to, code, (n + 1) / 2);
	return true;
}

enum { PIECE = 64 * NF4_BLOCK };  /* elements that a thread takes at a time */

static bool
encode_piece(const struct matrix *m, size_t first, float *max, quantize_read *read, void *ctx)
{
	float x[PIECE];
	size_t n = smaller(elements(m) - first, PIECE), k = 0;
	bool ok = true;
	read(ctx, first, n, x);
	for (size_t at = 0; at < n; at += k) {
		k = smaller(n - at, NF4_BLOCK);
		uint8_t *to = (uint8_t *)writable(m->data) + (first + at) / 2;
		ok = encode_block(to, x + at, (int)k, &max[(first + at) / NF4_BLOCK]) && ok;
	}
	return ok;
}

/* The second quantisation. The mean is one of all blocks, added up in their order. */
static void
encode_magnitudes(const struct matrix *m, float *max, size_t blocks)
{
	float *scale = writable(m->scale);
	double sum = 0;
	size_t n = 0;
	for (size_t b = 0; b < blocks; b++)
		sum += (double)max[b];
	scale[0] = blocks ? (float)(sum / (double)blocks) : 0;
	for (size_t b = 0; b < blocks; b++)
		max[b] -= scale[0];
	for (size_t b = 0; b < blocks; b += n) {
		n = smaller(blocks - b, DYNAMIC8_BLOCK);
		scale[1 + b / DYNAMIC8_BLOCK] =
			dynamic8_write((uint8_t *)writable(m->block) + b, max + b, (int)n, dynamic8_signed());
	}
}

static int
quantize_nf4(const struct matrix *m, quantize_read *read, void *ctx)
{
	size_t n = elements(m), blocks = units(n, NF4_BLOCK);
	float *max = xreallocarray(NULL, blocks, sizeof *max);
	bool ok = true;
#pragma omp parallel for schedule(dynamic) reduction(&& : ok)
	for (size_t first = 0; first < n; first += PIECE)
		ok = encode_piece(m, first, max, read, ctx) && ok;
	if (ok)
		encode_magnitudes(m, max, blocks);
	free(max);
	return ok ? 0 : -1;
}

int
quantize(const struct matrix *m, quantize_read *read, void *ctx)
{
	return m->form == MATRIX_INT8 ? quantize_int8(m, read, ctx) : quantize_nf4(m, read, ctx);
}

/* The rate of products of which all operands are in registers: what no real product can pass. */
#ifndef HONE_BENCH_PRODUCTS_PEAK_H
#define HONE_BENCH_PRODUCTS_PEAK_H

#include <omp.h>
#include <string.h>

#include "math/bf16.h"

#ifdef __x86_64__
#include <immintrin.h>

/* 4 products of 16 x 16 x 32 a turn, each with sums of its own. */
__attribute__((target("amx-tile,amx-bf16"))) static double
turn_tiles(long turns)
{
	static const struct {
		unsigned char palette, start_row, reserved[14];
		unsigned short row_bytes[16];
		unsigned char rows[16];
	} config = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
	_tile_loadconfig(&config);
	for (long i = 0; i < turns; i++) {
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	_tile_release();
	return 4.0 * 2 * 16 * 16 * 32 * (double)turns;
}

/* 20 vectors of sums; the products are of zeros, which takes no less time. */
__attribute__((target("avx512f,avx512bf16"))) static double
turn_vectors(long turns)
{
	__m512 c[20];
	__m512bh a = (__m512bh)_mm512_setzero_si512();
	for (int i = 0; i < 20; i++)
		c[i] = _mm512_setzero_ps();
	for (long t = 0; t < turns; t++) {
#pragma GCC unroll 20
		for (int i = 0; i < 20; i++)
			c[i] = _mm512_dpbf16_ps(c[i], a, a);
		__asm__ volatile("" : "+v"(a));
	}
	for (int i = 0; i < 20; i++)
		__asm__ volatile("" : : "v"(c[i]));
	return 20.0 * 2 * 32 * (double)turns;
}

/* The best of this call and those before it: asked again beside every product, it finds the machine at rest at least as
 * often as the products do. */
static double
peak_rate(void)
{
	bool tiles = strcmp(bf16_isa(), "amx") == 0;
	static double best;
	if (!tiles && strcmp(bf16_isa(), "avx512bf16") != 0)
		return 0;
	for (int i = 0; i < 3; i++) {
		double done = 0, start = omp_get_wtime(), all;
#pragma omp parallel reduction(+ : done)
		done += tiles ? turn_tiles(400000) : turn_vectors(3000000);
		all = 1e-9 * done / (omp_get_wtime() - start);
		best = all > best ? all : best;
	}
	return best;
}

#else

static double
peak_rate(void)
{
	return 0;
}

#endif

#endif

/* The tile instructions of lib/math/amx.h, in C: what Intel's Instruction Set Extensions reference says they compute, for
 * eight tiles of up to 16 rows of 64 bytes. One thread at a time has its own tiles. */
#ifndef HONE_TESTS_TILES_EMULATED_H
#define HONE_TESTS_TILES_EMULATED_H

#include <assert.h>
#include <string.h>

#include "math/rows.h"

#define TILES_EMULATED
#define AMX_KERNEL bf16_amx_emulated
#define AMX_F32_KERNEL f32_amx_emulated
#define AMX_OUTER bf16_outer_amx_emulated
#define AMX AVX512
#define AMX_INLINE AVX512_INLINE

static _Thread_local unsigned char tiles[8][16][64];
static _Thread_local int tile_rows[8], tiles_configured;

static inline void
tile_config(const void *config)
{
	const unsigned char *c = config;
	assert(c[0] == 1 && c[1] == 0);
	for (int t = 0; t < 8; t++)
		assert(c[16 + 2 * t] == 64 && c[17 + 2 * t] == 0 && (tile_rows[t] = c[48 + t]) > 0 && c[48 + t] <= 16);
	tiles_configured = 1;
	memset(tiles, 0, sizeof tiles);
}

static inline void
tile_release(void)
{
	tiles_configured = 0;
	memset(tiles, 0xff, sizeof tiles);  /* NaN, should anything read them */
}

static inline void
tile_zero(int t)
{
	assert(tiles_configured);
	memset(tiles[t], 0, sizeof tiles[t]);
}

static inline void
tile_load(int t, const void *from, size_t stride)
{
	assert(tiles_configured);
	for (int i = 0; i < tile_rows[t]; i++)
		memcpy(tiles[t][i], (const char *)from + (size_t)i * stride, 64);
}

static inline void
tile_store(int t, void *to, size_t stride)
{
	assert(tiles_configured);
	for (int i = 0; i < tile_rows[t]; i++)
		memcpy((char *)to + (size_t)i * stride, tiles[t][i], 64);
}

/* TDPBF16PS: even and odd elements of k are summed apart, by fused multiply-adds; then both to the element of C. */
static inline void
tile_multiply(int c, int a, int b)
{
	assert(tile_rows[c] == tile_rows[a] && tile_rows[b] == 16);
	for (int m = 0; m < tile_rows[c]; m++)
		for (int n = 0; n < 16; n++) {
			float sum[2] = {0, 0}, old;
			for (int k = 0; k < 32; k++) {
				uint16_t x, y;
				memcpy(&x, &tiles[a][m][2 * k], sizeof x);
				memcpy(&y, &tiles[b][k / 2][4 * n + 2 * (k % 2)], sizeof y);
				sum[k % 2] += bf16_to_f32(x) * bf16_to_f32(y);  /* the product is exact, so this is fused */
			}
			memcpy(&old, &tiles[c][m][4 * n], sizeof old);
			old += sum[0] + sum[1];
			memcpy(&tiles[c][m][4 * n], &old, sizeof old);
		}
}

#endif

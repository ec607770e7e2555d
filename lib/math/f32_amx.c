/* Products in fp32 of three numbers in bf16 each (math/f32_split.h): Henry, Tang and Heinecke, Leveraging the bfloat16
 * Artificial Intelligence Datatype For Higher-Precision Computations, 2019. Of the nine products of such the six largest are
 * summed. Those left out, middle x low, low x middle and low x low, are 2^-24 of the product at most, where middle is 2^-8 of
 * its number and low 2^-17, and in the mean 2^-27. */
#include "math/bf16_kernel.h"

#ifdef __x86_64__

#include "math/amx_sums.h"
#include "math/f32_kernel.h"
#include "math/f32_split.h"

enum {
	DEPTH = 640,
	TILE = 16 * TILE_STEP,           /* elements of a tile of A, */
	LINE = 2 * PANEL,                /* and of a row of one of B, */
	B_STRIDE = SPLITS * LINE * (int)sizeof(uint16_t),
	STEP = SPLITS * TILE,            /* and of either side in a step */
};

/* A tile of A, of the upper 16 rows or of those below, meets both of B that are loaded. */
AMX_INLINE void
load_upper(const uint16_t *a, bool two_columns)
{
	tile_load(4, a, 64);
	tile_multiply(0, 4, 6);
	if (two_columns)
		tile_multiply(1, 4, 7);
}

AMX_INLINE void
load_lower(const uint16_t *a, bool two_rows, bool two_columns)
{
	if (two_rows)
		tile_load(5, a, 64);
	if (two_rows)
		tile_multiply(2, 5, 6);
	if (two_rows && two_columns)
		tile_multiply(3, 5, 7);
}

/* A tile of B, of the left panel or of the right one, meets both of A. */
AMX_INLINE void
load_left(const uint16_t *b, bool two_rows)
{
	tile_load(6, b, B_STRIDE);
	tile_multiply(0, 4, 6);
	if (two_rows)
		tile_multiply(2, 5, 6);
}

AMX_INLINE void
load_right(const uint16_t *b, bool two_rows, bool two_columns)
{
	if (two_columns)
		tile_load(7, b, B_STRIDE);
	if (two_columns)
		tile_multiply(1, 4, 7);
	if (two_rows && two_columns)
		tile_multiply(3, 5, 7);
}

/* A step along k: 24 products of 14 loads, the least that four tiles besides the sums allow in this order, in which the large
 * products come last. Each tile is set to zero once it has been used (math/bf16_amx.c). */
AMX_INLINE void
step(const uint16_t *a0, const uint16_t *a1, const uint16_t *b0, const uint16_t *b1, bool two_rows, bool two_columns)
{
	tile_load(6, b0 + HIGH * LINE, B_STRIDE);
	if (two_columns)
		tile_load(7, b1 + HIGH * LINE, B_STRIDE);
	load_upper(a0 + LOW * TILE, two_columns);
	tile_zero(4);
	load_lower(a1 + LOW * TILE, two_rows, two_columns);
	tile_zero(5);
	load_upper(a0 + MIDDLE * TILE, two_columns);
	load_lower(a1 + MIDDLE * TILE, two_rows, two_columns);
	tile_zero(6);
	tile_zero(7);
	load_left(b0 + MIDDLE * LINE, two_rows);
	load_right(b1 + MIDDLE * LINE, two_rows, two_columns);
	tile_zero(4);
	tile_zero(5);
	load_upper(a0 + HIGH * TILE, two_columns);
	load_lower(a1 + HIGH * TILE, two_rows, two_columns);
	tile_zero(6);
	tile_zero(7);
	load_left(b0 + LOW * LINE, two_rows);
	tile_zero(6);
	load_right(b1 + LOW * LINE, two_rows, two_columns);
	tile_zero(7);
	load_left(b0 + HIGH * LINE, two_rows);
	tile_zero(6);
	load_right(b1 + HIGH * LINE, two_rows, two_columns);
	tile_zero(4);
	tile_zero(5);
	tile_zero(7);
}

/* Both conditions are constants where this is expanded. */
AMX_INLINE void
tile(struct tile_state *s, const struct tile_job *t, bool two_rows, bool two_columns)
{
	const uint16_t *a0 = t->a, *a1 = a0 + 16 * t->lda * SPLITS, *b0 = t->b, *b1 = b0 + t->panel * SPLITS;
	int steps = t->k / TILE_STEP;
	zero_sums();
	for (int i = 1; i <= steps; i++, a0 += STEP, a1 += STEP, b0 += STEP, b1 += STEP) {
		step(a0, a1, b0, b1, two_rows, two_columns);
		after_step(s, t, i, steps);
	}
	finish_sums(s, t, two_rows, two_columns);
}

AMX static void
run(struct tile_state *s, const struct tile_job *t)
{
	for_shape(tile, s, t);
}

const struct tile_kernel AMX_F32_KERNEL = {
	.name = "amx",
	.type = NUM_F32,
	.size = SPLITS * sizeof(uint16_t),
	.rows = TILE_ROWS_MAX,
	.k_unit = TILE_STEP,
	.depth = DEPTH,
	.whole_tiles = true,
	.adds = true,
	.packs_a = true,
	.begin = amx_begin,
	.tile = run,
	.end = amx_end,
	.pack_a = f32_split_pack_a,
	.pack_b = f32_split_pack_b,
	.small = &f32_avx512,
};

#endif

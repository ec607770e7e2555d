/* A step of 32 along k loads two tiles of A, two of B and multiplies each with each, so that loading takes half the time of
 * multiplying when it comes from the first- and second-level caches. */
#include "math/bf16_kernel.h"

#if defined __x86_64__

#include "math/amx_sums.h"
#include "math/bf16_outer.h"
#include "math/bf16_pack.h"

AMX_INLINE void
load_sums(const float *from, size_t ld, bool two_rows, bool two_columns)
{
	size_t stride = ld * sizeof *from;
	tile_load(0, from, stride);
	if (two_columns)
		tile_load(1, from + PANEL, stride);
	if (two_rows)
		tile_load(2, from + 16 * ld, stride);
	if (two_rows && two_columns)
		tile_load(3, from + 16 * ld + PANEL, stride);
}

/* Tiles 4 and 5 hold A, 6 and 7 B. Each is set to zero as soon as this step is done with it, and loaded late: a tile of
 * zeros takes no physical register, of which a core that two threads share has too few for each to run ahead with. Then a
 * step takes little more than half the time that it takes with tiles that are only overwritten; otherwise, the same. */
AMX_INLINE void
multiply(struct tile_state *s, const struct tile_job *t, bool two_rows, bool two_columns)
{
	const uint16_t *a0 = t->a, *a1 = a0 + 16 * t->lda, *b0 = t->b, *b1 = b0 + t->panel;
	const size_t stride = t->lda * sizeof *a0, b_step = TILE_STEP * PANEL;
	int steps = t->k / TILE_STEP;
	for (int i = 1; i <= steps; i++, a0 += TILE_STEP, a1 += TILE_STEP, b0 += b_step, b1 += b_step) {
		tile_load(4, a0, stride);
		tile_load(6, b0, 64);
		if (two_columns)
			tile_load(7, b1, 64);
		tile_multiply(0, 4, 6);
		if (two_columns)
			tile_multiply(1, 4, 7);
		tile_zero(4);
		if (two_rows) {
			tile_load(5, a1, stride);
			tile_multiply(2, 5, 6);
		}
		tile_zero(6);
		if (two_rows && two_columns)
			tile_multiply(3, 5, 7);
		tile_zero(5);
		tile_zero(7);
		after_step(s, t, i, steps);
	}
}

/* Both conditions are constants where this is expanded. */
AMX_INLINE void
tile(struct tile_state *s, const struct tile_job *t, bool two_rows, bool two_columns)
{
	if (t->first)
		zero_sums();
	else
		load_sums(t->partial, t->ld_partial, two_rows, two_columns);
	multiply(s, t, two_rows, two_columns);
	if (!t->last) {
		store_sums(t->partial, t->ld_partial, two_rows, two_columns);
		return;
	}
	finish_sums(s, t, two_rows, two_columns);
}

AMX static void
run(struct tile_state *s, const struct tile_job *t)
{
	for_shape(tile, s, t);
}

const struct tile_kernel AMX_KERNEL = {
	.name = "amx",
	.type = NUM_BF16,
	.size = sizeof(uint16_t),
	.rows = TILE_ROWS_MAX,
	.k_unit = TILE_STEP,
	.depth = BF16_DEPTH,
	.whole_tiles = true,
	.begin = amx_begin,
	.tile = run,
	.end = amx_end,
	.pack_a = bf16_pack_a,
	.pack_b = bf16_pack_b,
	.outer = &AMX_OUTER,
};

#endif

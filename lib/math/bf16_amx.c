/* A tile of C is 2 x 2 of the processor's tiles, 16 x 16 fp32 each. A step of 32 along k loads two tiles of A, two of
 * B and multiplies each with each, so that loading takes half the time of multiplying when it comes from the first-
 * and second-level caches.
 *
 * The sums must pass through memory on their way to C (a tile can only be stored as it is). They are scaled, rounded
 * and stored while the next tile is being multiplied, some rows at every step: the vector units have nothing else to
 * do then. */
#include "math/bf16_kernel.h"

#if defined __x86_64__

#include "math/amx.h"
#include "math/bf16_outer.h"
#include "math/bf16_pack.h"

/* Rows of the last tile's sums to C, up to but not including `upto`. */
AMX_INLINE void
store_pending(struct tile_state *s, int upto)
{
	if (upto > s->out.rows)
		upto = s->out.rows;
	if (s->stored < upto) {
		store_rows(&s->out, s->sum[s->at], s->stored, upto);
		s->stored = upto;
	}
}

/* Asks for rows of C before they are stored to: a store that waits for its line holds up all those behind it, and so the
 * sums of the next tiles. */
AMX_INLINE void
ask_for_rows(const struct tile_out *o, int from, int upto)
{
	for (int i = from; i < upto && i < o->rows; i++) {
		const char *row = rows_at(o->c, i, 0).data;
		_mm_prefetch(row, _MM_HINT_T0);
		if (o->c.type == NUM_F32)
			_mm_prefetch(row + 64, _MM_HINT_T0);
	}
}

/* The sums are tiles 0 and 1 above 2 and 3. */
AMX_INLINE void
zero_sums(void)
{
	tile_zero(0);
	tile_zero(1);
	tile_zero(2);
	tile_zero(3);
}

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

AMX_INLINE void
store_sums(float *to, size_t ld, bool two_rows, bool two_columns)
{
	size_t stride = ld * sizeof *to;
	tile_store(0, to, stride);
	if (two_columns)
		tile_store(1, to + PANEL, stride);
	if (two_rows)
		tile_store(2, to + 16 * ld, stride);
	if (two_rows && two_columns)
		tile_store(3, to + 16 * ld + PANEL, stride);
}

/* Tiles 4 and 5 hold A, 6 and 7 B. Each is set to zero as soon as this step is done with it, and loaded late: a tile of
 * zeros takes no physical register, of which a core that two threads share has too few for each to run ahead with. Then a
 * step takes little more than half the time that it takes with tiles that are only overwritten; otherwise, the same. */
AMX_INLINE void
multiply(struct tile_state *s, const struct tile_job *t, bool two_rows, bool two_columns)
{
	const uint16_t *a0 = t->a, *a1 = a0 + 16 * t->lda, *b0 = t->b, *b1 = b0 + t->panel;
	const size_t stride = t->lda * sizeof *a0, b_step = TILE_STEP * PANEL;
	int steps = t->k / TILE_STEP, each = (TILE_ROWS_MAX + steps - 1) / steps;
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
		store_pending(s, i * each);
		if (t->last)
			ask_for_rows(&t->out, (i - 1) * each, i * each);
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
	s->at ^= 1;
	s->out = t->out;
	s->stored = 0;
	store_sums(s->sum[s->at], TILE_COLUMNS, two_rows, two_columns);
}

AMX static void
run(struct tile_state *s, const struct tile_job *t)
{
	bool two_rows = t->out.rows > 16, two_columns = t->out.columns > PANEL;
	if (two_rows && two_columns)
		tile(s, t, true, true);
	else if (two_rows)
		tile(s, t, true, false);
	else if (two_columns)
		tile(s, t, false, true);
	else
		tile(s, t, false, false);
}

AMX static void
begin(struct tile_state *s)
{
	tile_config(&tiles_of_16);
	s->at = 0;
	s->stored = s->out.rows = 0;
}

AMX static void
end(struct tile_state *s)
{
	store_pending(s, TILE_ROWS_MAX);
	tile_release();
}

const struct tile_kernel AMX_KERNEL = {
	.name = "amx",
	.type = NUM_BF16,
	.rows = TILE_ROWS_MAX,
	.k_unit = TILE_STEP,
	.depth = BF16_DEPTH,
	.whole_tiles = true,
	.begin = begin,
	.tile = run,
	.end = end,
	.pack_a = bf16_pack_a,
	.pack_b = bf16_pack_b,
	.outer = &AMX_OUTER,
};

#endif

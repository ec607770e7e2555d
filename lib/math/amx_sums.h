/* A tile of C on the processor's tiles, for the kernels of math/tile_kernel.h: 2 x 2 of them, 16 x 16 fp32 each, are tiles 0
 * and 1 above 2 and 3. Internal to lib/math.
 *
 * The sums must pass through memory on their way to C (a tile can only be stored as it is). They are scaled, rounded
 * and stored while the next tile is being multiplied, some rows at every step: the vector units have nothing else to
 * do then. */
#ifndef HONE_MATH_AMX_SUMS_H
#define HONE_MATH_AMX_SUMS_H

#include "math/amx.h"

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

AMX_INLINE void
zero_sums(void)
{
	tile_zero(0);
	tile_zero(1);
	tile_zero(2);
	tile_zero(3);
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

/* After step i of a job's steps, the first being 1: some rows of the last job's sums to C, and some of this one's asked for. */
AMX_INLINE void
after_step(struct tile_state *s, const struct tile_job *t, int i, int steps)
{
	int each = (TILE_ROWS_MAX + steps - 1) / steps;
	store_pending(s, i * each);
	if (t->last && !t->out.streamed)
		ask_for_rows(&t->out, (i - 1) * each, i * each);
}

/* The sums of a job that is done, to be stored during the next one. */
AMX_INLINE void
finish_sums(struct tile_state *s, const struct tile_job *t, bool two_rows, bool two_columns)
{
	s->at ^= 1;
	s->out = t->out;
	s->stored = 0;
	store_sums(s->sum[s->at], TILE_COLUMNS, two_rows, two_columns);
}

/* Expands `tile` for each shape that a job can have, as conditions that are constants. */
AMX_INLINE void
for_shape(void (*tile)(struct tile_state *s, const struct tile_job *t, bool two_rows, bool two_columns), struct tile_state *s,
	const struct tile_job *t)
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
amx_begin(struct tile_state *s)
{
	tile_config(&tiles_of_16);
	s->at = 0;
	s->stored = s->out.rows = 0;
}

AMX static void
amx_end(struct tile_state *s)
{
	store_pending(s, TILE_ROWS_MAX);
	_mm_sfence();  /* what was stored past the caches */
	tile_release();
}

#endif

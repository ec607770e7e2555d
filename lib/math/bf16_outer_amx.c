/* Outer products by tiles: A is turned once for all columns of B, whose pairs become tiles on the way, in memory. */
#include "math/bf16_outer.h"

#ifdef __x86_64__

#include "math/amx.h"
#include "math/bf16_pack.h"

enum {
	ROWS = 128,   /* of B whose pairs are put into memory before those ahead of them are multiplied: they are there by then */
	LDA = OUTER_DEPTH + 32,
	ASK = 16,     /* rows of B that are asked for before they are read, besides the same row's next columns */
};

struct memory {
	uint16_t a[OUTER_ROWS * LDA];
	_Alignas(64) uint16_t pairs[2][2][ROWS * PANEL];  /* of some rows and of those before: low and high, as pair_rows has them */
	_Alignas(64) float sum[OUTER_ROWS * OUTER_COLUMNS];
};

/* Sums are tiles 0 and 1 above 2 and 3, A is 4 above 5, B is 6 and 7. A tile of few rows is multiplied in less time. */
AMX static void
begin_outer(int M)
{
	struct tile_shape shape = tiles_of_16;
	if (M <= 16)
		shape.rows[0] = shape.rows[1] = shape.rows[4] = (uint8_t)M;
	else
		shape.rows[2] = shape.rows[3] = shape.rows[5] = (uint8_t)(M - 16);
	tile_config(&shape);
}

AMX static void
end_outer(void)
{
	tile_release();
}

AMX static void
turn_rows(void *memory, const struct outer *o, int k0, int kn)
{
	struct memory *m = memory;
	const struct operand a = {.rows = o->a, .k_rows = true};
	int k_pad = (kn + TILE_STEP - 1) / TILE_STEP * TILE_STEP;
	bf16_pack_a(m->a, LDA, &a, 0, o->M, o->M, k0, kn, k_pad, NULL);
}

/* The pairs of ROWS rows from b on, of which n are there. */
AMX_INLINE void
pair_chunk(uint16_t pairs[2][ROWS * PANEL], const uint16_t *b, size_t ld, int n, __mmask32 columns)
{
	for (int i = 0; i < ROWS && i < n; i += 2, b += 2 * ld) {
		__m512i low, high;
		ask_for_pair(b + ASK * ld, ld, _MM_HINT_T0);
		ask_for_pair(b + OUTER_COLUMNS, ld, _MM_HINT_T1);
		pair_rows(&low, &high, b, i + 1 < n ? b + ld : NULL, columns);
		_mm512_store_si512(pairs[0] + i * PANEL, low);
		_mm512_store_si512(pairs[1] + i * PANEL, high);
	}
	for (int i = (n + 1) / 2 * 2; i < ROWS; i += 2) {
		memset(pairs[0] + i * PANEL, 0, 64);
		memset(pairs[1] + i * PANEL, 0, 64);
	}
}

/* Tiles are zero from their last use on: see bf16_amx.c. */
AMX_INLINE void
multiply_chunk(const uint16_t *a, uint16_t pairs[2][ROWS * PANEL], int n, bool two)
{
	for (int k = 0; k < ROWS && k < n; k += TILE_STEP) {
		tile_load(4, a + k, LDA * sizeof *a);
		tile_load(6, pairs[0] + k * PANEL, 64);
		tile_load(7, pairs[1] + k * PANEL, 64);
		tile_multiply(0, 4, 6);
		tile_multiply(1, 4, 7);
		tile_zero(4);
		if (two) {
			tile_load(5, a + 16 * LDA + k, LDA * sizeof *a);
			tile_multiply(2, 5, 6);
			tile_multiply(3, 5, 7);
			tile_zero(5);
		}
		tile_zero(6);
		tile_zero(7);
	}
}

AMX_INLINE void
store_outer(struct memory *m, const struct outer *o, int n, bool two)
{
	enum { STRIDE = OUTER_COLUMNS * sizeof(float) };
	const struct tile_out out = {.c = rows_at(o->c, 0, n), .rows = o->M, .columns = o->N - n < OUTER_COLUMNS ? o->N - n : OUTER_COLUMNS,
		.alpha = o->alpha, .beta = o->beta};
	tile_store(0, m->sum, STRIDE);
	tile_store(1, m->sum + PANEL, STRIDE);
	if (two) {
		tile_store(2, m->sum + 16 * OUTER_COLUMNS, STRIDE);
		tile_store(3, m->sum + 16 * OUTER_COLUMNS + PANEL, STRIDE);
	}
	for (int i = 0; i < o->M; i++) {
		__m512 low = _mm512_load_ps(m->sum + i * OUTER_COLUMNS), high = _mm512_load_ps(m->sum + i * OUTER_COLUMNS + PANEL);
		store_row(&out, i, first_half(low, high), second_half(low, high));
	}
}

/* `two`: of tiles of A, a constant where this is expanded. */
AMX_INLINE void
multiply_rows(struct memory *m, const struct outer *o, int n, int k0, int kn, bool two)
{
	const uint16_t *b = rows_at(o->b, k0, n).data;
	const size_t ld = (size_t)o->b.ld;
	tile_zero(0);
	tile_zero(1);
	if (two) {
		tile_zero(2);
		tile_zero(3);
	}
	for (int k = 0; k < kn + ROWS; k += ROWS) {
		int at = k / ROWS & 1;
		if (k < kn)
			pair_chunk(m->pairs[at], b + (size_t)k * ld, ld, kn - k, lanes32(o->N - n));
		if (k > 0)
			multiply_chunk(m->a + k - ROWS, m->pairs[!at], kn - k + ROWS, two);
	}
	store_outer(m, o, n, two);
}

AMX static void
multiply_outer(void *memory, const struct outer *o, int n, int k0, int kn)
{
	if (o->M > 16)
		multiply_rows(memory, o, n, k0, kn, true);
	else
		multiply_rows(memory, o, n, k0, kn, false);
}

const struct outer_kernel AMX_OUTER = {begin_outer, end_outer, turn_rows, multiply_outer};

#endif

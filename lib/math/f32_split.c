#include "math/f32_split.h"

#ifdef __x86_64__

#include "math/bf16_turn.h"
#include "math/f32_pack.h"

enum {
	ROWS = 16,
	STRETCH = 1024,  /* elements along k that are fetched at a time */
	PAIR_ROW = SPLITS * 2 * PANEL,
	TILE = ROWS * TURN_K,
};

_Static_assert(ROWS * STRETCH <= PACK_SCRATCH && TURN_K * PACK_COLUMNS <= PACK_SCRATCH, "scratch is enough");

/* 16 rows along k, or TURN_K rows of 16 columns. */
struct block {
	_Alignas(64) uint16_t part[SPLITS][TILE];
};

static int
least(int a, int b)
{
	return a < b ? a : b;
}

AVX512_INLINE void
split(__m512i part[SPLITS], __m512 low, __m512 high)
{
#pragma GCC unroll 3
	for (int s = 0; s < SPLITS; s++) {
		part[s] = bf16_pair(low, high);
		low = _mm512_sub_ps(low, bf16_widen(_mm512_castsi512_si256(part[s])));
		high = _mm512_sub_ps(high, bf16_widen(_mm512_extracti64x4_epi64(part[s], 1)));
	}
}

/* n <= 32 elements, and zeros behind them. */
AVX512_INLINE void
split_row(__m512i part[SPLITS], const float *from, int n)
{
	split(part, _mm512_maskz_loadu_ps(lanes16(n), from), _mm512_maskz_loadu_ps(lanes16(n - 16), from + 16));
}

/* n rows of kn elements; zeros for those that are not there. */
AVX512_INLINE void
block_of_rows(struct block *b, const float *from, size_t ld, int n, int kn)
{
	__m512i part[SPLITS];
	for (int i = 0; i < ROWS; i++) {
		split_row(part, from + (size_t)i * ld, i < n ? kn : 0);
		for (int s = 0; s < SPLITS; s++)
			_mm512_store_si512(b->part[s] + i * TURN_K, part[s]);
	}
}

/* kn rows along k of n elements; likewise. */
AVX512_INLINE void
block_of_columns(struct block *b, const float *from, size_t ld, int n, int kn)
{
	__m512i part[SPLITS];
	for (int k = 0; k < TURN_K; k += 2, from += 2 * ld) {
		__m512 first = _mm512_maskz_loadu_ps(lanes16(k < kn ? n : 0), from);
		__m512 second = _mm512_maskz_loadu_ps(lanes16(k + 1 < kn ? n : 0), from + ld);
		split(part, first, second);
		for (int s = 0; s < SPLITS; s++)
			_mm512_store_si512(b->part[s] + k * ROWS, part[s]);
	}
}

/* ---- B ---- */

/* One panel from n rows along k. */
AVX512 static void
panel_of_rows(uint16_t *to, const float *from, size_t ld, int n, int kn, int k_pad)
{
	struct block b;
	_Alignas(64) uint16_t turned[TURN_K / 2 * PAIR_ROW];
	for (int k = 0; k < k_pad; k += TURN_K, to += TURN_K / 2 * PAIR_ROW) {
		bool whole = k_pad - k >= TURN_K;
		uint16_t *at = whole ? to : turned;
		block_of_rows(&b, from + k, ld, n, kn - k);
		for (int s = 0; s < SPLITS; s++)
			turn_pairs(at + s * 2 * PANEL, PAIR_ROW, b.part[s], TURN_K);
		if (!whole)
			memcpy(to, turned, (size_t)((k_pad - k) / 2) * PAIR_ROW * sizeof *to);
	}
}

/* kn rows along k, up to k_pad, which is even; two panels at a time: the processor writes to few pages at once faster. */
AVX512 static void
panels_of_columns(uint16_t *to, size_t panel, const float *from, size_t ld, int nn, int kn, int k_pad)
{
	__m512i first[SPLITS], second[SPLITS];
	for (int n = 0; n < nn; n += 2 * PANEL, from += 2 * PANEL, to += 2 * panel)
		for (int k = 0; k < k_pad; k += 2) {
			uint16_t *at = to + (size_t)(k / 2) * PAIR_ROW;
			split_row(first, from + (size_t)k * ld, k < kn ? nn - n : 0);
			split_row(second, from + (size_t)(k + 1) * ld, k + 1 < kn ? nn - n : 0);
			for (int s = 0; s < SPLITS; s++, at += 2 * PANEL) {
				__m512i low = _mm512_unpacklo_epi16(first[s], second[s]);
				__m512i high = _mm512_unpackhi_epi16(first[s], second[s]);
				pairs_store(at, panel, low, high, nn - n);
			}
		}
}

void
f32_split_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch)
{
	const int step = b->k_rows ? TURN_K : STRETCH;
	uint16_t *to = packed;
	size_t ld;
	panel *= SPLITS;
	for (int k = 0; k < kn; k += step, to += (size_t)(step / 2) * PAIR_ROW) {
		int some = least(kn - k, step), pad = k + step < kn ? step : k_pad - k;
		if (b->k_rows) {
			const float *from = f32_fetch(b, k0 + k, some, n0, nn, false, scratch, &ld);
			panels_of_columns(to, panel, from, ld, nn, some, pad);
			continue;
		}
		for (int n = 0; n < nn; n += PANEL) {
			int rows = least(nn - n, PANEL);
			const float *from = f32_fetch(b, n0 + n, rows, k0 + k, some, false, scratch, &ld);
			panel_of_rows(to + (size_t)(n / PANEL) * panel, from, ld, rows, some, pad);
		}
	}
}

/* ---- A ---- */

/* Where row i, which is the first of a tile or not, begins. */
static uint16_t *
row_of_tile(uint16_t *to, size_t lda, int i)
{
	return to + (size_t)(i / ROWS) * ROWS * lda * SPLITS + (size_t)(i % ROWS * TURN_K);
}

AVX512 static void
row_to_tiles(uint16_t *to, const float *from, int kn, int k_pad)
{
	__m512i part[SPLITS];
	for (int k = 0; k < k_pad; k += TURN_K, to += SPLITS * TILE) {
		split_row(part, from + k, kn - k);
		for (int s = 0; s < SPLITS; s++)
			_mm512_storeu_si512(to + s * TILE, part[s]);
	}
}

/* kn <= TURN_K rows along k; `to`: the first tiles of that k. */
AVX512 static void
columns_to_tiles(uint16_t *to, size_t lda, const float *from, size_t ld, int nn, int n_pad, int kn)
{
	struct block b;
	for (int n = 0; n < n_pad; n += ROWS) {
		uint16_t *at = row_of_tile(to, lda, n);
		block_of_columns(&b, from + n, ld, nn - n, kn);
		for (int s = 0; s < SPLITS; s++, at += TILE) {
			turn_elements(at, TURN_K, b.part[s], ROWS);
			turn_elements(at + 8 * TURN_K, TURN_K, b.part[s] + 8, ROWS);
		}
	}
}

bool
f32_split_pack_a(void *packed, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad,
	float *scratch)
{
	uint16_t *to = packed;
	const float *from = NULL;
	size_t ld;
	for (int k = 0; k < kn && a->k_rows; k += TURN_K, to += SPLITS * TILE) {
		int some = least(kn - k, TURN_K);
		from = f32_fetch(a, k0 + k, some, n0, nn, false, scratch, &ld);
		columns_to_tiles(to, lda, from, ld, nn, n_pad, some);
	}
	for (int i = 0; i < n_pad && !a->k_rows; i++) {
		if (i < nn)
			from = f32_fetch(a, n0 + i, 1, k0, kn, false, scratch, &ld);
		row_to_tiles(row_of_tile(to, lda, i), from, i < nn ? kn : 0, k_pad);
	}
	return true;
}

#endif

#include "math/bf16_pack.h"

#ifdef __x86_64__

#include "math/avx512.h"
#include "math/bf16_turn.h"

enum {
	BLOCK = TURN_K,
	STRETCH = 256, /* converted at a time, where a conversion is needed */
};

_Static_assert((PACK_COLUMNS + 64) * 3 * BLOCK / 2 <= PACK_SCRATCH, "scratch is enough");

size_t
bf16_pack_scratch(int nn)
{
	int widest = nn > STRETCH ? nn : STRETCH;
	return (size_t)(widest + 64) * 3 * BLOCK / 2;  /* fp32 and bf16 of BLOCK rows */
}

/* Asks for as many behind them, which as a rule are next. */
AVX512 static void
round_row(uint16_t *to, const float *from, int n)
{
	for (int i = 0; i < n; i += 32) {
		_mm_prefetch((const void *)(from + n + i), _MM_HINT_T0);
		_mm_prefetch((const void *)(from + n + i + 16), _MM_HINT_T0);
		__m512 low = _mm512_maskz_loadu_ps(lanes16(n - i), from + i);
		__m512 high = _mm512_maskz_loadu_ps(lanes16(n - i - 16), from + i + 16);
		_mm512_mask_storeu_epi16(to + i, lanes32(n - i), bf16_pair(low, high));
	}
}

/* Whether it lies in memory as bf16. */
static bool
is_bf16(const struct operand *o)
{
	return !o->w && o->rows.type == NUM_BF16;
}

/* Stored rows r .. r+n-1 and columns c .. c+nc-1 as bf16: where they lie, or converted into scratch; n <= BLOCK. */
static const uint16_t *
fetch(const struct operand *o, int r, int n, int c, int nc, float *scratch, size_t *ld)
{
	if (is_bf16(o)) {
		*ld = (size_t)o->rows.ld;
		return rows_at(o->rows, r, c).data;
	}
	struct rows from = o->w ? rows_f32(scratch, nc) : rows_at(o->rows, r, c);
	uint16_t *to = (void *)(scratch + (size_t)nc * BLOCK);
	if (o->w)
		matrix_expand(scratch, nc, o->w, r, n, c, nc);
	for (int i = 0; i < n; i++)
		round_row(to + (size_t)i * (size_t)nc, rows_at(from, i, 0).data, nc);
	*ld = (size_t)nc;
	return to;
}

/* Asks for the lines from `from` on of n rows, which will be packed soon. */
AVX512_INLINE void
ask(const uint16_t *from, size_t ld, int n)
{
	for (int i = 0; i < n; i++)
		_mm_prefetch((const void *)(from + (size_t)i * ld), _MM_HINT_T1);
}

/* A corner of fewer rows or columns in the middle of zeros. */
AVX512 static void
copy_corner(uint16_t *to, int width, const uint16_t *from, size_t ld, int rows, int columns)
{
	memset(to, 0, BLOCK * BLOCK * sizeof *to);
	for (int i = 0; i < rows; i++)
		_mm512_mask_storeu_epi16(to + i * width, lanes32(columns),
			_mm512_maskz_loadu_epi16(lanes32(columns), from + (size_t)i * ld));
}

/* One panel from rows of k. */
AVX512 static void
panel_of_rows(uint16_t *to, const uint16_t *from, size_t ld, int n, int kn, int k_pad)
{
	_Alignas(64) uint16_t corner[BLOCK * BLOCK], turned[BLOCK * PANEL];
	for (int k = 0; k < k_pad; k += BLOCK) {
		uint16_t *at = to + (size_t)k * PANEL;
		ask(from + (size_t)PANEL * ld + k, ld, PANEL);
		if (n == PANEL && kn - k >= BLOCK) {
			turn_pairs(at, 2 * PANEL, from + k, ld);
			continue;
		}
		copy_corner(corner, BLOCK, from + k, ld, n, kn - k);
		turn_pairs(turned, 2 * PANEL, corner, BLOCK);
		memcpy(at, turned, (size_t)(k_pad - k < BLOCK ? k_pad - k : BLOCK) * PANEL * sizeof *at);
	}
}

/* kn <= BLOCK rows along k. Two panels at a time: the processor writes to few pages at once faster. */
AVX512 static void
panels_of_columns(uint16_t *to, size_t panel, const uint16_t *from, size_t ld, int nn, int kn)
{
	for (int n = 0; n < nn; n += 2 * PANEL, from += 2 * PANEL, to += 2 * panel) {
		ask(from + (size_t)BLOCK * ld, ld, kn);
		for (int k = 0; k < kn; k += 2) {
			const uint16_t *first = from + (size_t)k * ld;
			pairs_of_rows(to + (size_t)k * PANEL, panel, first, k + 1 < kn ? first + ld : NULL, nn - n);
		}
	}
}

AVX512 void
bf16_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch)
{
	uint16_t *to = packed;
	size_t ld;
	if (b->k_rows) {
		for (int k = 0; k < kn; k += BLOCK) {
			int some = kn - k < BLOCK ? kn - k : BLOCK;
			const uint16_t *from = fetch(b, k0 + k, some, n0, nn, scratch, &ld);
			panels_of_columns(to + (size_t)k * PANEL, panel, from, ld, nn, some);
		}
		int done = (kn + 1) / 2 * 2;
		for (int n = 0; n < nn; n += PANEL)
			memset(to + (size_t)(n / PANEL) * panel + (size_t)done * PANEL, 0,
				(size_t)(k_pad - done) * PANEL * sizeof *to);
		return;
	}
	for (int n = 0; n < nn; n += PANEL, to += panel)
		for (int k = 0; k < kn; k += STRETCH) {
			int rows = nn - n < PANEL ? nn - n : PANEL, some = kn - k < STRETCH ? kn - k : STRETCH;
			const uint16_t *from = fetch(b, n0 + n, rows, k0 + k, some, scratch, &ld);
			panel_of_rows(to + (size_t)k * PANEL, from, ld, rows, some, k + some < kn ? some : k_pad - k);
		}
}

/* nn rows of A from rows along k: 8 at a time. */
AVX512 static void
rows_of_columns(uint16_t *to, size_t lda, const uint16_t *from, size_t ld, int nn, int kn, int k_pad)
{
	_Alignas(64) uint16_t corner[BLOCK * BLOCK], turned[8 * BLOCK];
	for (int n = 0; n < nn; n += 8) {
		uint16_t *at = to + (size_t)n * lda;
		if (n % 32 == 0)
			ask(from + (size_t)BLOCK * ld + n, ld, kn);
		if (nn - n >= 8 && kn == BLOCK) {
			turn_elements(at, lda, from + n, ld);
			continue;
		}
		copy_corner(corner, 8, from + n, ld, kn, nn - n < 8 ? nn - n : 8);
		turn_elements(turned, BLOCK, corner, 8);
		for (int i = 0; i < 8 && n + i < nn; i++)
			memcpy(at + (size_t)i * lda, turned + i * BLOCK, (size_t)k_pad * sizeof *at);
	}
}

AVX512 bool
bf16_pack_a(void *packed, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad,
	float *scratch)
{
	uint16_t *to = packed;
	size_t ld;
	if (a->k_rows) {
		for (int k = 0; k < kn; k += BLOCK) {
			int some = kn - k < BLOCK ? kn - k : BLOCK;
			const uint16_t *from = fetch(a, k0 + k, some, n0, nn, scratch, &ld);
			rows_of_columns(to + k, lda, from, ld, nn, some, k_pad - k < BLOCK ? k_pad - k : BLOCK);
		}
	} else {
		const int stretch = is_bf16(a) ? kn : STRETCH;
		for (int i = 0; i < nn; i++)
			for (int k = 0; k < kn; k += stretch) {
				int some = kn - k < stretch ? kn - k : stretch;
				const uint16_t *from = fetch(a, n0 + i, 1, k0 + k, some, scratch, &ld);
				memcpy(to + (size_t)i * lda + k, from, (size_t)some * sizeof *to);
			}
		for (int i = 0; i < nn; i++)
			memset(to + (size_t)i * lda + kn, 0, (size_t)(k_pad - kn) * sizeof *to);
	}
	for (int i = nn; i < n_pad; i++)
		memset(to + (size_t)i * lda, 0, (size_t)k_pad * sizeof *to);
	return false;
}

#endif

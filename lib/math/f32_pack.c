/* Packing for the kernels of math/f32_kernel.h. */
#ifdef __x86_64__

#include "math/f32_pack.h"

#include "math/tile_kernel.h"

enum { BLOCK = 16 };  /* rows that are expanded at a time; how deep, where k lies along them */

_Static_assert(BLOCK * PACK_COLUMNS <= PACK_SCRATCH, "scratch is enough");

HONE_SIMD static void
round_row(float *to, const float *from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = bf16_to_f32(bf16_from_f32(from[i]));
}

/* Rows that lie behind these will probably be next. */
void
f32_load(float *to, size_t ld, const struct operand *o, int r, int n, int c, int nc, bool rounded)
{
	const bool wide = !o->w && o->rows.type == NUM_F32;
	if (o->w)
		matrix_expand(to, (int)ld, o->w, r, n, c, nc);
	for (int i = 0; i < n; i++, to += ld) {
		if (!o->w)
			row_ahead(o->rows, r + i + n, c, nc);
		const float *from = o->w ? to : row_load(o->rows, r + i, c, nc, to);
		if (rounded && (o->w || wide))
			round_row(to, from, nc);
		else if (wide)
			memcpy(to, from, (size_t)nc * sizeof *to);
	}
}

const float *
f32_fetch(const struct operand *o, int r, int n, int c, int nc, bool rounded, float *scratch, size_t *ld)
{
	if (!o->w && o->rows.type == NUM_F32 && !rounded) {
		*ld = (size_t)o->rows.ld;
		return rows_at(o->rows, r, c).data;
	}
	*ld = (size_t)nc;
	f32_load(scratch, *ld, o, r, n, c, nc, rounded);
	return scratch;
}

/* One panel of n columns, k along the stored rows. */
static void
panel_of_rows(float *to, const struct operand *b, int n0, int n, int k0, int kn, bool rounded, float *scratch)
{
	enum { STRETCH = PACK_SCRATCH / BLOCK };
	size_t ld;
	for (int k = 0; k < kn; k += STRETCH) {
		int some = kn - k < STRETCH ? kn - k : STRETCH;
		const float *from = f32_fetch(b, n0, n, k0 + k, some, rounded, scratch, &ld);
		f32_turn(to + (size_t)k * PANEL, PANEL, from, ld, n, some);
	}
	f32_clear(to, PANEL, n, kn);
}

/* kn stored rows, each an element of every panel. */
static void
panels_of_columns(float *to, size_t panel, const float *from, size_t ld, int nn, int kn)
{
	int n = 0;
	for (; n + PANEL <= nn; n += PANEL, from += PANEL, to += panel)
		for (int k = 0; k < kn; k++)
			memcpy(to + k * PANEL, from + (size_t)k * ld, PANEL * sizeof *to);
	for (int k = 0; k < kn && n < nn; k++)
		memcpy(to + k * PANEL, from + (size_t)k * ld, (size_t)(nn - n) * sizeof *to);
	if (n < nn)
		f32_clear(to, PANEL, nn - n, kn);
}

static void
pack_b(float *to, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, bool rounded, float *scratch)
{
	for (int n = 0; n < nn; n += PANEL) {
		float *at = to + (size_t)(n / PANEL) * panel;
		if (!b->k_rows)
			panel_of_rows(at, b, n0 + n, nn - n < PANEL ? nn - n : PANEL, k0, kn, rounded, scratch);
		f32_clear(at + (size_t)kn * PANEL, PANEL, 0, k_pad - kn);
	}
	for (int k = 0; k < kn && b->k_rows; k += BLOCK) {
		size_t ld;
		int some = kn - k < BLOCK ? kn - k : BLOCK;
		const float *from = f32_fetch(b, k0 + k, some, n0, nn, rounded, scratch, &ld);
		panels_of_columns(to + (size_t)k * PANEL, panel, from, ld, nn, some);
	}
}

void
f32_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch)
{
	pack_b(packed, panel, b, n0, nn, k0, kn, k_pad, false, scratch);
}

void
f32_pack_rounded_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch)
{
	pack_b(packed, panel, b, n0, nn, k0, kn, k_pad, true, scratch);
}

#endif

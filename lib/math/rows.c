#include "math/rows.h"

#include "math/simd.h"

/* T rows, of which one is short and has no call to itself. From any address: rows may be a weight, as a checkpoint has it. */
HONE_SIMD static void
widen(float *to, int ld_to, const unsigned char *from, int ld_from, int T, int n)
{
	for (; T > 0; T--, to += ld_to, from += 2 * (ptrdiff_t)ld_from)
		for (int i = 0; i < n; i++) {
			uint16_t h;
			memcpy(&h, from + 2 * (size_t)i, sizeof h);
			to[i] = bf16_to_f32(h);
		}
}

HONE_SIMD static void
narrow(uint16_t *to, int ld_to, const float *from, int ld_from, int T, int n)
{
	for (; T > 0; T--, to += ld_to, from += ld_from)
		for (int i = 0; i < n; i++)
			to[i] = bf16_from_f32(from[i]);
}

const float *
row_load(struct rows r, int t, int c, int n, float *buf)
{
	struct rows at = rows_at(r, t, c);
	if (r.type == NUM_F32)
		return at.data;
	widen(buf, n, at.data, r.ld, 1, n);
	return buf;
}

void
row_store(struct rows r, int t, int c, int n, const float *buf)
{
	if (r.type == NUM_BF16)
		narrow(rows_at(r, t, c).data, r.ld, buf, n, 1, n);
}

static void
copy_rows(struct rows to, struct rows from, int t, int T, int n)
{
	struct rows a = rows_at(to, t, 0), b = rows_at(from, t, 0);
	if (to.type != from.type && to.type == NUM_F32)
		widen(a.data, a.ld, b.data, b.ld, T, n);
	else if (to.type != from.type)
		narrow(a.data, a.ld, b.data, b.ld, T, n);
	else
		for (int i = 0; i < T; i++)
			memcpy(rows_at(a, i, 0).data, rows_at(b, i, 0).data, (size_t)n * num_size(to.type));
}

void
rows_copy(struct rows to, struct rows from, int T, int n)
{
	if ((size_t)T * (size_t)n <= PARALLEL_MIN) {
		copy_rows(to, from, 0, T, n);
		return;
	}
#pragma omp parallel for schedule(static)
	for (int t = 0; t < T; t++)
		copy_rows(to, from, t, 1, n);
}

void
heads_copy(struct rows to, struct heads from, int T, int n, int D)
{
	if (from.stride == D) {
		rows_copy(to, from.rows, T, n * D);
		return;
	}
	for (int h = 0; h < n; h++)
		rows_copy(rows_at(to, 0, h * D), rows_at(from.rows, 0, h * from.stride), T, D);
}

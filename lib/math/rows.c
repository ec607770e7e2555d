#include "math/rows.h"

#include "math/simd.h"

/* From any address: rows may be a weight, as a checkpoint has it. */
HONE_SIMD static void
widen(float *to, const unsigned char *from, int n)
{
	for (int i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, from + 2 * (size_t)i, sizeof h);
		to[i] = bf16_to_f32(h);
	}
}

HONE_SIMD static void
narrow(uint16_t *to, const float *from, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = bf16_from_f32(from[i]);
}

const float *
row_load(struct rows r, int t, int c, int n, float *buf)
{
	struct rows at = rows_at(r, t, c);
	if (r.type == NUM_F32)
		return at.data;
	widen(buf, at.data, n);
	return buf;
}

void
row_store(struct rows r, int t, int c, int n, const float *buf)
{
	if (r.type == NUM_BF16)
		narrow(rows_at(r, t, c).data, buf, n);
}

static void
copy_row(struct rows to, struct rows from, int t, int n)
{
	struct rows a = rows_at(to, t, 0), b = rows_at(from, t, 0);
	if (to.type == from.type)
		memcpy(a.data, b.data, (size_t)n * num_size(to.type));
	else if (to.type == NUM_F32)
		widen(a.data, b.data, n);
	else
		narrow(a.data, b.data, n);
}

void
rows_copy(struct rows to, struct rows from, int T, int n)
{
	if ((size_t)T * (size_t)n <= PARALLEL_MIN) {
		for (int t = 0; t < T; t++)
			copy_row(to, from, t, n);
		return;
	}
#pragma omp parallel for schedule(static)
	for (int t = 0; t < T; t++)
		copy_row(to, from, t, n);
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

#include "math/simd.h"
#include "math/tile_kernel.h"

HONE_SIMD static void
store_bf16(const struct tile_out *o, const float *sums, size_t ld)
{
	const float alpha = o->alpha, beta = o->beta;
	for (int i = 0; i < o->rows; i++, sums += ld) {
		uint16_t *c = rows_at(o->c, i, 0).data;
		if (beta == 0)
			for (int j = 0; j < o->columns; j++)
				c[j] = bf16_from_f32(alpha * sums[j]);
		else
			for (int j = 0; j < o->columns; j++)
				c[j] = bf16_from_f32(alpha * sums[j] + beta * bf16_to_f32(c[j]));
	}
}

HONE_SIMD static void
store_f32(const struct tile_out *o, const float *sums, size_t ld)
{
	const float alpha = o->alpha, beta = o->beta;
	for (int i = 0; i < o->rows; i++, sums += ld) {
		float *c = rows_at(o->c, i, 0).data;
		for (int j = 0; j < o->columns; j++)
			c[j] = beta == 0 ? alpha * sums[j] : alpha * sums[j] + beta * c[j];
	}
}

void
sums_store(const struct tile_out *o, const float *sums, size_t ld)
{
	(o->c.type == NUM_BF16 ? store_bf16 : store_f32)(o, sums, ld);
}

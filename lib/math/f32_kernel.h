/* The kernels of math/f32.h, and those of math/bf16.h that compute in fp32. Internal to lib/math, and to its tests.
 *
 * A is packed as rows or as [rows / kernel's rows][k][kernel's rows], B as panels [k][PANEL]. */
#ifndef HONE_MATH_F32_KERNEL_H
#define HONE_MATH_F32_KERNEL_H

#include "math/f32.h"
#include "math/tile_kernel.h"

extern const struct tile_kernel f32_amx, f32_avx512, f32_avx2;
extern const struct tile_kernel f32_amx_emulated;  /* in tests */

/* The kernel in use, NULL where there is none and BLAS multiplies. Tests set others. */
const struct tile_kernel *f32_kernel(void);
void f32_set_kernel(const struct tile_kernel *k);

/* Where the kernels put sums that do not go to C yet: beside those of other depths, or where they wait for being rounded.
 * NULL: they go to C, of fp32. */
struct f32_sums {
	float *to;
	size_t ld;
};

static inline struct f32_sums
f32_sums_of(struct tile_state *s, const struct tile_job *t)
{
	if (!t->last)
		return (struct f32_sums){t->partial, t->ld_partial};
	return t->out.c.type == NUM_BF16 ? (struct f32_sums){s->sum[0], TILE_COLUMNS} : (struct f32_sums){NULL, 0};
}

/* Goes on to what is left of a job when the first `rows` rows are done. */
static inline void
f32_next_rows(struct tile_job *t, struct f32_sums *sums, int rows)
{
	tile_next_rows(t, rows, (t->a_tiles ? 1 : t->lda) * sizeof(float));
	t->partial += (size_t)rows * t->ld_partial;
	sums->to = sums->to ? sums->to + (size_t)rows * sums->ld : NULL;
}

/* Rounds what was waiting for it. */
static inline void
f32_round_sums(struct tile_state *s, const struct tile_job *t)
{
	if (t->last && t->out.c.type == NUM_BF16)
		sums_store(&t->out, s->sum[0], TILE_COLUMNS);
}

#endif

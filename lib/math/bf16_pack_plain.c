/* What packing is, an element at a time: the tests hold math/bf16_pack.c against it. */
#include "math/bf16_kernel.h"
#include "math/bf16_pack.h"

/* X[n,k] in bf16. */
static uint16_t
element(const struct operand *o, int n, int k)
{
	int r = o->k_rows ? k : n, c = o->k_rows ? n : k;
	float v = 0;
	if (o->w)
		matrix_expand(&v, 1, o->w, r, 1, c, 1);
	else
		v = *row_load(o->rows, r, c, 1, &v);
	return bf16_from_f32(v);
}

void
bf16_pack_b_plain(uint16_t *to, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad)
{
	for (int p = 0; p * PANEL < nn; p++)
		for (int k = 0; k < k_pad; k++)
			for (int j = 0; j < PANEL; j++) {
				int n = p * PANEL + j;
				to[(size_t)p * panel + (size_t)(k / 2 * 2 * PANEL + 2 * j + k % 2)] =
					n < nn && k < kn ? element(b, n0 + n, k0 + k) : 0;
			}
}

void
bf16_pack_a_plain(uint16_t *to, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn,
	int k_pad)
{
	for (int n = 0; n < n_pad; n++)
		for (int k = 0; k < k_pad; k++)
			to[(size_t)n * lda + (size_t)k] = n < nn && k < kn ? element(a, n0 + n, k0 + k) : 0;
}

#ifndef __x86_64__

size_t
bf16_pack_scratch(int nn)
{
	(void)nn;
	return 0;
}

void
bf16_pack_b(void *packed, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad,
	float *scratch)
{
	(void)scratch;
	bf16_pack_b_plain(packed, panel, b, n0, nn, k0, kn, k_pad);
}

bool
bf16_pack_a(void *packed, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad,
	float *scratch)
{
	(void)scratch;
	bf16_pack_a_plain(packed, lda, a, n0, nn, n_pad, k0, kn, k_pad);
	return false;
}

#endif

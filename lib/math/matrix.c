#include "math/matrix.h"

#include <string.h>

#include "math/rows.h"
#include "math/simd.h"

/* Data of a checkpoint may lie at any address, so elements are copied out of it, not read as what they are. */
HONE_SIMD static void
expand_bf16(float *to, const unsigned char *from, int n)
{
	for (int i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, from + 2 * (size_t)i, sizeof h);
		to[i] = bf16_to_f32(h);
	}
}

/* Half precision: by multiplication where the exponent is re-biased, which makes subnormals right, too. */
HONE_SIMD static void
expand_f16(float *to, const unsigned char *from, int n)
{
	for (int i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, from + 2 * (size_t)i, sizeof h);
		uint32_t bits = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
		float f;
		bits |= (h & 0x7c00) == 0x7c00 ? 0x70000000u : 0;  /* infinities and NaN keep an exponent of ones */
		memcpy(&f, &bits, sizeof f);
		f *= (h & 0x7c00) == 0x7c00 ? 1.0f : 0x1p112f;
		memcpy(&bits, &f, sizeof bits);
		bits |= sign;
		memcpy(&to[i], &bits, sizeof bits);
	}
}

static void
expand_row(float *to, const struct matrix *m, int r, int c, int n)
{
	size_t at = (size_t)r * (size_t)matrix_columns(m) + (size_t)c;
	const unsigned char *bytes = m->data;
	switch (m->form) {
	case MATRIX_F32:
		memcpy(to, bytes + at * sizeof(float), (size_t)n * sizeof *to);
		break;
	case MATRIX_BF16:
		expand_bf16(to, bytes + 2 * at, n);
		break;
	case MATRIX_F16:
		expand_f16(to, bytes + 2 * at, n);
		break;
	}
}

void
matrix_expand(float *to, int ld, const struct matrix *m, int r, int n, int c, int nc)
{
	for (int i = 0; i < n; i++)
		expand_row(to + (size_t)i * (size_t)ld, m, r + i, c, nc);
}

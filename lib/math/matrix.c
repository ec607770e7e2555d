#include "math/matrix.h"

#include <string.h>

#include "math/dynamic8.h"
#include "math/rows.h"
#include "math/simd.h"

/* Half precision: by multiplication where the exponent is re-biased, which makes subnormals right, too. Data of a
 * checkpoint may lie at any address, so elements are copied out of it, not read as what they are. */
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

HONE_SIMD static void
expand_int8(float *to, const int8_t *from, int n, float step)
{
	for (int i = 0; i < n; i++)
		to[i] = (float)from[i] * step;
}

/* Dettmers et al. 2023, appendix E: quantiles of the normal distribution, so shifted that 0 is one of them. */
const float nf4_code[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
	-0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f,
	0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
	0.7229568362236023f, 1.0f};

static float
nf4_magnitude(const struct matrix *m, size_t block)
{
	return dynamic8_signed()->value[m->block[block]] * m->scale[1 + block / DYNAMIC8_BLOCK] + m->scale[0];
}

/* n elements of one block; `at` counts from the beginning of `from`. */
static void
expand_nibbles(float *to, const uint8_t *from, size_t at, int n, float magnitude)
{
	for (int i = 0; i < n; i++, at++)
		to[i] = nf4_code[at % 2 ? from[at / 2] & 15 : from[at / 2] >> 4] * magnitude;
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
typedef float floats __attribute__((vector_size(32)));
typedef int32_t ints __attribute__((vector_size(32)));

/* A whole block, eight elements at a time: as many shifts of the same four bytes, and one permutation of the table. */
HONE_SIMD static void
permute_block(float *to, const uint8_t *from, float magnitude)
{
	const ints shift = {4, 0, 12, 8, 20, 16, 28, 24}, nibble = {15, 15, 15, 15, 15, 15, 15, 15};
	floats low, high;
	memcpy(&low, nf4_code, sizeof low);
	memcpy(&high, nf4_code + 8, sizeof high);
	low *= magnitude;
	high *= magnitude;
	for (int i = 0; i < NF4_BLOCK; i += 8) {
		int32_t w;
		memcpy(&w, from + i / 2, sizeof w);
		ints index = (ints){w, w, w, w, w, w, w, w} >> shift & nibble;
		floats x = __builtin_shuffle(low, high, index);
		memcpy(to + i, &x, sizeof x);
	}
}

static bool
can_permute(void)
{
	return __builtin_cpu_supports("avx2");
}
#else
static bool
can_permute(void)
{
	return false;
}

static void
permute_block(float *to, const uint8_t *from, float magnitude)
{
	(void)to, (void)from, (void)magnitude;
}
#endif

static void
expand_nf4(float *to, const struct matrix *m, size_t at, int n)
{
	const uint8_t *bytes = m->data;
	for (int i = 0, k; i < n; i += k, at += (size_t)k) {
		float magnitude = nf4_magnitude(m, at / NF4_BLOCK);
		int left = NF4_BLOCK - (int)(at % NF4_BLOCK);
		k = n - i < left ? n - i : left;
		if (k == NF4_BLOCK && can_permute())
			permute_block(to + i, bytes + at / 2, magnitude);
		else
			expand_nibbles(to + i, bytes, at, k, magnitude);
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
		row_load((struct rows){(void *)(uintptr_t)(bytes + 2 * at), n, NUM_BF16}, 0, 0, n, to);
		break;
	case MATRIX_F16:
		expand_f16(to, bytes + 2 * at, n);
		break;
	case MATRIX_INT8:
		expand_int8(to, (const int8_t *)bytes + at, n, m->scale[r]);
		break;
	case MATRIX_NF4:
		expand_nf4(to, m, at, n);
		break;
	}
}

void
matrix_expand(float *to, int ld, const struct matrix *m, int r, int n, int c, int nc)
{
	for (int i = 0; i < n; i++)
		expand_row(to + (size_t)i * (size_t)ld, m, r + i, c, nc);
}

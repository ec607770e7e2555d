/* Element types of safetensors and their conversions to and from fp32. Files are little-endian, and so must
 * the machine be; nothing is assumed to be aligned. */
#include <string.h>

#include "fmt/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor data are read as little-endian");

static const struct {
	const char *name;
	size_t size;
} types[] = {
	[ST_F64] = {"F64", 8}, [ST_F32] = {"F32", 4}, [ST_F16] = {"F16", 2}, [ST_BF16] = {"BF16", 2},
	[ST_I64] = {"I64", 8}, [ST_I32] = {"I32", 4}, [ST_I16] = {"I16", 2}, [ST_I8] = {"I8", 1},
	[ST_U8] = {"U8", 1},   [ST_BOOL] = {"BOOL", 1},
};

enum { N_TYPES = sizeof types / sizeof *types };

size_t
st_dtype_size(enum st_dtype d)
{
	return types[d].size;
}

const char *
st_dtype_name(enum st_dtype d)
{
	return types[d].name;
}

int
st_dtype_parse(const char *name, enum st_dtype *d)
{
	for (int i = 0; i < N_TYPES; i++)
		if (strcmp(name, types[i].name) == 0) {
			*d = (enum st_dtype)i;
			return 0;
		}
	return -1;
}

bool
st_is_float(enum st_dtype d)
{
	return d <= ST_BF16;
}

static uint32_t
bits_of(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u;
}

static float
float_of(uint32_t u)
{
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

static float
from_half(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff;
	if (exp == 31)
		return float_of(sign | 0x7f800000 | man << 13);
	if (exp == 0) {
		float x = (float)man * 0x1p-24f;  /* exact: subnormal halves are normal floats */
		return sign ? -x : x;
	}
	return float_of(sign | (exp + 112) << 23 | man << 13);
}

static uint16_t
to_half(float x)
{
	uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
	if (a > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x1ff));
	if (a >= 0x477ff000)  /* 65520 and above round to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (a < 0x38800000)  /* below 2^-14: next to 0.5 a float's last place is that of a subnormal half */
		return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - 0x3f000000));
	return (uint16_t)(sign | (a + 0xfff + (a >> 13 & 1) - (112u << 23)) >> 13);
}

static uint16_t
to_bfloat(float x)
{
	uint32_t u = bits_of(x);
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);  /* quiet: rounding could make an infinity of it */
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static void
f64_to_f32(const uint8_t *in, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++) {
		double x;
		memcpy(&x, in + 8 * i, sizeof x);
		out[i] = (float)x;
	}
}

static void
f16_to_f32(const uint8_t *in, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t x;
		memcpy(&x, in + 2 * i, sizeof x);
		out[i] = from_half(x);
	}
}

static void
bf16_to_f32(const uint8_t *in, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t x;
		memcpy(&x, in + 2 * i, sizeof x);
		out[i] = float_of((uint32_t)x << 16);
	}
}

void
st_to_f32(const struct st_tensor *t, size_t first, size_t n, float *out)
{
	const uint8_t *in = t->data + first * st_dtype_size(t->dtype);
	switch (t->dtype) {
	case ST_F64:
		f64_to_f32(in, n, out);
		break;
	case ST_F32:
		memcpy(out, in, n * sizeof *out);
		break;
	case ST_F16:
		f16_to_f32(in, n, out);
		break;
	case ST_BF16:
		bf16_to_f32(in, n, out);
		break;
	default:  /* the caller asks st_is_float first */
		memset(out, 0, n * sizeof *out);
	}
}

void
st_from_f32(enum st_dtype dtype, const float *in, size_t n, void *out)
{
	uint8_t *p = out;
	if (dtype == ST_F32)
		memcpy(p, in, n * sizeof *in);
	for (size_t i = 0; dtype == ST_F64 && i < n; i++) {
		double x = (double)in[i];
		memcpy(p + 8 * i, &x, sizeof x);
	}
	for (size_t i = 0; dtype == ST_F16 && i < n; i++) {
		uint16_t x = to_half(in[i]);
		memcpy(p + 2 * i, &x, sizeof x);
	}
	for (size_t i = 0; dtype == ST_BF16 && i < n; i++) {
		uint16_t x = to_bfloat(in[i]);
		memcpy(p + 2 * i, &x, sizeof x);
	}
}

/* Rows of numbers as activations lie in memory: fp32, or bf16 where half the memory and traffic is worth the digits.
 *
 * The type of the rows decides how a kernel computes: products of bf16 rows run in bf16 with fp32 accumulation,
 * products of fp32 rows in fp32; all else computes in fp32 and rounds to nearest even when it stores. */
#ifndef HONE_MATH_ROWS_H
#define HONE_MATH_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The least multiple of `unit` that is not less than n. */
static inline int
round_up(int n, int unit)
{
	return (n + unit - 1) / unit * unit;
}

enum num { NUM_F32, NUM_BF16 };

struct rows {
	void *data;
	int ld;              /* elements from one row to the next */
	enum num type;
};

static inline size_t
num_size(enum num type)
{
	return type == NUM_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* Attention's view of rows: head h of row t begins `stride` * h elements into it. */
struct heads {
	struct rows rows;
	int stride;
};

/* The rows from row t and column c on. */
static inline struct rows
rows_at(struct rows r, int t, int c)
{
	ptrdiff_t at = (ptrdiff_t)t * r.ld + c;
	return (struct rows){(char *)r.data + at * (ptrdiff_t)num_size(r.type), r.ld, r.type};
}

static inline struct rows
rows_f32(const float *data, int ld)
{
	return (struct rows){(void *)(uintptr_t)data, ld, NUM_F32};
}

static inline float
bf16_to_f32(uint16_t h)
{
	uint32_t bits = (uint32_t)h << 16;
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

/* To nearest, ties to even; a NaN becomes the usual one. */
static inline uint16_t
bf16_from_f32(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
	return f == f ? (uint16_t)(rounded >> 16) : 0x7fc0;
}

/* Element i from `data` on, of a type that the compiler knows where it matters. */
static inline float
num_load(const void *data, size_t i, enum num type)
{
	return type == NUM_F32 ? ((const float *)data)[i] : bf16_to_f32(((const uint16_t *)data)[i]);
}

static inline void
num_store(void *data, size_t i, enum num type, float x)
{
	if (type == NUM_F32)
		((float *)data)[i] = x;
	else
		((uint16_t *)data)[i] = bf16_from_f32(x);
}

/* Asks for n elements of row t from column c on, which may be beyond the last: a kernel does so for the row after the one
 * that it computes, as the processor does not look ahead from one row to the next by itself. */
static inline void
row_ahead(struct rows r, int t, int c, int n)
{
	const char *p = rows_at(r, t, c).data;
	for (size_t i = 0; i < (size_t)n * num_size(r.type); i += 64)
		__builtin_prefetch(p + i);
}

/* n elements of row t from column c on, as fp32: where they lie, or copied into buf[n]. */
const float *row_load(struct rows r, int t, int c, int n, float *buf);

/* Where to put n fp32 elements of row t from column c on: in place, or buf; row_store then writes them there. */
static inline float *
row_begin(struct rows r, int t, int c, float *buf)
{
	return r.type == NUM_F32 ? (float *)r.data + (ptrdiff_t)t * r.ld + c : buf;
}

void row_store(struct rows r, int t, int c, int n, const float *buf);

/* to[T,n] = from[T,n], converting where the types differ; in parallel. */
void rows_copy(struct rows to, struct rows from, int T, int n);

/* n heads of D elements, side by side: to[T,n*D] = from, likewise. */
void heads_copy(struct rows to, struct heads from, int T, int n, int D);

#endif

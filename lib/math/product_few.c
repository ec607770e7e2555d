#include "math/product_few.h"

#include <omp.h>

#include "math/few_kernel.h"
#include "math/gemm.h"
#include "math/simd.h"

/* Numbers side by side: the most that gcc keeps in registers. Of longer ones than those of the processor it makes as many as
 * are needed on x86, but leaves them in memory on ARM. */
#ifdef __aarch64__
enum { SIDE = 4, PAIRS = 2 };
#else
enum { SIDE = 16, PAIRS = 1 };
#endif

enum {
	PAIR = 2 * SIDE,
	STEP = PAIRS * PAIR, /* elements of a stored row that are multiplied at a time */
	PIECE = 512,        /* elements of a stored row that are expanded at a time, where that is needed */
	ROWS = 8,           /* stored rows that are read side by side */
	AHEAD = 8192,       /* bytes from what is computed to what memory is asked for */
	OUTPUTS = 16,       /* rows of W^T, or */
	COLUMNS = 64,       /* columns of W that make the unit of work */
};

struct few {
	struct rows y;
	const float *x[FEW_ROWS];
	int ld;             /* from one x to the next */
	few_dots *kernel;   /* of this processor, or NULL */
	const struct matrix *w;
	int T, N, K;
	float alpha, beta;
};

bool
product_is_few(int T, int K)
{
	return T <= FEW_ROWS && (size_t)(T + 1) * ((size_t)K + FEW_TURN) <= MATH_SCRATCH;
}

/* At any address. */
typedef float vec __attribute__((vector_size(SIDE * sizeof(float)), aligned(4), may_alias));
typedef uint32_t vec_bits __attribute__((vector_size(SIDE * sizeof(float))));

HONE_INLINE void
load_f32(vec *a, vec *b, const unsigned char *from)
{
	memcpy(a, from, sizeof *a);
	memcpy(b, from + sizeof *a, sizeof *b);
}

/* Even and odd elements of a pair apart, which takes no more than a shift and a mask. x lies in the same order. */
HONE_INLINE void
load_bf16(vec *a, vec *b, const unsigned char *from)
{
	vec_bits pairs, even, odd;
	memcpy(&pairs, from, sizeof pairs);
	even = pairs << 16;
	odd = pairs & 0xffff0000;
	memcpy(a, &even, sizeof *a);
	memcpy(b, &odd, sizeof *b);
}

static void
even_and_odd(float *x, int n)
{
	for (int i = 0; i < n; i += PAIR) {
		float was[PAIR];
		memcpy(was, x + i, sizeof was);
		for (int j = 0; j < SIDE; j++) {
			x[i + j] = was[2 * j];
			x[i + j + SIDE] = was[2 * j + 1];
		}
	}
}

HONE_INLINE float
tree_sum(float sums[STEP])
{
	for (int n = STEP / 2; n > 0; n /= 2)
		for (int j = 0; j < n; j++)
			sums[j] += sums[j + n];
	return sums[0];
}

/* A step: elements i .. i+STEP-1 of each x[t], and those at w. */
HONE_INLINE void
add_products(vec acc[FEW_ROWS][PAIRS][2], const float *const x[FEW_ROWS], int i, const unsigned char *w,
	void (*load)(vec *, vec *, const unsigned char *), size_t size, const int T)
{
	vec a, b, u, v;
#pragma GCC unroll 2
	for (int p = 0; p < PAIRS; p++, i += PAIR, w += PAIR * size) {
		load(&a, &b, w);
#pragma GCC unroll 4
		for (int t = 0; t < T; t++) {
			load_f32(&u, &v, (const unsigned char *)(x[t] + i));
			acc[t][p][0] += u * a;
			acc[t][p][1] += v * b;
		}
	}
}

/* out[t] = sums of n products of x[t] and w, which is of `size` bytes an element; T is a constant where this is
 * expanded. Several vectors of partial sums for each, so that additions need not wait for each other. */
HONE_INLINE void
dots(float out[FEW_ROWS], const float *const x[FEW_ROWS], const unsigned char *w,
	void (*load)(vec *, vec *, const unsigned char *), size_t size, int n, const int T)
{
	vec acc[FEW_ROWS][PAIRS][2] = {{{{0}}}};
	float sums[STEP];
	int i = 0;
	for (; i + STEP <= n; i += STEP) {
		__builtin_prefetch(w + (size_t)i * size + AHEAD);
		add_products(acc, x, i, w + (size_t)i * size, load, size, T);
	}
	if (i < n) {
		unsigned char rest[STEP * sizeof(float)] = {0};
		memcpy(rest, w + (size_t)i * size, (size_t)(n - i) * size);
		add_products(acc, x, i, rest, load, size, T);
	}
#pragma GCC unroll 4
	for (int t = 0; t < T; t++) {
		memcpy(sums, acc[t], sizeof sums);
		out[t] = tree_sum(sums);
	}
}

#define DOTS(T) (half ? dots(out, x, w, load_bf16, 2, n, T) : dots(out, x, w, load_f32, 4, n, T))

/* The same for n elements from k on, which are at w in fp32, or in bf16. */
HONE_SIMD static void
piece_dots(float out[FEW_ROWS], const struct few *f, int k, const unsigned char *w, bool half, int n)
{
	const float *x[FEW_ROWS];
	for (int t = 0; t < f->T; t++)
		x[t] = f->x[t] + k;
	switch (f->T) {
	case 1:
		DOTS(1);
		break;
	case 2:
		DOTS(2);
		break;
	case 3:
		DOTS(3);
		break;
	default:
		DOTS(4);
	}
}

/* x . row r of W */
static void
row_dots(float out[FEW_ROWS], const struct few *f, int r)
{
	float buf[PIECE], part[FEW_ROWS];
	bool half = f->w->form == MATRIX_BF16;
	if (f->kernel) {
		f->kernel(out, f->w, r, f->x[0], f->ld, f->T);
		return;
	}
	if (half || f->w->form == MATRIX_F32) {
		size_t at = (size_t)r * (size_t)f->K;
		piece_dots(out, f, 0, (const unsigned char *)f->w->data + at * (half ? 2 : 4), half, f->K);
		return;
	}
	memset(out, 0, FEW_ROWS * sizeof *out);
	for (int k = 0; k < f->K; k += PIECE) {
		int n = f->K - k < PIECE ? f->K - k : PIECE;
		matrix_expand(buf, PIECE, f->w, r, 1, k, n);
		piece_dots(part, f, k, (const unsigned char *)buf, false, n);
		for (int t = 0; t < f->T; t++)
			out[t] += part[t];
	}
}

/* sums[n] += x[0] w[0][n] + x[1] w[1][n] + ..., one after the other, for `rows` of bf16, ld apart. */
HONE_INLINE void
add_rows_bf16(float *sums, const float *x, const unsigned char *w, size_t ld, int n, const int rows)
{
	for (int i = 0; i < n; i++) {
		float s = sums[i];
		for (int r = 0; r < rows; r++) {
			uint16_t h;
			memcpy(&h, w + 2 * (r * ld + (size_t)i), sizeof h);
			s += x[r] * bf16_to_f32(h);
		}
		sums[i] = s;
	}
}

HONE_INLINE void
add_rows_f32(float *sums, const float *x, const float *w, size_t ld, int n, const int rows)
{
	for (int i = 0; i < n; i++) {
		float s = sums[i];
		for (int r = 0; r < rows; r++)
			s += x[r] * w[r * ld + (size_t)i];
		sums[i] = s;
	}
}

/* Rows k .. k+rows-1 of W, columns n0 .. n0+n-1. */
HONE_SIMD static void
add_rows(float *sums, const struct few *f, int k, int rows, int n0, int n)
{
	size_t at = (size_t)k * (size_t)f->N + (size_t)n0, ld = (size_t)f->N;
	float buf[ROWS * PIECE];
	const float *w = buf;
	size_t each = f->w->form == MATRIX_F32 ? sizeof(float) : sizeof(uint16_t);
	for (int r = 0; r < rows && f->w->form <= MATRIX_F16; r++)
		for (int i = 0; i < n; i += 64 / (int)each)
			__builtin_prefetch((const char *)f->w->data + (at + (size_t)(ROWS + r) * ld + (size_t)i) * each);
	if (f->w->form == MATRIX_F32)
		w = (const float *)f->w->data + at;
	else if (f->w->form != MATRIX_BF16)
		matrix_expand(buf, PIECE, f->w, k, rows, n0, n), ld = PIECE;
	for (int t = 0; t < f->T; t++, sums += PIECE) {
		const float *x = f->x[t] + k;
		if (f->w->form == MATRIX_BF16 && rows == ROWS)
			add_rows_bf16(sums, x, (const unsigned char *)f->w->data + 2 * at, ld, n, ROWS);
		else if (f->w->form == MATRIX_BF16)
			add_rows_bf16(sums, x, (const unsigned char *)f->w->data + 2 * at, ld, n, rows);
		else if (rows == ROWS)
			add_rows_f32(sums, x, w, ld, n, ROWS);
		else
			add_rows_f32(sums, x, w, ld, n, rows);
	}
}

/* Columns n0 .. n0+n-1 of y from sums[T][ld]. */
static void
store(const struct few *f, const float *sums, int ld, int n0, int n)
{
	float buf[PIECE], old[PIECE];
	for (int t = 0; t < f->T; t++) {
		const float *before = f->beta != 0 ? row_load(f->y, t, n0, n, old) : NULL;
		float *to = row_begin(f->y, t, n0, buf);
		for (int i = 0; i < n; i++)
			to[i] = f->alpha * sums[t * ld + i] + (before ? f->beta * before[i] : 0);
		row_store(f->y, t, n0, n, to);
	}
}

static void
outputs(const struct few *f, int n0, int n)
{
	float sums[FEW_ROWS * OUTPUTS], out[FEW_ROWS];
	for (int i = 0; i < n; i++) {
		row_dots(out, f, n0 + i);
		for (int t = 0; t < f->T; t++)
			sums[t * OUTPUTS + i] = out[t];
	}
	store(f, sums, OUTPUTS, n0, n);
}

static void
columns(const struct few *f, int n0, int n)
{
	float sums[FEW_ROWS * PIECE] = {0};
	for (int k = 0; k < f->K; k += ROWS)
		add_rows(sums, f, k, f->K - k < ROWS ? f->K - k : ROWS, n0, n);
	store(f, sums, PIECE, n0, n);
}

/* Columns a thread takes at a time: one unit, or where there are many, up to PIECE. */
static int
columns_at_once(int N)
{
	int each = N / (2 * math_threads()) / COLUMNS * COLUMNS;
	return each < COLUMNS ? COLUMNS : each > PIECE ? PIECE : each;
}

/* x in fp32, filled up with zeros, and in the order in which weights of this form are taken apart. */
static void
widen_rows(struct few *f, struct rows x, bool nt)
{
	bool turn = f->kernel && f->w->form == MATRIX_NF4;
	float *wide = math_scratch();
	f->ld = round_up(f->K, turn ? FEW_TURN : STEP);
	for (int t = 0; t < f->T; t++, wide += f->ld) {
		float *to = turn ? math_scratch() + (size_t)f->T * (size_t)f->ld : wide;
		const float *row = row_load(x, t, 0, f->K, to);
		f->x[t] = wide;
		if (turn) {
			few_turn(wide, row, f->K);
			continue;
		}
		memmove(wide, row, (size_t)f->K * sizeof *wide);
		memset(wide + f->K, 0, (size_t)(f->ld - f->K) * sizeof *wide);
		if (nt && !f->kernel && f->w->form == MATRIX_BF16)
			even_and_odd(wide, f->ld);
	}
}

void
product_few(struct rows y, struct rows x, const struct matrix *w, bool nt, int T, int N, int K, float alpha, float beta)
{
	struct few f = {.y = y, .kernel = nt ? few_avx512(w) : NULL, .w = w, .T = T, .N = N, .K = K, .alpha = alpha,
		.beta = beta};
	widen_rows(&f, x, nt);
	int step = nt ? OUTPUTS : columns_at_once(N);
#pragma omp parallel for schedule(static) if ((size_t)N * (size_t)K > PARALLEL_MIN && !omp_in_parallel())
	for (int n = 0; n < N; n += step)
		(nt ? outputs : columns)(&f, n, N - n < step ? N - n : step);
}

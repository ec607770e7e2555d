#include "math/matvec_kernel.h"

#include <assert.h>

#include "math/gemm.h"
#include "math/simd.h"

enum { PIECE = 1024 };  /* elements of a row that are expanded into the first cache and multiplied there */

struct task {
	struct rows y;
	const float *x;     /* [T, in] */
	int ld;
	const struct matrix *w;
	matvec_dots *dots;
	int T;
	float alpha, beta;
};

/* Results o .. o+n-1 of row t, n <= PIECE. */
static void
put(const struct task *p, int t, int o, int n, const float *sum)
{
	float buf[PIECE], old[PIECE], *y = row_begin(p->y, t, o, buf);
	const float *before = p->beta != 0 ? row_load(p->y, t, o, n, old) : NULL;
	for (int i = 0; i < n; i++)
		y[i] = before ? p->beta * before[i] + p->alpha * sum[i] : p->alpha * sum[i];
	row_store(p->y, t, o, n, y);
}

/* ---- stored [out,in]: a result is the dot product with a row ---- */

HONE_SIMD static float
dot(const float *a, const float *b, int n)
{
	return row_dot(a, b, n);
}

/* Whatever the form. */
static void
dots_expanded(float *sum, const struct matrix *w, int o, const float *x, int ld, int T)
{
	float piece[PIECE];
	for (int t = 0; t < T; t++)
		sum[t] = 0;
	for (int c = 0; c < w->in; c += PIECE) {
		int n = w->in - c < PIECE ? w->in - c : PIECE;
		matrix_expand(piece, n, w, o, 1, c, n);
		for (int t = 0; t < T; t++)
			sum[t] += dot(piece, x + (size_t)t * (size_t)ld + c, n);
	}
}

static void
few_rows(const struct task *p, int o, int n)
{
	float sum[MATVEC_ROWS][PIECE], dots[MATVEC_ROWS];
	for (int r = 0; r < n; r++) {
		p->dots(dots, p->w, o + r, p->x, p->ld, p->T);
		for (int t = 0; t < p->T; t++)
			sum[t][r] = dots[t];
	}
	for (int t = 0; t < p->T; t++)
		put(p, t, o, n, sum[t]);
}

static void
by_rows(const struct task *p)
{
	enum { TASK = 1 << 16 };  /* weights that a thread takes at a time */
	int out = p->w->out, step = TASK / (p->w->in + 1) + 1;
	step = step < PIECE ? step : PIECE;
#pragma omp parallel for schedule(dynamic) if (out > step)
	for (int o = 0; o < out; o += step)
		few_rows(p, o, out - o < step ? out - o : step);
}

/* ---- stored [in,out]: the results are a sum of rows ---- */

HONE_SIMD static void
add_scaled(float *restrict sum, const float *restrict w, float x, int n)
{
	for (int i = 0; i < n; i++)
		sum[i] += x * w[i];
}

static void
few_columns(const struct task *p, int o, int n)
{
	float piece[PIECE], sum[MATVEC_ROWS][PIECE] = {0};
	for (int i = 0; i < p->w->in; i++) {
		matrix_expand(piece, n, p->w, i, 1, o, n);
		for (int t = 0; t < p->T; t++)
			add_scaled(sum[t], piece, p->x[(size_t)t * (size_t)p->ld + (size_t)i], n);
	}
	for (int t = 0; t < p->T; t++)
		put(p, t, o, n, sum[t]);
}

static void
by_columns(const struct task *p)
{
	enum { STEP = PIECE / 4 };
	int out = p->w->out;
#pragma omp parallel for schedule(dynamic) if (out > STEP)
	for (int o = 0; o < out; o += STEP)
		few_columns(p, o, out - o < STEP ? out - o : STEP);
}

static int
whole(int n, int unit)
{
	return (n + unit - 1) / unit * unit;
}

/* x in fp32, and in the order of the kernel. Rows begin where a cache line does: reading them is half of the work when
 * there are several. */
static void
prepare(struct task *p, struct rows x)
{
	enum { LINE = 16 };
	int in = p->w->in;
	bool turn = p->w->form == MATRIX_NF4 && p->dots != dots_expanded;
	float *to = math_scratch();
	to += (LINE - (uintptr_t)to / sizeof *to % LINE) % LINE;
	p->x = to;
	p->ld = whole(in, turn ? MATVEC_TURN : LINE);
	_Static_assert((MATVEC_ROWS + 1) * (MATVEC_IN + MATVEC_TURN) + LINE <= MATH_SCRATCH, "the scratch holds x");
	assert(matvec_suits(p->w, p->T));
	if (!turn)
		rows_copy(rows_f32(to, p->ld), x, p->T, in);
	for (int t = 0; turn && t < p->T; t++) {
		struct rows plain = rows_f32(to + (ptrdiff_t)p->T * p->ld, in);
		rows_copy(plain, rows_at(x, t, 0), 1, in);
		matvec_turn(to + (ptrdiff_t)t * p->ld, plain.data, in);
	}
}

void
matvec(struct rows y, struct rows x, const struct matrix *w, int T, float alpha, float beta)
{
	matvec_dots *fast = w->transposed ? NULL : matvec_avx512(w);
	struct task p = {.y = y, .w = w, .dots = fast ? fast : dots_expanded, .T = T, .alpha = alpha, .beta = beta};
	prepare(&p, x);
	(w->transposed ? by_columns : by_rows)(&p);
}

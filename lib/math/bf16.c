#include "math/bf16.h"

#include <assert.h>
#include <omp.h>

#include "math/bf16_kernel.h"
#include "math/bf16_pack.h"
#include "math/gemm.h"
#include "math/scratch.h"

/* How a product is cut. A panel of B, [depth][width], is packed once and stays in the second-level cache while rows of
 * A pass by. That changes no bit of the result: sums that are put aside are fp32, as in the registers. But it takes
 * time, and so k is cut only where panels would get too narrow. */
enum {
	PANEL_ELEMENTS = 640 << 10,    /* most of depth x width */
	DEPTH = 2048,                  /* most of k at a time, so that width does not get small */
	WIDTH = 256,                   /* width where N has that much for each thread */
	WIDTH_MAX = 1024,
	CHUNK = 128,                   /* rows of A that are packed at a time */
	SUMS = MATH_SCRATCH,           /* put aside between two depths */
	SMALL = 1 << 18,               /* multiply-adds not worth waking other threads for */
};

struct cut {
	int depth, width;
	int panels, tiles;  /* across N, down M */
};

struct product {
	const struct bf16_kernel *kernel;
	struct rows c;
	struct operand a, b;
	int M, N, K;
	float alpha, beta;
	bool direct;  /* A is read where it lies */
	struct cut cut;
};

struct memory {
	struct tile_state state;
	_Alignas(64) uint16_t b[PANEL_ELEMENTS + 32 * DEPTH + 2 * WIDTH_MAX];
	_Alignas(64) uint16_t a[CHUNK * (DEPTH + 32)];
	_Alignas(64) float pack[];
};

static struct memory *
own_memory(void)
{
	return thread_scratch(SCRATCH_PANELS, sizeof(struct memory) + bf16_pack_scratch(WIDTH_MAX) * sizeof(float));
}

static int
least(int a, int b)
{
	return a < b ? a : b;
}

static int
parts(int n, int of)
{
	return (n + of - 1) / of;
}

/* Pieces of a multiple of `unit` that cover n, as many as pieces of `most` would be, about equal. */
static int
even_piece(int n, int most, int unit)
{
	return parts(parts(n, parts(n, most)), unit) * unit;
}

/* Rows that lie a multiple of 2 KiB apart meet in the same few sets of the first-level cache. */
static bool
can_be_direct(const struct operand *a, const struct bf16_kernel *k, int K)
{
	return !a->w && a->rows.type == NUM_BF16 && !a->k_rows && K % k->k_unit == 0 && a->rows.ld % 1024 != 0;
}

/* An A that must be packed is packed again for every panel of B, so there should be few panels; an A that is only read
 * should be shared out so that each thread packs other panels. */
static struct cut
cut_product(const struct product *p, int threads)
{
	struct cut c;
	int deepest = DEPTH, unit = TILE_COLUMNS;
	if (!p->direct && PANEL_ELEMENTS / p->N < DEPTH)
		deepest = PANEL_ELEMENTS / p->N < 512 ? 512 : PANEL_ELEMENTS / p->N;
	c.depth = even_piece(p->K, deepest, p->kernel->k_unit);
	int widest = least(PANEL_ELEMENTS / c.depth / unit * unit, WIDTH_MAX);
	int share = parts(p->N, threads), width = !p->direct ? p->N : share < WIDTH ? WIDTH : share;
	c.width = even_piece(p->N, least(width, widest), unit);
	c.tiles = parts(p->M, p->kernel->rows);
	while (c.width > unit && parts(p->N, c.width) * c.tiles < 2 * threads)
		c.width = parts(c.width / 2, unit) * unit;
	c.panels = parts(p->N, c.width);
	return c;
}

/* The part of a product that a packed panel of B is good for. */
struct block {
	const struct product *p;
	struct memory *s;
	float *sums;
	int m0, n0, nn, k0, kn, k_pad;  /* m0: the row whose sums are put aside first */
};

/* From one panel of 16 columns to the next: a line more than it takes, lest they all meet in the same sets. */
static size_t
panel_step(const struct block *b)
{
	return (size_t)b->k_pad * PANEL + 2 * PANEL;
}

/* Asks for a share of the next tile's rows of A while this one is computed. */
static void
prefetch(const struct block *b, const uint16_t *a, size_t lda, int rows, int share, int shares)
{
	for (int i = rows * share / shares; i < rows * (share + 1) / shares; i++)
		for (int k = 0; k < b->kn; k += 32)
			__builtin_prefetch(a + (size_t)i * lda + k, 0, 2);
}

/* A tile's rows, m .. m+rows-1, against the whole panel. `next`: rows of A that will be read after these, or none. */
static void
tile_row(const struct block *b, const uint16_t *a, size_t lda, int m, int rows, int next)
{
	const struct product *p = b->p;
	const struct cut *cut = &p->cut;
	struct tile_job t = {.a = a, .lda = lda, .panel = panel_step(b), .k = b->k_pad};
	float *sums = b->sums + (cut->depth < p->K ? (size_t)(m - b->m0) * (size_t)cut->width : 0);
	t.ld_partial = (size_t)cut->width;
	t.first = b->k0 == 0;
	t.last = b->k0 + b->kn == p->K;
	t.out = (struct tile_out){.rows = rows, .alpha = p->alpha, .beta = p->beta};
	for (int n = 0; n < b->nn; n += TILE_COLUMNS) {
		t.b = b->s->b + (size_t)(n / PANEL) * t.panel;
		t.partial = sums + n;
		t.out.columns = least(TILE_COLUMNS, b->nn - n);
		t.out.c = rows_at(p->c, m, b->n0 + n);
		p->kernel->tile(&b->s->state, &t);
		if (next)
			prefetch(b, a + (size_t)rows * lda, lda, next, n, b->nn);
	}
}

/* Rows m .. m+n-1 of C, n <= CHUNK. */
static void
chunk(const struct block *b, int m, int n, int more)
{
	const struct product *p = b->p;
	const int rows = p->kernel->rows;
	bool direct = p->direct && !(p->kernel->whole_tiles && n % 16 != 0);
	size_t lda = direct ? (size_t)p->a.rows.ld : (size_t)p->cut.depth + 32;
	const uint16_t *a = direct ? rows_at(p->a.rows, m, b->k0).data : b->s->a;
	if (!direct)
		bf16_pack_a(b->s->a, lda, &p->a, m, n, parts(n, 16) * 16, b->k0, b->kn, b->k_pad, b->s->pack);
	for (int i = 0; i < n; i += rows) {
		int after = direct ? n - i - rows + more : 0;
		tile_row(b, a + (size_t)i * lda, lda, m + i, least(rows, n - i), after < 0 ? 0 : least(rows, after));
	}
}

/* Rows m0 .. m1-1 of one panel's width of C. */
static void
panel_product(const struct product *p, struct memory *s, int panel, int m0, int m1)
{
	const struct cut *cut = &p->cut;
	struct block b = {.p = p, .s = s, .sums = math_scratch(), .m0 = m0, .n0 = panel * cut->width};
	const int rows = CHUNK / p->kernel->rows * p->kernel->rows;
	b.nn = least(cut->width, p->N - b.n0);
	for (b.k0 = 0; b.k0 < p->K; b.k0 += cut->depth) {
		b.kn = least(cut->depth, p->K - b.k0);
		b.k_pad = parts(b.kn, p->kernel->k_unit) * p->kernel->k_unit;
		bf16_pack_b(s->b, panel_step(&b), &p->b, b.n0, b.nn, b.k0, b.kn, b.k_pad, s->pack);
		for (int m = m0; m < m1; m += rows)
			chunk(&b, m, least(rows, m1 - m), m + rows < m1 ? m1 - m - rows : 0);
	}
}

/* The tiles of C, panel by panel, are one line, of which each thread takes an equal stretch. */
static void
thread_share(const struct product *p, int thread, int threads)
{
	const struct cut *cut = &p->cut;
	struct memory *s = own_memory();
	long long all = (long long)cut->panels * cut->tiles;
	long long at = all * thread / threads, end = all * (thread + 1) / threads;
	int most = p->K > cut->depth ? SUMS / cut->width / p->kernel->rows : cut->tiles;
	p->kernel->begin(&s->state);
	while (at < end) {
		int panel = (int)(at / cut->tiles), t0 = (int)(at % cut->tiles);
		int t1 = t0 + least(most, cut->tiles - t0);
		if (end - at < t1 - t0)
			t1 = t0 + (int)(end - at);
		panel_product(p, s, panel, t0 * p->kernel->rows, least(t1 * p->kernel->rows, p->M));
		at += t1 - t0;
	}
	p->kernel->end(&s->state);
}

void
bf16_product(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha, float beta)
{
	struct product p = {bf16_kernel(), c, a, b, M, N, K, alpha, beta};
	assert(!a.part);
	if (M == 0 || N == 0)
		return;
	if (!p.kernel || K == 0) {
		bf16_product_fp32(c, a, b, M, N, K, alpha, beta);
		return;
	}
	bool alone = omp_in_parallel() || (double)M * N * K < SMALL;
	p.direct = can_be_direct(&a, p.kernel, K);
	p.cut = cut_product(&p, alone ? 1 : math_threads());
	if (alone) {
		thread_share(&p, 0, 1);
		return;
	}
#pragma omp parallel
	thread_share(&p, omp_get_thread_num(), omp_get_num_threads());
}

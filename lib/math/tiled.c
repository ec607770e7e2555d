#include "math/tiled.h"

#include <assert.h>
#include <omp.h>

#include "math/gemm.h"
#include "math/scratch.h"
#include "math/share.h"

/* How a product is cut. A slab of B is packed once, by all threads together, and multiplied with rows of A in pieces,
 * each a chunk of rows by a panel of the slab that stays in the second-level cache while the rows pass by. Where k is cut,
 * too, C takes up what a depth sums to, or the sums are put aside between two depths and go on as one chain: in bf16, where C
 * would round them. That takes time, and so k is cut only where panels would get too narrow. */
enum {
	PANEL_BYTES = 1280 << 10,      /* most of depth x width */
	SLAB_PANELS = 8,               /* of such size in a slab, and no more than one a thread */
	DEPTH_BYTES = 4 << 10,         /* no kernel's depth is more */
	WIDTH = 256,                   /* width where N has that much for each thread */
	WIDTH_MAX = PACK_COLUMNS,
	CHUNK = 128,                   /* most rows of A at a time */
	GAP = 64,                      /* bytes between panels, and rows of A, lest they all meet in the same sets of a cache, */
	GAP_MOST = 3 * GAP,            /* or as many more as make whole elements and leave what comes next where a line begins */
	PIECES = 8,                    /* for each thread, where there are rows enough: the last to be done should be short */
	SUMS = 2 << 20,                /* put aside between two depths, most */
	STREAMED = 4 << 20,            /* bytes of a C that is read from memory in any case, least */
	TEAM_MAX = 256,
};

/* A slab's, of which one panel has its gaps besides. */
enum { SLAB_BYTES = SLAB_PANELS * PANEL_BYTES + WIDTH_MAX / PANEL * GAP_MOST };

struct cut {
	int depth, width;
	int slab;    /* columns of a slab: whole panels */
	int chunk;   /* rows */
	int rows;    /* whole chunks for which sums can be put aside; M where that is not needed */
};

struct product {
	const struct tile_kernel *kernel;
	size_t size;  /* of a packed element */
	struct rows c;
	struct operand a, b;
	int M, N, K;
	float alpha, beta;
	bool direct;  /* A is read where it lies */
	bool streamed;  /* C is stored past the caches */
	struct cut cut;
};

/* What the threads of a product share. */
struct shared {
	struct share share[TEAM_MAX];
	struct meeting meeting;
	_Alignas(64) unsigned char b[SLAB_BYTES];
	_Alignas(64) float sums[SUMS];
};

/* A thread's own. */
struct own {
	struct tile_state state;
	_Alignas(64) unsigned char a[CHUNK * (DEPTH_BYTES + GAP_MOST)];
	_Alignas(64) float pack[PACK_SCRATCH];
};

/* One of those at work on a product. */
struct worker {
	const struct product *p;
	struct shared *shared;
	struct own *own;
	int thread, threads;
};

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

/* k with the zeros behind it, and the elements of so deep a panel of 16 columns with what lies behind it. */
static int
padded(const struct tile_kernel *kernel, int k)
{
	return parts(k, kernel->k_unit) * kernel->k_unit;
}

/* Elements in a gap: as GAP is a power of two, so many of any size end where a line does. */
static size_t
gap(const struct tile_kernel *kernel)
{
	return GAP / (size_t)(kernel->size & -kernel->size);
}

static size_t
panel_step(const struct tile_kernel *kernel, int k)
{
	return (size_t)padded(kernel, k) * PANEL + gap(kernel);
}

/* Packed elements in so many bytes. */
static int
elements(const struct product *p, int bytes)
{
	return bytes / (int)p->size;
}

/* Whether the rows of a tile, so many bytes apart, would meet in a few sets of the first-level cache: a set holds 8 lines
 * and more, and comes again after 4 KiB. */
static bool
rows_collide(int rows, size_t apart)
{
	size_t step = apart & -apart;  /* the largest power of two that divides it */
	return (size_t)rows * (step < 4096 ? step : 4096) > 8 * 4096;
}

static bool
can_be_direct(const struct product *p)
{
	const struct operand *a = &p->a;
	return !a->w && a->rows.type == p->kernel->type && !p->kernel->packs_a && !a->k_rows && p->K % p->kernel->k_unit == 0 &&
		!rows_collide(p->kernel->rows, (size_t)a->rows.ld * p->size);
}

/* An A that must be packed is packed again for every panel of B, so there should be few panels; an A that is only read
 * should be shared out so that each thread has a panel of its own. */
static int
panel_width(const struct product *p, int depth, int threads)
{
	enum { UNIT = TILE_COLUMNS };
	int tiles = parts(p->M, p->kernel->rows), widest = least(elements(p, PANEL_BYTES) / depth / UNIT * UNIT, WIDTH_MAX);
	int share = parts(p->N, threads), width = !p->direct ? p->N : share < WIDTH ? WIDTH : share;
	width = even_piece(p->N, least(width, widest), UNIT);
	while (width > UNIT && parts(p->N, width) * tiles < 2 * threads)
		width = parts(width / 2, UNIT) * UNIT;
	return width;
}

static bool
can_be_streamed(const struct product *p)
{
	enum { LINE = 64 };
	const size_t row = (size_t)p->c.ld * sizeof(uint16_t);
	return p->c.type == NUM_BF16 && p->beta == 0 && (size_t)p->M * (size_t)p->N * sizeof(uint16_t) >= STREAMED &&
		((uintptr_t)p->c.data | row) % LINE == 0;
}

static struct cut
cut_product(const struct product *p, int threads)
{
	struct cut c;
	const int unit = p->kernel->rows, panel = elements(p, PANEL_BYTES);
	int deepest = p->kernel->depth;
	if (!p->direct && panel / p->N < deepest)
		deepest = least(deepest, panel / p->N < 512 ? 512 : panel / p->N);
	c.depth = even_piece(p->K, deepest, p->kernel->k_unit);
	c.width = panel_width(p, c.depth, threads);
	const int wide = c.width / PANEL * (int)(panel_step(p->kernel, c.depth) * p->size);
	int panels = parts(p->N, c.width), most = least(threads, SLAB_PANELS) * PANEL_BYTES / wide;
	panels = most < 1 ? 1 : parts(panels, parts(panels, most));
	c.slab = panels * c.width;
	assert(panels * wide <= SLAB_BYTES);
	int tiles = least(CHUNK / unit, parts(p->M, unit));
	while (tiles > 1 && panels * parts(p->M, tiles * unit) < PIECES * threads)
		tiles /= 2;
	c.chunk = tiles * unit;
	c.rows = c.depth < p->K && !p->kernel->adds ? least(p->M, SUMS / c.slab / c.chunk * c.chunk) : p->M;
	return c;
}

/* The part of a product that a packed slab of B is good for. */
struct slab {
	const struct product *p;
	unsigned char *b;
	size_t step;  /* elements from one panel of 16 columns to the next */
	enum {PACK_ALL, PACK_FROZEN, PACK_REST} pack;  /* which parts are to be packed; where no part is are zeros by PACK_REST */
	float *sums;
	int m0, mm, n0, nn, k0, kn, k_pad;
};

/* The packed panels from column n of the slab on, which is the first of one. */
static void *
panel_at(const struct slab *b, int n)
{
	return b->b + (size_t)(n / PANEL) * b->step * b->p->size;
}

/* A piece: rows m .. m+rows-1 by columns n .. n+columns-1 of a slab. */
struct piece {
	int m, rows, n, columns;
};

/* A chunk of A for one depth, as it lies or packed. */
struct left {
	const char *at;
	size_t lda;
	bool tiles;
};

/* Where the sums of a depth go on from and go to; C is touched once, after the last, unless it takes up each. */
static void
begin_sums(struct tile_job *t, const struct slab *b, int m)
{
	const struct product *p = b->p;
	bool adds = p->kernel->adds, aside = p->cut.depth < p->K && !adds;
	t->partial = b->sums + (aside ? (size_t)(m - b->m0) * (size_t)p->cut.slab : 0);
	t->ld_partial = (size_t)p->cut.slab;
	t->first = adds || b->k0 == 0;
	t->last = adds || b->k0 + b->kn == p->K;
	t->out.beta = adds && b->k0 ? 1 : p->beta;
}

/* A tile's rows, i .. i+rows-1 of a piece, against all of its columns. */
static void
tile_row(const struct slab *b, struct tile_state *s, const struct piece *piece, const struct left *a, int i)
{
	const struct product *p = b->p;
	const int rows = least(p->kernel->rows, piece->rows - i);
	const size_t row_bytes = a->lda * p->size;
	struct tile_job t = {.a = a->at + (size_t)i * row_bytes, .a_tiles = a->tiles, .lda = a->lda, .panel = b->step,
		.k = b->k_pad, .out = {.rows = rows, .alpha = p->alpha, .streamed = p->streamed}};
	begin_sums(&t, b, piece->m + i);
	float *sums = t.partial;
	for (int n = 0; n < piece->columns; n += TILE_COLUMNS) {
		t.b = panel_at(b, piece->n + n);
		t.partial = sums + piece->n + n;
		t.out.columns = least(TILE_COLUMNS, piece->columns - n);
		t.out.c = rows_at(p->c, piece->m + i, b->n0 + piece->n + n);
		p->kernel->tile(s, &t);
	}
}

static struct left
left_of(const struct slab *b, struct own *own, const struct piece *piece)
{
	const struct product *p = b->p;
	const struct tile_kernel *k = p->kernel;
	if (p->direct && !(k->whole_tiles && piece->rows % 16 != 0))
		return (struct left){rows_at(p->a.rows, piece->m, b->k0).data, (size_t)p->a.rows.ld, false};
	size_t lda = (size_t)b->k_pad + gap(k);
	int unit = k->whole_tiles ? 16 : k->rows;
	bool tiles = k->pack_a(own->a, lda, &p->a, piece->m, piece->rows, parts(piece->rows, unit) * unit, b->k0, b->kn, b->k_pad,
		own->pack);
	return (struct left){(const char *)own->a, lda, tiles};
}

/* Rows of A that are only made wider or rounded are packed for a tile each, and are in the first-level cache when it reads
 * them; where they are columns, to be turned, all of them together are, as they lie beside each other. */
static void
multiply_piece(const struct slab *b, struct own *own, const struct piece *piece)
{
	const struct product *p = b->p;
	const int rows = p->kernel->rows, some = p->direct || p->a.k_rows ? piece->rows : rows;
	for (int m = 0; m < piece->rows; m += some) {
		const struct piece part = {piece->m + m, least(some, piece->rows - m), piece->n, piece->columns};
		const struct left a = left_of(b, own, &part);
		for (int i = 0; i < part.rows; i += rows)
			tile_row(b, &own->state, &part, &a, i);
	}
}

/* Piece number u of a slab: chunk after chunk of a panel, and panel after panel. */
static struct piece
piece_at(const struct slab *b, int u)
{
	const struct cut *cut = &b->p->cut;
	int chunks = parts(b->mm, cut->chunk), m = u % chunks * cut->chunk, n = u / chunks * cut->width;
	return (struct piece){b->m0 + m, least(cut->chunk, b->mm - m), n, least(cut->width, b->nn - n)};
}

static int
piece_count(const struct slab *b)
{
	return parts(b->mm, b->p->cut.chunk) * parts(b->nn, b->p->cut.width);
}

/* ---- packing a slab ---- */

/* Columns n .. n+nn-1 of a slab, and k .. k+kn-1 of its depth, both counted from where it begins; zeros up to k_pad. */
struct block {
	int n, nn, k, kn, k_pad;
};

/* Zeros where no part is, in one panel of a block. */
static void
clear_gaps(const struct slab *b, const struct block *x, int n)
{
	const size_t row = PANEL * b->p->size;
	const struct operand *o = &b->p->b;
	char *to = (char *)panel_at(b, n) + (size_t)x->k * row;
	int at = 0;
	for (int i = 0; i < o->parts; i++) {
		struct operand_part p;
		if (!operand_part_within(&o->part[i], b->n0 + n, 1, b->k0 + x->k, x->kn, &p))
			continue;
		int begin = p.k0 - b->k0 - x->k;
		memset(to + (size_t)at * row, 0, (size_t)(begin - at) * row);
		at = begin + round_up(p.k, 2);
	}
	if (at < x->k_pad)
		memset(to + (size_t)at * row, 0, (size_t)(x->k_pad - at) * row);
}

static void
pack_operand(const struct slab *b, const struct operand *o, int n0, int k0, const struct block *x, float *scratch)
{
	char *to = (char *)panel_at(b, x->n) + (size_t)x->k * PANEL * b->p->size;
	b->p->kernel->pack_b(to, b->step, o, n0, x->nn, k0, x->kn, x->k_pad, scratch);
}

static void
pack_block(const struct slab *b, const struct block *x, float *scratch)
{
	const struct operand *o = &b->p->b;
	if (!o->part) {
		pack_operand(b, o, b->n0 + x->n, b->k0 + x->k, x, scratch);
		return;
	}
	for (int n = x->n; n < x->n + x->nn && b->pack != PACK_REST; n += PANEL)
		clear_gaps(b, x, n);
	for (int i = 0; i < o->parts; i++) {
		const struct operand_part *whole = &o->part[i];
		struct operand_part p;
		bool skipped = b->pack != PACK_ALL && whole->frozen != (b->pack == PACK_FROZEN);
		if (skipped || !operand_part_within(whole, b->n0 + x->n, x->nn, b->k0 + x->k, x->kn, &p))
			continue;
		const struct block within = {p.n0 - b->n0, p.n, p.k0 - b->k0, p.k, round_up(p.k, 2)};
		pack_operand(b, &p.x, p.n0 - whole->n0, p.k0 - whole->k0, &within, scratch);
	}
}

/* Columns n .. n+nn-1 from k to `end`: where that is the end of the depth, with the zeros behind it. */
static struct block
block_of(const struct slab *b, int n, int nn, int k, int end)
{
	return (struct block){n, nn, k, end - k, (end == b->kn ? b->k_pad : end) - k};
}

/* A thread's share, in the order in which B lies in memory: some k of all columns, or some columns' stretches of k. What is
 * apart in memory is pages apart, and a thread's first look at a page costs more than what it reads there. */
static void
pack_slab(const struct slab *b, const struct worker *w)
{
	enum { ROWS = 8, STRETCHES = 4, UNIT = 32 };
	const struct operand *o = &b->p->b;
	bool k_rows = o->part ? o->part->x.k_rows : o->k_rows;
	int stretch = k_rows ? ROWS : round_up(parts(b->kn, STRETCHES), UNIT), stretches = parts(b->kn, stretch);
	long long units = k_rows ? stretches : (long long)stretches * parts(b->nn, PANEL);
	int u = (int)(units * w->thread / w->threads), end = (int)(units * (w->thread + 1) / w->threads);
	for (int n = 0; n < b->nn && k_rows && u < end; n += WIDTH_MAX) {
		const struct block x = block_of(b, n, least(WIDTH_MAX, b->nn - n), u * stretch, least(end * stretch, b->kn));
		pack_block(b, &x, w->own->pack);
	}
	for (; u < end && !k_rows; u++) {
		int n = u / stretches * PANEL, k = u % stretches * stretch;
		const struct block x = block_of(b, n, least(PANEL, b->nn - n), k, least(k + stretch, b->kn));
		pack_block(b, &x, w->own->pack);
	}
}

/* Where the slab is packed: in memory that is used for slab after slab, or in its place where all of B is kept. */
static void
place_slab(struct slab *b, unsigned char *memory)
{
	const struct product *p = b->p;
	unsigned char *kept = p->b.kept;
	b->k_pad = padded(p->kernel, b->kn);
	b->step = panel_step(p->kernel, kept ? p->K : b->kn);
	b->b = kept ? kept + ((size_t)(b->n0 / PANEL) * b->step + (size_t)b->k0 * PANEL) * p->size : memory;
	b->pack = kept ? PACK_REST : PACK_ALL;
}

/* ---- all of it ---- */

/* A thread ends with all of its sums in C: where C takes up those of each depth, another may add the next. */
static void
multiply_slab(const struct slab *b, const struct worker *w)
{
	if (!b->p->b.kept || b->m0 == 0)
		pack_slab(b, w);
	share_begin(w->shared->share, w->thread, w->threads, piece_count(b));
	share_meet(&w->shared->meeting, w->threads);
	tile_begin(b->p->kernel, &w->own->state);
	for (int u; (u = share_next(w->shared->share, w->thread, w->threads)) >= 0;) {
		const struct piece piece = piece_at(b, u);
		multiply_piece(b, w->own, &piece);
	}
	tile_end(b->p->kernel, &w->own->state);
}

/* Slab after slab: another is packed when all have done with the one before. */
static void
work(const struct worker *w)
{
	const struct product *p = w->p;
	const struct cut *cut = &p->cut;
	struct slab b = {.p = p, .sums = w->shared->sums};
	bool again = false;
	for (b.m0 = 0; b.m0 < p->M; b.m0 += cut->rows)
		for (b.n0 = 0; b.n0 < p->N; b.n0 += cut->slab)
			for (b.k0 = 0; b.k0 < p->K; b.k0 += cut->depth, again = true) {
				b.mm = least(cut->rows, p->M - b.m0);
				b.nn = least(cut->slab, p->N - b.n0);
				b.kn = least(cut->depth, p->K - b.k0);
				place_slab(&b, w->shared->b);
				if (again)
					share_meet(&w->shared->meeting, w->threads);
				multiply_slab(&b, w);
			}
}

static void
take_part(const struct product *p, struct shared *shared, int thread, int threads)
{
	struct own *own = thread_scratch(SCRATCH_TILES, sizeof *own);
	work(&(struct worker){p, shared, own, thread, threads});
}

void
tiled_product(const struct tile_kernel *kernel, struct rows c, struct operand a, struct operand b, int M, int N, int K,
	float alpha, float beta)
{
	struct product p = {kernel, (size_t)kernel->size, c, a, b, M, N, K, alpha, beta};
	assert(!a.part && (!kernel->adds || c.type == NUM_F32));
	if (M == 0 || N == 0)
		return;
	bool alone = omp_in_parallel() || (double)M * N * K < SMALL_PRODUCT;
	int threads = alone ? 1 : least(math_threads(), TEAM_MAX);
	struct shared *shared = thread_scratch(SCRATCH_PANELS, sizeof *shared);
	shared->meeting = (struct meeting){0};
	p.direct = can_be_direct(&p);
	p.streamed = can_be_streamed(&p);
	p.cut = cut_product(&p, threads);
	if (threads == 1) {
		take_part(&p, shared, 0, 1);
		return;
	}
#pragma omp parallel num_threads(threads)
	take_part(&p, shared, omp_get_thread_num(), omp_get_num_threads());
}

/* ---- what is kept ---- */

size_t
tiled_kept_size(const struct tile_kernel *kernel, int N, int K)
{
	return (size_t)parts(N, TILE_COLUMNS) * (TILE_COLUMNS / PANEL) * panel_step(kernel, K) * (size_t)kernel->size;
}

/* All of it as one slab. */
void
tiled_keep(const struct tile_kernel *kernel, struct operand b, int N, int K)
{
	const struct product p = {.kernel = kernel, .size = (size_t)kernel->size, .b = b, .N = N, .K = K};
	struct slab all = {.p = &p, .nn = N, .kn = K};
	place_slab(&all, NULL);
	all.pack = PACK_FROZEN;
#pragma omp parallel num_threads(math_threads())
	{
		struct own *own = thread_scratch(SCRATCH_TILES, sizeof *own);
		pack_slab(&all, &(struct worker){.own = own, .thread = omp_get_thread_num(), .threads = omp_get_num_threads()});
	}
}

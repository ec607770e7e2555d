/* What the engine of math/tiled.h asks of a set of instructions. Internal to lib/math, and to its tests. */
#ifndef HONE_MATH_TILE_KERNEL_H
#define HONE_MATH_TILE_KERNEL_H

#include "math/operand.h"

enum {
	PANEL = 16,           /* columns of B packed side by side: a vector of fp32, or two; one row of a tile */
	TILE_COLUMNS = 32,    /* columns of C computed at a time: two panels */
	TILE_ROWS_MAX = 32,
	PACK_COLUMNS = 1024,  /* rows or columns that are packed in one call, most, */
	PACK_SCRATCH = 52 << 10, /* and floats of scratch for it */
	SMALL_PRODUCT = 1 << 18, /* multiply-adds not worth waking other threads for */
};

/* Where rows x columns sums go: C = beta C + alpha sum. */
struct tile_out {
	struct rows c;
	int rows, columns;  /* at most TILE_ROWS_MAX, TILE_COLUMNS */
	float alpha, beta;
	bool streamed;      /* C is bf16 in whole lines, and too large to be in a cache when it is read: a kernel may store past them */
};

/* A tile of C over a stretch of k, of operands as the kernel packs them. */
struct tile_job {
	const void *a, *b;
	bool a_tiles;              /* as pack_a says that it left A; otherwise rows of k elements */
	size_t lda, panel;         /* elements from one row of A to the next, and from one panel of B to the next */
	int k;                     /* a multiple of the kernel's k_unit */
	/* The sums start from zero or from `partial`, and go there or, at the end of k, to `out`. */
	float *partial;            /* [rows][ld_partial] */
	size_t ld_partial;
	bool first, last;
	struct tile_out out;
};

/* What a thread keeps between tiles. */
struct tile_state {
	_Alignas(64) float sum[2][TILE_ROWS_MAX * TILE_COLUMNS];
	struct tile_out out;  /* of the sums that are not yet stored */
	int at;               /* which of the two holds them, */
	int stored;           /* and how many of their rows are stored */
};

/* C of sums[rows][ld], however many rows and columns; rounded to nearest even where it is bf16. */
void sums_store(const struct tile_out *o, const float *sums, size_t ld);

struct tile_kernel {
	const char *name;
	enum num type;         /* that it computes with: of A where it reads it as it lies */
	int size;              /* bytes of an element of either operand, packed */
	int rows;              /* of a tile of C */
	int k_unit;            /* k is padded with zeros to a multiple of this */
	int depth;             /* most of k at a time, so that panels do not get narrow */
	bool whole_tiles;      /* reads all `rows` of a, also those beyond M */
	bool adds;             /* C, of fp32, takes up the sums of each depth: every job is first and last */
	bool packs_a;          /* always: it does not compute with elements as they lie */
	void (*begin)(struct tile_state *s);  /* before a thread's first tile; NULL: there is nothing to do */
	void (*tile)(struct tile_state *s, const struct tile_job *t);
	void (*end)(struct tile_state *s);    /* after its last, when all is stored; NULL likewise */

	/* Bring rows n0 .. n0+nn-1 of A, and columns of B, for k0 .. k0+kn-1 into the order in which `tile` reads them, with
	 * zeros up to k_pad (even where k_unit is), n_pad rows and whole panels. Neither has parts. A is then rows of k
	 * elements, lda apart, or, if pack_a says so, in tiles of an order of the kernel's own, rows * lda apart. */
	bool (*pack_a)(void *to, size_t lda, const struct operand *a, int n0, int nn, int n_pad, int k0, int kn, int k_pad,
		float *scratch);
	void (*pack_b)(void *to, size_t panel, const struct operand *b, int n0, int nn, int k0, int kn, int k_pad, float *scratch);

	const struct tile_kernel *small;      /* for products that are not worth packing so; NULL: this is for all */
	const struct outer_kernel *outer;  /* math/bf16_outer.h; NULL: such products go the same way as others */
};

/* What is left of a job when the first `rows` rows are done; A's are so many bytes apart. */
static inline void
tile_next_rows(struct tile_job *t, int rows, size_t row_bytes)
{
	t->a = (const char *)t->a + (size_t)rows * row_bytes;
	t->out.c = rows_at(t->out.c, rows, 0);
	t->out.rows -= rows;
}

static inline void
tile_begin(const struct tile_kernel *k, struct tile_state *s)
{
	if (k->begin)
		k->begin(s);
}

static inline void
tile_end(const struct tile_kernel *k, struct tile_state *s)
{
	if (k->end)
		k->end(s);
}

#endif

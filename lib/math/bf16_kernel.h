/* What the engine of math/bf16.h asks of a set of instructions. Internal to lib/math, and to its tests. */
#ifndef HONE_MATH_BF16_KERNEL_H
#define HONE_MATH_BF16_KERNEL_H

#include "math/bf16.h"

enum {
	PANEL = 16,           /* columns of B packed side by side: one vector of fp32, one row of a tile */
	TILE_COLUMNS = 32,    /* columns of C computed at a time: two panels */
	TILE_ROWS_MAX = 32,
};

/* Where rows x columns sums go: C = beta C + alpha sum. */
struct tile_out {
	struct rows c;
	int rows, columns;  /* at most TILE_ROWS_MAX, TILE_COLUMNS */
	float alpha, beta;
};

/* A tile of C over a stretch of k.
 * a: rows of k elements, `lda` apart; b: panels, `panel` elements apart, each [k/2][PANEL][2]: pairs along k.
 * The sums start from zero or from `partial`, and go there or, at the end of k, to `out`. */
struct tile_job {
	const uint16_t *a, *b;
	size_t lda, panel;
	int k;                     /* a multiple of the kernel's k_unit */
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

struct bf16_kernel {
	const char *name;
	int rows;              /* of a tile of C */
	int k_unit;            /* k is padded with zeros to a multiple of this */
	bool whole_tiles;      /* reads all `rows` of a, also those beyond M */
	void (*begin)(struct tile_state *s);  /* before a thread's first tile */
	void (*tile)(struct tile_state *s, const struct tile_job *t);
	void (*end)(struct tile_state *s);    /* after its last; all is stored */
};

extern const struct bf16_kernel bf16_avx512, bf16_amx;

/* The kernel in use, NULL where there is none and products run in fp32. Tests set others. */
const struct bf16_kernel *bf16_kernel(void);
void bf16_set_kernel(const struct bf16_kernel *k);

/* The same products with what the C compiler and BLAS have. */
void bf16_product_fp32(struct rows c, struct operand a, struct operand b, int M, int N, int K, float alpha,
	float beta);

#endif

#include "math/packed.h"

#include <assert.h>

#include "math/bf16_kernel.h"
#include "math/bf16_pack.h"
#include "math/gemm.h"

static int
up(int n, int unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Whole tiles of rows, whole steps of k, and of panels as many as a tile is wide: the kernel may read all of it. */
size_t
packed_size(enum side side, int n, int k)
{
	size_t elements = (size_t)up(n, side == LEFT ? TILE_ROWS_MAX : TILE_COLUMNS) * (size_t)up(k, PACKED_K);
	return elements * (bf16_kernel() ? sizeof(uint16_t) : sizeof(float));
}

/* ---- without a kernel: fp32 of what was rounded to bf16, [n][up(k)] ---- */

static void
make_fp32(float *to, const struct operand *x, int n, int k)
{
	int ld = up(k, PACKED_K), rows = x->k_rows ? k : n, columns = x->k_rows ? n : k;
	float *buf = math_scratch();
	assert(!x->w && columns <= MATH_SCRATCH);
	memset(to, 0, (size_t)n * (size_t)ld * sizeof *to);
	for (int r = 0; r < rows; r++) {
		const float *row = row_load(x->rows, r, 0, columns, buf);
		for (int c = 0; c < columns; c++)
			to[x->k_rows ? (size_t)c * (size_t)ld + (size_t)r : (size_t)r * (size_t)ld + (size_t)c] =
				bf16_to_f32(bf16_from_f32(row[c]));
	}
}

static void
product_fp32(struct rows c, const struct packed *a, const struct packed *b, int n0, int n, int k0, float alpha,
	float beta)
{
	int lda = up(a->k, PACKED_K), ldb = up(b->k, PACKED_K);
	const float *B = (const float *)b->data + (size_t)n0 * (size_t)ldb + k0;
	float *sums = math_scratch(), old[TILE_COLUMNS], buf[TILE_COLUMNS];
	assert((size_t)a->n * (size_t)n <= MATH_SCRATCH);
	gemm_nt(sums, n, a->data, lda, B, ldb, a->n, n, a->k, 1, 0);
	for (int i = 0; i < a->n; i++)
		for (int j = 0; j < n; j += TILE_COLUMNS) {
			int some = n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS;
			const float *before = beta != 0 ? row_load(c, i, j, some, old) : NULL;
			float *to = row_begin(c, i, j, buf);
			for (int l = 0; l < some; l++) {
				float sum = alpha * sums[(size_t)i * (size_t)n + (size_t)(j + l)];
				to[l] = before ? beta * before[l] + sum : sum;
			}
			row_store(c, i, j, some, to);
		}
}

/* ---- with one ---- */

#ifdef __x86_64__

static void
make_bf16(uint16_t *to, enum side side, const struct operand *x, int n, int k)
{
	int k_pad = up(k, PACKED_K);
	if (side == LEFT) {
		bf16_pack_a(to, (size_t)k_pad, x, 0, n, up(n, TILE_ROWS_MAX), 0, k, k_pad, math_scratch());
		return;
	}
	size_t panel = (size_t)k_pad * PANEL;
	bf16_pack_b(to, panel, x, 0, n, 0, k, k_pad, math_scratch());
	/* A tile that ends with the first of its two panels reads the second, too. */
	if (up(n, PANEL) < up(n, TILE_COLUMNS))
		memset(to + (size_t)up(n, PANEL) / PANEL * panel, 0, panel * sizeof *to);
}

static void
product_bf16(const struct bf16_kernel *kernel, struct rows c, const struct packed *a, const struct packed *b, int n0,
	int n, int k0, float alpha, float beta)
{
	struct tile_state state;
	size_t lda = (size_t)up(a->k, PACKED_K), panel = (size_t)up(b->k, PACKED_K) * PANEL;
	struct tile_job t = {.lda = lda, .panel = panel, .k = (int)lda, .first = true, .last = true,
		.out = {.alpha = alpha, .beta = beta}};
	kernel->begin(&state);
	for (int j = 0; j < n; j += TILE_COLUMNS) {
		t.b = (const uint16_t *)b->data + (size_t)(n0 + j) / PANEL * panel + (size_t)k0 * PANEL;
		t.out.columns = n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS;
		for (int i = 0; i < a->n; i += kernel->rows) {
			t.a = (const uint16_t *)a->data + (size_t)i * lda;
			t.out.rows = a->n - i < kernel->rows ? a->n - i : kernel->rows;
			t.out.c = rows_at(c, i, j);
			kernel->tile(&state, &t);
		}
	}
	kernel->end(&state);
}

#else

static void
make_bf16(uint16_t *to, enum side side, const struct operand *x, int n, int k)
{
	(void)to, (void)side, (void)x, (void)n, (void)k;
	assert(!"no kernel");
}

static void
product_bf16(const struct bf16_kernel *kernel, struct rows c, const struct packed *a, const struct packed *b, int n0,
	int n, int k0, float alpha, float beta)
{
	(void)kernel, (void)c, (void)a, (void)b, (void)n0, (void)n, (void)k0, (void)alpha, (void)beta;
	assert(!"no kernel");
}

#endif

struct packed
packed_make(void *memory, enum side side, struct operand x, int n, int k)
{
	if (bf16_kernel())
		make_bf16(memory, side, &x, n, k);
	else
		make_fp32(memory, &x, n, k);
	return (struct packed){memory, n, k};
}

void
packed_product(struct rows c, const struct packed *a, const struct packed *b, int n0, int n, int k0, float alpha,
	float beta)
{
	const struct bf16_kernel *kernel = bf16_kernel();
	assert(n0 % PACKED_N == 0 && k0 % PACKED_K == 0 && n0 + n <= b->n);
	if (kernel)
		product_bf16(kernel, c, a, b, n0, n, k0, alpha, beta);
	else
		product_fp32(c, a, b, n0, n, k0, alpha, beta);
}

#include "math/packed.h"

#include <assert.h>

#include "math/bf16_kernel.h"
#include "math/bf16_pack.h"
#include "math/gemm.h"

/* Whole tiles of rows, whole steps of k: the kernel may read all of it. */
size_t
packed_left_size(int n, int k)
{
	return (size_t)round_up(n, TILE_ROWS_MAX) * (size_t)round_up(k, PACKED_K) * sizeof(uint16_t);
}

/* As many panels as a tile is wide. */
size_t
packed_right_size(int n, int k)
{
	size_t elements = (size_t)round_up(n, TILE_COLUMNS) * (size_t)round_up(k, PACKED_K);
	return elements * (bf16_kernel() ? sizeof(uint16_t) : sizeof(float));
}

struct packed_left
packed_left_rows(void *memory, int n, int k)
{
	struct packed_left a = {{memory, round_up(k, PACKED_K), NUM_BF16}, n, k};
	for (int i = 0; i < n && k < a.rows.ld; i++)
		memset(rows_at(a.rows, i, k).data, 0, (size_t)(a.rows.ld - k) * sizeof(uint16_t));
	return a;
}

struct packed_left
packed_left_part(const struct packed_left *a, int n0, int n, int k0, int k)
{
	return (struct packed_left){rows_at(a->rows, n0, k0), n, k};
}

/* ---- without a kernel: the right side in fp32, rounded to bf16, [n][round_up(k)] ---- */

static void
left_fp32(struct packed_left *a, const struct operand *x)
{
	float *buf = math_scratch();
	int rows = x->k_rows ? a->k : a->n, columns = x->k_rows ? a->n : a->k;
	for (int r = 0; r < rows; r++) {
		const float *row = row_load(x->rows, r, 0, columns, buf);
		for (int c = 0; c < columns; c++)
			*(uint16_t *)rows_at(a->rows, x->k_rows ? c : r, x->k_rows ? r : c).data = bf16_from_f32(row[c]);
	}
}

static void
right_fp32(float *to, size_t ld, const struct operand *x, int n, int k)
{
	int rows = x->k_rows ? k : n, columns = x->k_rows ? n : k;
	float *buf = math_scratch();
	for (int i = 0; i < n; i++)
		memset(to + (size_t)i * ld + k, 0, (size_t)(round_up(k, PACKED_K) - k) * sizeof *to);
	for (int r = 0; r < rows; r++) {
		const float *row = row_load(x->rows, r, 0, columns, buf);
		for (int c = 0; c < columns; c++)
			to[x->k_rows ? (size_t)c * ld + (size_t)r : (size_t)r * ld + (size_t)c] = bf16_to_f32(bf16_from_f32(row[c]));
	}
}

/* As many rows at a time as the scratch holds. */
static void
product_fp32(float *c, int ldc, const struct packed_left *a, const struct packed_right *b, int n0, int n, int k0, bool add)
{
	int ldb = round_up(b->k, PACKED_K), most = MATH_SCRATCH / a->k;
	const float *B = (const float *)b->data + (size_t)n0 * (size_t)ldb + k0;
	float *A = math_scratch();
	assert(most > 0);
	for (int i = 0; i < a->n; i += most) {
		int rows = a->n - i < most ? a->n - i : most;
		rows_copy(rows_f32(A, a->k), rows_at(a->rows, i, 0), rows, a->k);
		gemm_nt(c + (size_t)i * (size_t)ldc, ldc, A, a->k, B, ldb, rows, n, a->k, 1, add);
	}
}

/* ---- with one ---- */

#ifdef __x86_64__

/* With zeros behind the rows up to k_pad. */
static void
left_bf16(struct packed_left *a, const struct operand *x, int k_pad)
{
	bf16_pack_a(a->rows.data, (size_t)a->rows.ld, x, 0, a->n, a->n, 0, a->k, k_pad, math_scratch());
}

static void
right_bf16(uint16_t *to, size_t panel, const struct operand *x, int n, int k)
{
	bf16_pack_b(to, panel, x, 0, n, 0, k, round_up(k, PACKED_K), math_scratch());
}

/* The kernel's way of going on with sums that were put aside does it: C is where they are. */
static void
product_bf16(const struct tile_kernel *kernel, float *c, int ldc, const struct packed_left *a,
	const struct packed_right *b, int n0, int n, int k0, bool add)
{
	struct tile_state state;
	size_t panel = (size_t)round_up(b->k, PACKED_K) * PANEL;
	struct tile_job t = {.lda = (size_t)a->rows.ld, .panel = panel, .k = round_up(a->k, PACKED_K), .first = !add,
		.ld_partial = (size_t)ldc};
	state.stored = state.out.rows = 0;
	for (int j = 0; j < n; j += TILE_COLUMNS) {
		t.b = (const uint16_t *)b->data + (size_t)(n0 + j) / PANEL * panel + (size_t)k0 * PANEL;
		t.out.columns = n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS;
		for (int i = 0; i < a->n; i += kernel->rows) {
			t.a = rows_at(a->rows, i, 0).data;
			t.out.rows = a->n - i < kernel->rows ? a->n - i : kernel->rows;
			t.partial = c + (size_t)i * (size_t)ldc + j;
			kernel->tile(&state, &t);
		}
	}
}

#else

/* There never is one. */
static void
left_bf16(struct packed_left *a, const struct operand *x, int k_pad)
{
	(void)k_pad;
	left_fp32(a, x);
}

static void
right_bf16(uint16_t *to, size_t panel, const struct operand *x, int n, int k)
{
	right_fp32((float *)(void *)to, panel, x, n, k);
}

static void
product_bf16(const struct tile_kernel *kernel, float *c, int ldc, const struct packed_left *a,
	const struct packed_right *b, int n0, int n, int k0, bool add)
{
	(void)kernel;
	product_fp32(c, ldc, a, b, n0, n, k0, add);
}

#endif

struct packed_left
packed_left(void *memory, struct rows x, bool k_rows, int n, int k)
{
	struct packed_left a = packed_left_rows(memory, n, k);
	const struct operand from = operand_rows(x, k_rows);
	if (bf16_kernel())
		left_bf16(&a, &from, a.rows.ld);
	else
		left_fp32(&a, &from);
	return a;
}

/* As many rows at a time as are sure to find the scratch large enough. */
void
packed_turn(struct rows to, struct rows x, int n, int k)
{
	enum { ROWS = 1024 };
	for (int i = 0; i < n; i += ROWS) {
		struct packed_left turned = {rows_at(to, i, 0), n - i < ROWS ? n - i : ROWS, k};
		const struct operand from = operand_rows(rows_at(x, 0, i), true);
		if (bf16_kernel())
			left_bf16(&turned, &from, k);
		else
			left_fp32(&turned, &from);
	}
}

struct packed_right
packed_right(void *memory, struct rows x, bool k_rows, int n, int k)
{
	struct packed_right b = {memory, n, k};
	packed_right_part(&b, x, k_rows, 0, n, 0, k);
	return b;
}

void
packed_right_part(const struct packed_right *b, struct rows x, bool k_rows, int n0, int n, int k0, int k)
{
	const struct operand from = operand_rows(x, k_rows);
	size_t k_pad = (size_t)round_up(b->k, PACKED_K);
	assert(n0 % PACKED_N == 0 && k0 % PACKED_K == 0);
	if (bf16_kernel())
		right_bf16((uint16_t *)b->data + (size_t)n0 * k_pad + (size_t)k0 * PANEL, k_pad * PANEL, &from, n, k);
	else
		right_fp32((float *)b->data + (size_t)n0 * k_pad + k0, k_pad, &from, n, k);
}

void
packed_begin(void)
{
	const struct tile_kernel *kernel = bf16_kernel();
	struct tile_state state;
	if (kernel)
		tile_begin(kernel, &state);
}

void
packed_end(void)
{
	const struct tile_kernel *kernel = bf16_kernel();
	struct tile_state state;
	state.stored = state.out.rows = 0;
	if (kernel)
		tile_end(kernel, &state);
}

void
packed_product(float *c, int ldc, const struct packed_left *a, const struct packed_right *b, int n0, int n, int k0,
	bool add)
{
	const struct tile_kernel *kernel = bf16_kernel();
	assert(n0 % PACKED_N == 0 && k0 % PACKED_K == 0 && n0 + n <= b->n);
	if (kernel)
		product_bf16(kernel, c, ldc, a, b, n0, n, k0, add);
	else
		product_fp32(c, ldc, a, b, n0, n, k0, add);
}

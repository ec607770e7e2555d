#include "math/packed.h"

#include <assert.h>

#include "math/bf16_kernel.h"
#include "math/bf16_pack.h"
#include "math/gemm.h"

/* What products are computed in, and so how both sides are packed. */
static enum num
packed_type(void)
{
	return bf16_instructions() ? NUM_BF16 : NUM_F32;
}

/* Elements from one row to the next: fp32 are read by rows side by side, which should not all meet in the same sets of a
 * cache. */
static int
left_ld(int k)
{
	return round_up(k, PACKED_K) + (packed_type() == NUM_F32 ? PANEL : 0);
}

/* Whole tiles of rows, whole steps of k: the kernel may read all of it. */
size_t
packed_left_size(int n, int k)
{
	return (size_t)round_up(n, TILE_ROWS_MAX) * (size_t)left_ld(k) * num_size(packed_type());
}

/* As many panels as a tile is wide. */
size_t
packed_right_size(int n, int k)
{
	return (size_t)round_up(n, TILE_COLUMNS) * (size_t)round_up(k, PACKED_K) * num_size(packed_type());
}

struct packed_left
packed_left_rows(void *memory, int n, int k)
{
	struct packed_left a = {{memory, left_ld(k), packed_type()}, n, k};
	for (int i = 0; i < n && k % PACKED_K; i++)
		memset(rows_at(a.rows, i, k).data, 0, (size_t)(round_up(k, PACKED_K) - k) * num_size(a.rows.type));
	return a;
}

struct packed_left
packed_left_part(const struct packed_left *a, int n0, int n, int k0, int k)
{
	return (struct packed_left){rows_at(a->rows, n0, k0), n, k};
}

/* ---- left sides, where they are not a kernel's own work ---- */

typedef uint16_t eight __attribute__((vector_size(16)));

/* 8 x 8 turned: three times what lies four rows apart is shuffled as two halves of a pack of cards. */
static void
turn_eight(eight r[8])
{
	for (int round = 0; round < 3; round++) {
		eight s[8];
		for (int i = 0; i < 4; i++) {
			s[2 * i] = __builtin_shufflevector(r[i], r[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
			s[2 * i + 1] = __builtin_shufflevector(r[i], r[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
		}
		memcpy(r, s, sizeof s);
	}
}

static void
put_eight(struct rows to, eight x, int n)
{
	if (to.type == NUM_BF16) {
		memcpy(to.data, &x, (size_t)n * sizeof x[0]);
		return;
	}
	for (int i = 0; i < n; i++)
		((float *)to.data)[i] = bf16_to_f32(x[i]);
}

/* Rows out of columns, of which eight stored rows are taken at a time. */
static void
left_columns(const struct packed_left *a, struct rows x)
{
	const struct rows some = {math_scratch(), round_up(a->n, 8), NUM_BF16};
	for (int k = 0; k < a->k; k += 8) {
		int deep = a->k - k < 8 ? a->k - k : 8;
		rows_copy(some, rows_at(x, k, 0), deep, a->n);
		for (int n = 0; n < a->n; n += 8) {
			eight r[8] = {{0}};
			for (int i = 0; i < deep; i++)
				memcpy(&r[i], rows_at(some, i, n).data, sizeof *r);
			turn_eight(r);
			for (int i = 0; i < 8 && n + i < a->n; i++)
				put_eight(rows_at(a->rows, n + i, k), r[i], deep);
		}
	}
}

/* With zeros behind the rows up to k_pad. */
static void
pack_left(const struct packed_left *a, struct rows x, bool k_rows, int k_pad)
{
	const struct operand from = operand_rows(x, k_rows);
	if (bf16_instructions())
		bf16_pack_a(a->rows.data, (size_t)a->rows.ld, &from, 0, a->n, a->n, 0, a->k, k_pad, math_scratch());
	else if (k_rows)
		left_columns(a, x);
	else
		rows_copy(a->rows, x, a->n, a->k);
}

/* ---- right sides: panels, or for BLAS in fp32, rounded to bf16, [n][round_up(k)] ---- */

static void
right_blas(float *to, size_t ld, const struct operand *x, int n, int k)
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

/* ---- products ---- */

/* The kernel's way of going on with sums that were put aside does it: C is where they are. */
static void
product_tiles(const struct tile_kernel *kernel, float *c, int ldc, const struct packed_left *a, const struct packed_right *b,
	int n0, int n, int k0, bool add)
{
	struct tile_state state;
	size_t panel = (size_t)round_up(b->k, PACKED_K) * PANEL;
	struct tile_job t = {.lda = (size_t)a->rows.ld, .panel = panel, .k = round_up(a->k, kernel->k_unit), .first = !add,
		.ld_partial = (size_t)ldc};
	state.stored = state.out.rows = 0;
	for (int j = 0; j < n; j += TILE_COLUMNS) {
		size_t at = (size_t)(n0 + j) / PANEL * panel + (size_t)k0 * PANEL;
		t.b = (const char *)b->data + at * (size_t)kernel->size;
		t.out.columns = n - j < TILE_COLUMNS ? n - j : TILE_COLUMNS;
		for (int i = 0; i < a->n; i += kernel->rows) {
			t.a = rows_at(a->rows, i, 0).data;
			t.out.rows = a->n - i < kernel->rows ? a->n - i : kernel->rows;
			t.partial = c + (size_t)i * (size_t)ldc + j;
			kernel->tile(&state, &t);
		}
	}
}

static void
product_blas(float *c, int ldc, const struct packed_left *a, const struct packed_right *b, int n0, int n, int k0, bool add)
{
	int ldb = round_up(b->k, PACKED_K);
	gemm_nt(c, ldc, a->rows.data, a->rows.ld, (const float *)b->data + (size_t)n0 * (size_t)ldb + k0, ldb, a->n, n, a->k, 1, add);
}

/* ---- the interface ---- */

struct packed_left
packed_left(void *memory, struct rows x, bool k_rows, int n, int k)
{
	struct packed_left a = packed_left_rows(memory, n, k);
	assert(x.type == NUM_BF16);
	pack_left(&a, x, k_rows, a.rows.ld);
	return a;
}

/* As many rows at a time as are sure to find the scratch large enough. */
void
packed_turn(struct rows to, struct rows x, int n, int k)
{
	enum { ROWS = 1024 };
	for (int i = 0; i < n; i += ROWS) {
		struct packed_left turned = {rows_at(to, i, 0), n - i < ROWS ? n - i : ROWS, k};
		pack_left(&turned, rows_at(x, 0, i), true, k);
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
	const struct tile_kernel *kernel = bf16_kernel();
	size_t k_pad = (size_t)round_up(b->k, PACKED_K), at = (size_t)n0 * k_pad;
	assert(n0 % PACKED_N == 0 && k0 % PACKED_K == 0);
	if (kernel)
		kernel->pack_b((char *)b->data + (at + (size_t)k0 * PANEL) * (size_t)kernel->size, k_pad * PANEL, &from, 0, n, 0, k,
			round_up(k, PACKED_K), math_scratch());
	else
		right_blas((float *)b->data + at + k0, k_pad, &from, n, k);
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
		product_tiles(kernel, c, ldc, a, b, n0, n, k0, add);
	else
		product_blas(c, ldc, a, b, n0, n, k0, add);
}

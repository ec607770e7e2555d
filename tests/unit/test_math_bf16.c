/* The bf16 products against sums in double precision of what was rounded to bf16, with each kernel: those that the
 * processor has, and tiles emulated in C. */
#include "bf16_kernels.h"
#include "numeric.h"

#include "math/bf16_pack.h"
#include "math/gemm.h"
#include "math/product.h"

static void
set_kernel(int i)
{
	bf16_set_kernel(kernels[i]);
}

/* n numbers, rounded to bf16, held. */
static uint16_t *
to_bf16(const float *x, size_t n)
{
	uint16_t *h = hold(xreallocarray(NULL, n, sizeof *h));
	for (size_t i = 0; i < n; i++)
		h[i] = bf16_from_f32(x[i]);
	return h;
}

/* One case: C[M,N] = beta C + alpha A B^T with rows longer than what is used of them. */
struct product_case {
	int M, N, K, gap;
	bool a_rows_k, b_rows_k;
	enum num a_type, b_type, c_type;
	float alpha, beta;
};

struct side {
	struct operand o;
	double *value;  /* [n][k], rounded */
};

static struct side
make_side(int n, int k, int gap, bool k_rows, enum num type, uint64_t seed)
{
	int rows = k_rows ? k : n, columns = k_rows ? n : k, ld = columns + gap;
	size_t size = (size_t)rows * (size_t)ld;
	float *x = random_floats(size, 1, seed);
	double *value = hold(xreallocarray(NULL, (size_t)n * (size_t)k, sizeof *value));
	struct side s = {{.k_rows = k_rows, .rows = {x, ld, type}}, value};
	for (int i = 0; i < rows; i++)  /* what lies between rows must not be read as part of them */
		for (int j = columns; j < ld; j++)
			x[i * ld + j] = NAN;
	if (type == NUM_BF16)
		s.o.rows.data = to_bf16(x, size);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < k; j++)
			s.value[i * k + j] = (double)bf16_to_f32(bf16_from_f32(k_rows ? x[j * ld + i] : x[i * ld + j]));
	return s;
}

static float
element(struct rows r, int i, int j)
{
	float buf;
	return *row_load(r, i, j, 1, &buf);
}

/* Products of two bf16 are exact in fp32. So the sum of K of them, in any order, is off by at most K units of 2^-24 of
 * the sum of their sizes (Higham, Accuracy and Stability of Numerical Algorithms, 3.1: gamma_K), to which come alpha,
 * beta and their sum, and for a bf16 result half a unit of its 8 digits. */
static void
check_element(const struct product_case *c, float got, float before, const double *a, const double *b)
{
	double sum = 0, size = 0, u = 0x1p-24;
	for (int k = 0; k < c->K; k++) {
		sum += a[k] * b[k];
		size += fabs(a[k] * b[k]);
	}
	double kept = c->beta == 0 ? 0 : (double)c->beta * (double)before;
	double want = (double)c->alpha * sum + kept;
	double tolerance = 1.01 * u * ((c->K + 2) * fabs((double)c->alpha) * size + 2 * fabs(kept));
	if (c->c_type == NUM_BF16)
		tolerance += 0x1p-8 * (fabs(want) + tolerance);
	assert_near((double)got, want, tolerance);
}

static void
check_product(const struct product_case *c)
{
	struct side a = make_side(c->M, c->K, c->gap, c->a_rows_k, c->a_type, 1);
	struct side b = make_side(c->N, c->K, c->gap, c->b_rows_k, c->b_type, 2);
	int ld = c->N + c->gap;
	size_t size = (size_t)c->M * (size_t)ld, bytes = size * num_size(c->c_type);
	float *before = random_floats(size, 1, 3);
	void *first = NULL;
	struct rows old = {c->c_type == NUM_BF16 ? (void *)to_bf16(before, size) : (void *)before, ld, c->c_type};
	for (int threads = 1; threads <= 5; threads += 2) {
		struct rows to = {hold(xmalloc(bytes)), ld, c->c_type};
		memcpy(to.data, old.data, bytes);
		math_set_threads(threads);
		bf16_product(to, a.o, b.o, c->M, c->N, c->K, c->alpha, c->beta);
		if (first)
			assert_memory_equal(to.data, first, bytes);
		first = to.data;
	}
	struct rows got = {first, ld, c->c_type};
	for (int i = 0; i < c->M; i++)
		for (int j = 0; j < ld; j++)
			if (j < c->N)
				check_element(c, element(got, i, j), element(old, i, j), a.value + i * c->K, b.value + j * c->K);
			else
				assert_true(element(got, i, j) == element(old, i, j));
	release_all();
}

/* Both sides packed, in the middle of a larger operand, hold what the plain functions put there. */
static void
check_packs(struct operand o, int n0, int nn, int k0, int kn, int k_pad)
{
	int n_pad = (nn + 15) / 16 * 16;
	size_t panel = (size_t)k_pad * PANEL + 8, size = panel * (size_t)(n_pad / PANEL), lda = (size_t)k_pad + 8;
	size_t most = size + lda * (size_t)n_pad;
	uint16_t *got = hold(xcalloc(most, 2)), *want = hold(xcalloc(most, 2));
	float *scratch = hold(xcalloc(bf16_pack_scratch(nn), sizeof *scratch));
	bf16_pack_b(got, panel, &o, n0, nn, k0, kn, k_pad, scratch);
	bf16_pack_a(got + size, lda, &o, n0, nn, n_pad, k0, kn, k_pad, scratch);
	bf16_pack_b_plain(want, panel, &o, n0, nn, k0, kn, k_pad);
	bf16_pack_a_plain(want + size, lda, &o, n0, nn, n_pad, k0, kn, k_pad);
	assert_memory_equal(got, want, most * sizeof *got);
}

static void
test_packing(void **state)
{
	static const int sizes[][2] = {{1, 1}, {16, 32}, {17, 33}, {32, 64}, {31, 2}, {40, 300}, {130, 70}, {9, 544}};
	(void)state;
	if (isa_best() < ISA_AVX512_BF16)
		skip();  /* the plain functions are all there is */
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (int form = 0; form < 4; form++) {
			int n = sizes[i][0], k = sizes[i][1];
			bool k_rows = form & 1;
			enum num type = form & 2 ? NUM_F32 : NUM_BF16;
			struct side s = make_side(n + 5, k + 3, 2, k_rows, type, 7);
			check_packs(s.o, 2, n, 1, k, (k + 31) / 32 * 32);
			check_packs(s.o, 5, n, 3, k, (k + 1) / 2 * 2);
			release_all();
		}
}

/* Every way to lie in memory and every type, over sizes around those of tiles, panels and stretches of k. */
static void
test_forms(void **state)
{
	static const int sizes[][3] = {{1, 1, 1}, {2, 3, 5}, {16, 16, 32}, {32, 32, 64}, {31, 33, 37}, {14, 48, 30},
		{17, 15, 96}, {5, 131, 64}, {129, 7, 8}, {67, 64, 16}};
	(void)state;
	for (int k = 0; k < n_kernels; k++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (int form = 0; form < 32; form++) {
				bool a_rows = form & 1, b_rows = form & 2;
				if (a_rows && !b_rows)
					continue;  /* no layer asks for it */
				struct product_case c = {sizes[s][0], sizes[s][1], sizes[s][2], form & 4 ? 3 : 0, a_rows, b_rows,
					form & 8 ? NUM_F32 : NUM_BF16, form & 16 ? NUM_F32 : NUM_BF16,
					form & 4 ? NUM_F32 : NUM_BF16, 1, 0};
				set_kernel(k);
				check_product(&c);
				c.alpha = -0.375f;
				c.beta = form & 1 ? 1 : 0.5f;
				check_product(&c);
			}
}

/* Sizes that are cut: several stretches and depths of k, several panels, rows put aside and packed in chunks. */
static void
test_cuts(void **state)
{
	static const int sizes[][3] = {{70, 300, 700}, {300, 70, 1300}, {40, 33, 2600}, {131, 1100, 65}, {1, 2100, 330},
		{24, 1100, 1300}, {8, 70, 2601}, {31, 200, 513}};
	(void)state;
	for (int k = 0; k < n_kernels; k++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (int form = 0; form < 3; form++) {
				struct product_case c = {sizes[s][0], sizes[s][1], sizes[s][2], 2, form == 2, form > 0, NUM_BF16,
					NUM_BF16, form == 1 ? NUM_BF16 : NUM_F32, 2, form == 2};
				set_kernel(k);
				check_product(&c);
			}
}

/* What few columns of A come to, in several depths and however many threads share in it: the same bits. */
static void
check_threads(int M, int N, int K)
{
	struct side a = make_side(M, K, 0, true, NUM_BF16, 1), b = make_side(N, K, 0, true, NUM_BF16, 2);
	float *c = random_floats((size_t)(M * N), 1, 3), *again = copy_floats(c, (size_t)(M * N));
	math_set_threads(1);
	bf16_product(rows_f32(c, N), a.o, b.o, M, N, K, 0.5f, 1);
	for (int threads = 2; threads < 8; threads += 3) {
		float *d = copy_floats(again, (size_t)(M * N));
		math_set_threads(threads);
		bf16_product(rows_f32(d, N), a.o, b.o, M, N, K, 0.5f, 1);
		assert_same_floats(d, c, (size_t)(M * N));
	}
	math_set_threads(0);
	release_all();
}

static void
test_threads(void **state)
{
	(void)state;
	for (int k = 0; k < n_kernels; k++) {
		set_kernel(k);
		check_threads(8, 600, 1300);
		check_threads(24, 333, 600);
		check_threads(32, 33, 500);
	}
	check_threads(32, 11000, 1300);  /* more sums than are kept at a time */
	check_product(&(struct product_case){32, 11000, 1300, 0, true, true, NUM_BF16, NUM_BF16, NUM_F32, 1, 1});
}

/* So many columns of so little depth that what lies between panels is as much as they are. */
static void
test_wide(void **state)
{
	(void)state;
	for (int k = 0; k < n_kernels; k++) {
		if (kernels[k] && kernels[k]->k_unit > 2)
			continue;  /* it has no so little depth */
		set_kernel(k);
		check_product(&(struct product_case){2, 2700001, 1, 0, false, true, NUM_BF16, NUM_BF16, NUM_BF16, 1, 0});
	}
}

/* A product of nothing leaves beta C; of no rows, nothing happens. */
static void
test_empty(void **state)
{
	(void)state;
	for (int k = 0; k < n_kernels; k++)
		for (int type = NUM_F32; type <= NUM_BF16; type++) {
			struct product_case c = {3, 5, 0, 1, false, false, NUM_BF16, NUM_BF16, (enum num)type, 1, 0.5f};
			set_kernel(k);
			check_product(&c);
			c.beta = 0;
			check_product(&c);
			bf16_product(rows_f32(NULL, 1), operand_rows(rows_f32(NULL, 1), false), operand_rows(rows_f32(NULL, 1), false), 0,
				5, 7, 1, 0);
		}
}

/* A NaN and an infinity in the inputs come out; padding does not turn them into others. */
static void
test_not_finite(void **state)
{
	(void)state;
	enum { M = 20, N = 20, K = 40 };
	for (int k = 0; k < n_kernels; k++) {
		float *a = random_floats(M * K, 1, 1), *b = random_floats(N * K, 1, 2), *c = random_floats(M * N, 1, 3);
		a[3 * K + 5] = NAN;
		b[7 * K + 39] = INFINITY;
		set_kernel(k);
		bf16_product(rows_f32(c, N), operand_rows((struct rows){to_bf16(a, M * K), K, NUM_BF16}, false),
			operand_rows(rows_f32(b, K), false), M, N, K, 1, 0);
		for (int i = 0; i < M; i++)
			for (int j = 0; j < N; j++)
				assert_true(i == 3 ? isnan(c[i * N + j]) : j == 7 ? isinf(c[i * N + j]) : isfinite(c[i * N + j]));
		release_all();
	}
}

/* A stored matrix at an odd address, as a mapped checkpoint may have it, and one in half precision. */
static void
test_matrices(void **state)
{
	(void)state;
	enum { M = 33, OUT = 50, IN = 70 };
	for (int k = 0; k < n_kernels; k++)
		for (int form = 0; form < 8; form++) {
			float *x = random_floats(M * OUT * 2, 1, 1), *w = random_floats(OUT * IN, 1, 2);
			float *y = random_floats(M * IN, 1, 3);
			uint16_t *half = to_bf16(w, OUT * IN), *rows = to_bf16(x, M * OUT * 2);
			unsigned char *odd = hold(xmalloc(OUT * IN * 2 + 1));
			bool backward = form & 1;
			for (int i = 0; i < OUT * IN; i++)
				half[i] = form & 4 ? (uint16_t)(0x3000 | i % 0x700) : half[i];
			memcpy(odd + 1, half, OUT * IN * 2);
			struct matrix m = {form & 4 ? MATRIX_F16 : MATRIX_BF16, form & 2, OUT, IN, odd + 1};
			int n = backward ? IN : OUT, inner = backward ? OUT : IN;
			set_kernel(k);
			(backward ? product_backward : product_forward)(rows_f32(y, n), (struct rows){rows, inner, NUM_BF16},
				&m, M, 1, 0);
			for (int i = 0; i < M; i++)
				for (int j = 0; j < n; j++) {
					double sum = 0, size = 0;
					for (int l = 0; l < inner; l++) {
						int o = backward ? l : j, in = backward ? j : l;
						float v;
						matrix_expand(&v, 1, &m, m.transposed ? in : o, 1, m.transposed ? o : in, 1);
						double p = (double)bf16_to_f32(rows[i * inner + l]) * (double)bf16_to_f32(bf16_from_f32(v));
						sum += p;
						size += fabs(p);
					}
					assert_near((double)y[i * n + j], sum, 0x1p-24 * 1.01 * inner * size);
				}
			release_all();
		}
}

/* The same product of parts again, of which the even ones stay packed, in memory that held anything, and the others had other
 * values when it was first made: the same to the bit. */
static void
check_kept(const float *want, struct operand x, struct operand_part *part, int parts, int M, int N, int K)
{
	size_t size = bf16_kept_size(N, K);
	if (!size)
		return;
	void *kept = hold(aligned_alloc(64, (size + 63) / 64 * 64));
	float *got = random_floats((size_t)(M * N), 1, 3);
	struct operand b = operand_parts(part, parts, kept);
	memset(kept, 0xff, size);
	for (int i = 0; i < parts; i++)
		part[i].frozen = i % 2 == 0;
	bf16_keep(b, N, K);
	for (int again = 0; again < 2; again++) {
		for (int i = 1; i < parts; i += 2)
			*(float *)part[i].x.rows.data += again ? -1 : 1;
		bf16_product(rows_f32(got, N), x, b, M, N, K, 0.5f, 0);
	}
	assert_same_floats(got, want, (size_t)(M * N));
}

/* Three layers side by side, each with an adapter: [x | xA] times parts of weights and of B, and the same turned, with
 * A below; against the sums of the parts' own products. */
static void
check_parts(int T, int in, const int *out, int r, bool turned)
{
	int N = out[0] + out[1] + out[2], wide = in + 32, deep = N + 32;
	float *x = random_floats((size_t)(T * (turned ? deep : wide)), 1, 1), *y = random_floats((size_t)(T * N), 1, 2);
	uint16_t *hx = to_bf16(x, (size_t)(T * (turned ? deep : wide)));
	struct operand_part part[6];
	float *w[3], *b[3];
	for (int i = 0, at = 0; i < 3; at += out[i++]) {
		w[i] = random_floats((size_t)(out[i] * in), 1, (uint64_t)(10 + i));
		b[i] = random_floats((size_t)((turned ? in : out[i]) * r), 1, (uint64_t)(20 + i));
		struct rows wr = rows_f32(w[i], in);
		if (turned) {
			part[i] = (struct operand_part){0, in, at, out[i], operand_rows(wr, true), false};
			part[3 + i] = (struct operand_part){0, in, N + 8 * i, r, operand_rows(rows_f32(b[i], in), true), false};
		} else {
			part[2 * i] = (struct operand_part){at, out[i], 0, in, operand_rows(wr, false), false};
			part[2 * i + 1] = (struct operand_part){at, out[i], in + 8 * i, r, operand_rows(rows_f32(b[i], r), false), false};
		}
	}
	int columns = turned ? in : N, ld = turned ? deep : wide;
	float *sum = random_floats((size_t)(T * columns), 0, 1), *got = turned ? random_floats((size_t)(T * in), 1, 3) : y;
	struct rows xr = {hx, ld, NUM_BF16};
	bf16_product(rows_f32(got, columns), operand_rows(xr, false), operand_parts(part, 6, NULL), T, columns, ld, 0.5f, 0);
	for (int i = 0; i < 6; i++)
		bf16_product(rows_at(rows_f32(sum, columns), 0, part[i].n0), operand_rows(rows_at(xr, 0, part[i].k0), false),
			part[i].x, T, part[i].n, part[i].k, 0.5f, 1);
	for (int i = 0; i < T * columns; i++)
		assert_near((double)got[i], (double)sum[i], 1e-5 * sqrt((double)ld) * (1 + fabs((double)sum[i])));
	check_kept(got, operand_rows(xr, false), part, 6, T, columns, ld);
	release_all();
}

static void
test_parts(void **state)
{
	(void)state;
	static const int outs[][3] = {{64, 32, 32}, {576, 192, 192}, {16, 48, 21}};
	for (int k = 0; k < n_kernels; k++) {
		set_kernel(k);
		for (int o = 0; o < 3; o++)
			for (int r = 1; r <= 8; r += 7)
				for (int T = 5; T < 200; T += 150) {
					check_parts(T, 64, outs[o], r, false);
					check_parts(T, 1344, outs[o], r, false);
					check_parts(T, 4128, outs[o], r, false);
					if (o < 2)
						check_parts(T, 96, outs[o], r, true);
				}
	}
	set_kernel(n_kernels - 1);
}

int
main(void)
{
	find_kernels();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packing),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_matrices),
		cmocka_unit_test(test_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

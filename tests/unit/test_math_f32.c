/* The fp32 products against sums in double precision, with each kernel that the processor has, and with BLAS. */
#include "numeric.h"

#include "base/isa.h"
#include "math/f32_kernel.h"
#include "math/gemm.h"

static const struct tile_kernel *kernels[3];
static int n_kernels;

static void
find_kernels(void)
{
	kernels[n_kernels++] = NULL;
#ifdef __x86_64__
	if (isa_best() >= ISA_AVX2)
		kernels[n_kernels++] = &f32_avx2;
	if (isa_best() >= ISA_AVX512)
		kernels[n_kernels++] = &f32_avx512;
#endif
}

/* C[M,N] = beta C + alpha A B^T with rows longer than what is used of them. */
struct product_case {
	int M, N, K, gap;
	bool a_rows_k, b_rows_k;
	enum num b_type;
	float alpha, beta;
};

struct side {
	struct operand o;
	double *value;  /* [n][k] */
};

static struct side
make_side(int n, int k, int gap, bool k_rows, enum num type, uint64_t seed)
{
	int rows = k_rows ? k : n, columns = k_rows ? n : k, ld = columns + gap;
	size_t size = (size_t)rows * (size_t)ld;
	float *x = random_floats(size, 1, seed);
	uint16_t *half = hold(xreallocarray(NULL, size + 1, sizeof *half));
	double *value = hold(xreallocarray(NULL, (size_t)n * (size_t)k + 1, sizeof *value));
	for (int i = 0; i < rows; i++)  /* what lies between rows must not be read as part of them */
		for (int j = columns; j < ld; j++)
			x[i * ld + j] = NAN;
	for (size_t i = 0; i < size; i++) {
		half[i] = bf16_from_f32(x[i]);
		x[i] = type == NUM_BF16 ? bf16_to_f32(half[i]) : x[i];
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < k; j++)
			value[i * k + j] = (double)(k_rows ? x[j * ld + i] : x[i * ld + j]);
	void *data = type == NUM_BF16 ? (void *)half : (void *)x;
	return (struct side){{.k_rows = k_rows, .rows = {data, ld, type}}, value};
}

/* A sum of K products in any order is off by at most K units of 2^-24 of the sum of their sizes (Higham, Accuracy and
 * Stability of Numerical Algorithms, 3.1: gamma_K), to which come alpha, beta and their sums, for each depth of k. */
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
	assert_near((double)got, want, 1.01 * u * ((c->K + 8) * fabs((double)c->alpha) * size + 8 * fabs(kept)));
}

static void
check_product(const struct product_case *c)
{
	struct side a = make_side(c->M, c->K, c->gap, c->a_rows_k, NUM_F32, 1);
	struct side b = make_side(c->N, c->K, c->gap, c->b_rows_k, c->b_type, 2);
	int ld = c->N + c->gap;
	size_t size = (size_t)c->M * (size_t)ld;
	float *before = random_floats(size, 1, 3), *first = NULL;
	for (int i = 0; i < c->M && c->beta == 0; i++)
		for (int j = 0; j < c->N; j++)
			before[i * ld + j] = NAN;
	for (int threads = 1; threads <= 5; threads += 2) {
		float *to = copy_floats(before, size);
		math_set_threads(threads);
		f32_product(rows_f32(to, ld), a.o, b.o, c->M, c->N, c->K, c->alpha, c->beta);
		if (first)
			assert_memory_equal(to, first, size * sizeof *to);
		first = to;
	}
	for (int i = 0; i < c->M; i++)
		for (int j = 0; j < ld; j++)
			if (j < c->N)
				check_element(c, first[i * ld + j], before[i * ld + j], a.value + i * c->K, b.value + j * c->K);
			else
				assert_true(first[i * ld + j] == before[i * ld + j]);
	release_all();
}

/* Every way to lie in memory, over sizes around those of tiles, panels and blocks; rows that are pages apart. */
static void
test_forms(void **state)
{
	static const int sizes[][3] = {{1, 1, 1}, {2, 3, 5}, {16, 16, 32}, {32, 32, 64}, {31, 33, 37}, {14, 48, 30}, {28, 17, 16},
		{17, 15, 96}, {6, 131, 64}, {129, 7, 8}, {67, 64, 16}, {13, 20, 1024}, {40, 1024, 3}};
	(void)state;
	for (int k = 0; k < n_kernels; k++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (int form = 0; form < 16; form++) {
				bool a_rows = form & 1, b_rows = form & 2;
				enum num type = form & 4 ? NUM_BF16 : NUM_F32;
				if (a_rows && (!b_rows || type == NUM_BF16))
					continue;  /* no layer asks for it */
				struct product_case c = {sizes[s][0], sizes[s][1], sizes[s][2], form & 8 ? 3 : 0, a_rows, b_rows, type, 1, 0};
				f32_set_kernel(kernels[k]);
				check_product(&c);
				c.alpha = -0.375f;
				c.beta = form & 2 ? 1 : 0.5f;
				check_product(&c);
			}
}

/* Sizes that are cut: several depths of k, several panels, chunks and slabs. */
static void
test_cuts(void **state)
{
	static const int sizes[][3] = {{70, 300, 700}, {300, 70, 1300}, {40, 33, 2600}, {131, 1100, 65}, {1, 2100, 330}};
	(void)state;
	for (int k = 0; k < n_kernels; k++)
		for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
			for (int form = 0; form < 3; form++) {
				struct product_case c = {sizes[s][0], sizes[s][1], sizes[s][2], 2, form == 2, form > 0,
					form == 1 ? NUM_BF16 : NUM_F32, 2, form == 2};
				f32_set_kernel(kernels[k]);
				check_product(&c);
			}
}

/* So many columns of so little depth that what lies between panels is as much as they are. */
static void
test_wide(void **state)
{
	(void)state;
	for (int k = 0; k < n_kernels; k++) {
		f32_set_kernel(kernels[k]);
		check_product(&(struct product_case){2, 2700001, 1, 0, false, true, NUM_F32, 1, 0});
	}
}

/* A product of nothing leaves beta C; of no rows, nothing happens. */
static void
test_empty(void **state)
{
	(void)state;
	for (int k = 0; k < n_kernels; k++)
		for (int type = NUM_F32; type <= NUM_BF16; type++) {
			struct product_case c = {3, 5, 0, 1, false, false, (enum num)type, 1, 0.5f};
			f32_set_kernel(kernels[k]);
			check_product(&c);
			c.beta = 0;
			check_product(&c);
			f32_product(rows_f32(NULL, 1), operand_rows(rows_f32(NULL, 1), false), operand_rows(rows_f32(NULL, 1), false), 0, 5, 7,
				1, 0);
		}
}

/* A NaN and an infinity in the inputs come out where they belong; padding does not turn them into others. */
static void
test_not_finite(void **state)
{
	(void)state;
	enum { M = 20, N = 20, K = 40 };
	for (int k = 0; k < n_kernels; k++) {
		float *a = random_floats(M * K, 1, 1), *b = random_floats(N * K, 1, 2), *c = random_floats(M * N, 1, 3);
		a[3 * K + 5] = NAN;
		b[7 * K + 39] = INFINITY;
		f32_set_kernel(kernels[k]);
		f32_product(rows_f32(c, N), operand_rows(rows_f32(a, K), false), operand_rows(rows_f32(b, K), false), M, N, K, 1, 0);
		for (int i = 0; i < M; i++)
			for (int j = 0; j < N; j++)
				assert_true(i == 3 ? isnan(c[i * N + j]) : j == 7 ? isinf(c[i * N + j]) : isfinite(c[i * N + j]));
		release_all();
	}
}

/* A stored weight in half precision, as it may lie in a mapped checkpoint, and one of bytes, with k along its rows and
 * from row to row. */
static void
test_matrices(void **state)
{
	(void)state;
	enum { M = 33, ROWS = 50, COLUMNS = 1100 };
	for (int k = 0; k < n_kernels; k++)
		for (int form = 0; form < 4; form++) {
			bool k_rows = form & 1, bytes = form & 2;
			int N = k_rows ? COLUMNS : ROWS, K = k_rows ? ROWS : COLUMNS;
			float *x = random_floats((size_t)(M * K), 1, 1), *y = random_floats((size_t)(M * N), 1, 3), *wide = random_floats(ROWS * COLUMNS, 1, 2);
			float *scale = random_floats(ROWS, 1, 4);
			unsigned char *data = hold(xmalloc(ROWS * COLUMNS * 2 + 1));
			for (int i = 0; i < ROWS * COLUMNS; i++) {
				uint16_t half = (uint16_t)(0x3000 | i % 0x700);
				memcpy(data + 1 + 2 * i, &half, sizeof half);
			}
			struct matrix w = {bytes ? MATRIX_INT8 : MATRIX_F16, false, ROWS, COLUMNS, data + 1, scale, NULL};
			matrix_expand(wide, COLUMNS, &w, 0, ROWS, 0, COLUMNS);
			f32_set_kernel(kernels[k]);
			f32_product(rows_f32(y, N), operand_rows(rows_f32(x, K), false), operand_matrix(&w, k_rows), M, N, K, 1, 0);
			for (int i = 0; i < M; i++)
				for (int j = 0; j < N; j++) {
					double sum = 0, size = 0;
					for (int l = 0; l < K; l++) {
						double p = (double)x[i * K + l] * (double)wide[k_rows ? l * COLUMNS + j : j * COLUMNS + l];
						sum += p;
						size += fabs(p);
					}
					assert_near((double)y[i * N + j], sum, 0x1p-24 * 1.01 * (K + 8) * size);
				}
			release_all();
		}
}

int
main(void)
{
	find_kernels();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_wide),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_matrices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

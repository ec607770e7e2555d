/* The fp32 products against sums in double precision, with each kernel that the processor has, and with BLAS. */
#include "numeric.h"

#include "base/isa.h"
#include "math/f32_kernel.h"
#include "math/gemm.h"

#ifdef __x86_64__
#include "tiles_emulated.h"

#include "math/f32_amx.c"
#endif

static const struct tile_kernel *kernels[7];
static int n_kernels;

#ifdef __x86_64__
/* A kernel that multiplies small products, too. */
static const struct tile_kernel *
without_small(struct tile_kernel *copy, const struct tile_kernel *k)
{
	*copy = *k;
	copy->small = NULL;
	return copy;
}
#endif

static void
find_kernels(void)
{
	kernels[n_kernels++] = NULL;
#ifdef __x86_64__
	static struct tile_kernel every_size[2];
	if (isa_best() >= ISA_AVX2)
		kernels[n_kernels++] = &f32_avx2;
	if (isa_best() >= ISA_AVX512)
		kernels[n_kernels++] = &f32_avx512;
	if (isa_best() >= ISA_AVX512_BF16)
		kernels[n_kernels++] = without_small(&every_size[0], &f32_amx_emulated);
	if (isa_best() == ISA_AMX) {
		kernels[n_kernels++] = without_small(&every_size[1], &f32_amx);
		kernels[n_kernels++] = &f32_amx;
	}
#endif
}

/* Whether the kernel multiplies three numbers in bf16 for one, whatever the size. */
static bool
splits(const struct tile_kernel *k)
{
	return k && k->size > (int)sizeof(float) && !k->small;
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

/* So many columns of so little depth that what lies between panels is as much as they are; not where depth is filled up. */
static void
test_wide(void **state)
{
	(void)state;
	for (int k = 0; k < n_kernels; k++) {
		if (kernels[k] && kernels[k]->k_unit > 1)
			continue;
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

/* A NaN and an infinity in the inputs come out where they belong, an infinity as NaN where numbers are split; padding does not
 * turn them into others. */
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
				assert_true(i == 3 || (j == 7 && splits(kernels[k])) ? isnan(c[i * N + j]) : j == 7 ? isinf(c[i * N + j]) :
						isfinite(c[i * N + j]));
		release_all();
	}
}

#ifdef __x86_64__

/* ---- exactness of split numbers ---- */

/* How far products C[M,N] = A[M,K] B[N,K]^T are off, in units of 2^-24 of the sums of the products' sizes. */
struct off {
	double most, rms;
};

static struct off
how_far(const struct tile_kernel *kernel, const float *a, const float *b, int M, int N, int K)
{
	struct off off = {0, 0};
	float *c = random_floats((size_t)(M * N), 1, 3);
	f32_set_kernel(kernel);
	f32_product(rows_f32(c, N), operand_rows(rows_f32(a, K), false), operand_rows(rows_f32(b, K), false), M, N, K, 1, 0);
	for (int i = 0; i < M; i++)
		for (int j = 0; j < N; j++) {
			double sum = 0, size = 0;
			for (int k = 0; k < K; k++) {
				double p = (double)a[i * K + k] * (double)b[j * K + k];
				sum += p;
				size += fabs(p);
			}
			double x = fabs((double)c[i * N + j] - sum) / size * 0x1p24;
			off.most = x > off.most ? x : off.most;
			off.rms += x * x / (M * N);
		}
	off.rms = sqrt(off.rms);
	return off;
}

enum inputs { NORMAL, WIDE, CANCELLING, POSITIVE, N_INPUTS };

/* n rows of K: normal numbers; of sizes from 2^-20 to 2^20; whose second half, of b, takes away all but some 2^-12 of what the
 * first half sums to; without signs. */
static float *
make_inputs(enum inputs kind, bool is_b, int n, int K)
{
	float *x = random_floats((size_t)(n * K), 1, is_b ? 2 : 1);
	struct rng r;
	rng_init(&r, is_b ? 4 : 5, 0);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < K; k++) {
			float *at = x + i * K + k;
			if (kind == WIDE)
				*at = ldexpf(*at, (int)(rng_uniform(&r) * 41) - 20);
			else if (kind == POSITIVE)
				*at = fabsf(*at);
			else if (kind == CANCELLING && k >= K / 2)
				*at = is_b ? -at[-(K / 2)] : at[-(K / 2)] * (1 + *at * 0x1p-12f);
		}
	return x;
}

/* What splitting leaves out is at most a unit of each product, 2^-3 of one in the mean, of either sign. Against that, chains
 * of sums are short: the 16 even and the 16 odd products of a step, and six sums a step of 32, where AVX-512 has 32. So the sum
 * of many products is no further off than AVX-512's, neither in the mean nor at most. */
static void
test_split_sums(void **state)
{
	(void)state;
	enum { M = 48, N = 40 };
	static const int depths[] = {32, 100, 576, 1536, 4864};
	for (int k = 0; k < n_kernels; k++)
		for (int kind = 0; kind < N_INPUTS && splits(kernels[k]); kind++)
			for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
				float *a = make_inputs((enum inputs)kind, false, M, depths[d]);
				float *b = make_inputs((enum inputs)kind, true, N, depths[d]);
				struct off off = how_far(kernels[k], a, b, M, N, depths[d]);
				struct off plain = how_far(&f32_avx512, a, b, M, N, depths[d]);
				assert_true(off.rms <= plain.rms);
				assert_true(off.most <= plain.most);
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

/* One product by itself, of which AVX-512 may be a unit off: here another, at most, for what is left out, and one of each of five
 * sums that are 2^-7 of it at most. */
static void
test_split_products(void **state)
{
	(void)state;
	enum { M = 160, N = 160, K = 64 };
	for (int k = 0; k < n_kernels; k++) {
		float *a = make_inputs(WIDE, false, M, K), *b = make_inputs(WIDE, true, N, K);
		for (int i = 0; i < M * K; i++)
			a[i] = i % K == 7 * (i / K) % K ? a[i] : 0;
		if (splits(kernels[k]))
			assert_true(how_far(kernels[k], a, b, M, N, K).most <= 2 + 5 * 0x1p-7);
		release_all();
	}
}

/* Operands whose parts and products are below what tiles compute with: of each operand and of each of six sums at every step
 * along k, less than 2^-126 is lost. And such as are as large as can be. */
static void
test_split_range(void **state)
{
	(void)state;
	enum { M = 40, N = 40, K = 64 };
	static const int exponents[][2] = {{-125, 100}, {-115, 0}, {-110, -5}, {-60, -60}, {-130, 126}, {126, -10}, {127, -127}};
	for (int k = 0; k < n_kernels; k++)
		for (size_t e = 0; e < sizeof exponents / sizeof *exponents && splits(kernels[k]); e++) {
			float *a = random_floats(M * K, 1, 1), *b = random_floats(N * K, 1, 2), *c = random_floats(M * N, 1, 3);
			for (int i = 0; i < M * K; i++)
				a[i] = ldexpf(1 + 0.98f * a[i] / (1 + fabsf(a[i])), exponents[e][0]) / 2;
			for (int i = 0; i < N * K; i++)
				b[i] = ldexpf(b[i] / (1 + fabsf(b[i])), exponents[e][1]);
			f32_set_kernel(kernels[k]);
			f32_product(rows_f32(c, N), operand_rows(rows_f32(a, K), false), operand_rows(rows_f32(b, K), false), M, N, K, 1, 0);
			for (int i = 0; i < M; i++)
				for (int j = 0; j < N; j++) {
					double sum = 0, size = 0, lost = 7 * K;
					for (int l = 0; l < K; l++) {
						double x = (double)a[i * K + l], y = (double)b[j * K + l];
						sum += x * y;
						size += fabs(x * y);
						lost += fabs(x) + fabs(y);
					}
					assert_near((double)c[i * N + j], sum, 0x1p-24 * 1.01 * (K + 8) * size + lost * 0x1p-126);
				}
			release_all();
		}
}

#endif

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
#ifdef __x86_64__
		cmocka_unit_test(test_split_sums),
		cmocka_unit_test(test_split_products),
		cmocka_unit_test(test_split_range),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

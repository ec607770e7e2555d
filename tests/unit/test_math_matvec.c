/* Products of up to four rows, in each form of a matrix, against sums in double precision. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/matvec.h"
#include "math/quantize.h"

struct shape {
	int out, in;
};

/* One block of 64, two, an odd number of them; less than a vector, several turns of a loop and a rest; over a piece. */
static const struct shape shapes[] = {{1, 1}, {7, 5}, {3, 16}, {5, 64}, {9, 128}, {33, 192}, {130, 67}, {21, 1000},
	{2, 5000}, {300, 320}, {1, 2112}, {2000, 3}, {700, 9}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void
read_floats(void *ctx, size_t first, size_t n, float *to)
{
	memcpy(to, (const float *)ctx + first, n * sizeof *to);
}

/* x as a matrix of this form. */
static struct matrix
make(float *x, struct shape s, enum matrix_form form, bool transposed, struct arena *a)
{
	struct matrix m = {.form = form, .transposed = transposed, .out = s.out, .in = s.in};
	size_t n = (size_t)s.out * (size_t)s.in;
	*a = (struct arena){0};
	if (form == MATRIX_INT8 || form == MATRIX_NF4) {
		quantize_place(&m, form, a);
		arena_make(a);
		quantize_place(&m, form, a);
		assert_int_equal(quantize(&m, read_floats, x), 0);
		return m;
	}
	unsigned char *data = hold(xmalloc(n * sizeof(float) + 1));
	m.data = form == MATRIX_F32 ? data : data + 1;  /* the halves need not be aligned */
	for (size_t i = 0; i < n; i++) {
		uint16_t h = bf16_from_f32(x[i]);
		h = form == MATRIX_F16 ? (uint16_t)(0x3400 + i * 7919 % 0x800 + (i % 3 ? 0x8000 : 0)) : h;
		if (form == MATRIX_F32)
			memcpy(data + 4 * i, &x[i], 4);
		else
			memcpy(data + 1 + 2 * i, &h, 2);
	}
	return m;
}

/* W[out,in] written out, whichever way it is stored. */
static double *
written_out(const struct matrix *m)
{
	size_t n = (size_t)m->out * (size_t)m->in;
	float *stored = hold(xreallocarray(NULL, n, sizeof *stored));
	double *w = hold(xreallocarray(NULL, n, sizeof *w));
	matrix_expand(stored, matrix_columns(m), m, 0, matrix_rows(m), 0, matrix_columns(m));
	for (int o = 0; o < m->out; o++)
		for (int i = 0; i < m->in; i++)
			w[o * m->in + i] = (double)stored[m->transposed ? i * m->out + o : o * m->in + i];
	return w;
}

static struct rows
rows_of(float *x, int T, int ld, enum num type)
{
	if (type == NUM_F32)
		return rows_f32(x, ld);
	struct rows r = {hold(xreallocarray(NULL, (size_t)(T * ld), 2)), ld, NUM_BF16};
	rows_copy(r, rows_f32(x, ld), T, ld);
	rows_copy(rows_f32(x, ld), r, T, ld);  /* what was asked for is what the rows hold */
	return r;
}

static void
check(const struct matrix *m, int T, enum num type, float beta)
{
	int ldx = m->in + 3, ldy = m->out + 2;
	float *x0 = random_floats((size_t)(T * ldx), 1, 2), *y0 = random_floats((size_t)(T * ldy), 1, 3);
	struct rows x = rows_of(x0, T, ldx, type), y = rows_of(y0, T, ldy, type);
	double *w = written_out(m);
	float *before = copy_floats(y0, (size_t)(T * ldy)), *after = copy_floats(y0, (size_t)(T * ldy));
	matvec(y, x, m, T, 0.5f, beta);
	rows_copy(rows_f32(after, ldy), y, T, ldy);
	for (int t = 0; t < T; t++)
		for (int o = 0; o < ldy; o++) {
			double want = (double)before[t * ldy + o], size = fabs(want);
			if (o < m->out) {
				want *= (double)beta;
				for (int i = 0; i < m->in; i++) {
					double p = 0.5 * w[o * m->in + i] * (double)x0[t * ldx + i];
					want += p;
					size += fabs(p);
				}
			}
			double rounding = type == NUM_BF16 && o < m->out ? 0x1p-8 * fabs(want) : 0;
			assert_near((double)after[t * ldy + o], want, rounding + (o < m->out ? 1e-6 * size : 0));
		}
}

static void
check_all(bool transposed)
{
	for (int s = 0; s < N_SHAPES; s++)
		for (int form = MATRIX_F32; form <= MATRIX_NF4; form++)
			for (int T = 1; T <= MATVEC_ROWS; T++) {
				struct arena a;
				float *x = random_floats((size_t)(shapes[s].out * shapes[s].in), 0.3, 1);
				struct matrix m = make(x, shapes[s], (enum matrix_form)form, transposed, &a);
				check(&m, T, T % 2 ? NUM_F32 : NUM_BF16, T < 3 ? 0 : 2);
				arena_release(&a);
				release_all();
			}
}

static void
test_by_rows(void **state)
{
	(void)state;
	check_all(false);
}

static void
test_by_columns(void **state)
{
	(void)state;
	check_all(true);
}

/* With beta 0 what y held does not matter, and no number of threads does. */
static void
test_threads_do_not_matter(void **state)
{
	(void)state;
	static const struct shape s = {900, 704};
	for (int form = MATRIX_F32; form <= MATRIX_NF4; form++)
		for (int transposed = 0; transposed < 2; transposed++) {
			struct arena a;
			float *w = random_floats(900 * 704, 0.3, 1);
			struct matrix m = make(w, s, (enum matrix_form)form, transposed, &a);
			float *x = random_floats(2 * 704, 1, 2), y[2 * 900], again[2 * 900];
			for (int i = 0; i < 2 * 900; i++)
				y[i] = again[i] = NAN;
			math_set_threads(3);
			matvec(rows_f32(y, 900), rows_f32(x, 704), &m, 2, 1, 0);
			math_set_threads(1);
			matvec(rows_f32(again, 900), rows_f32(x, 704), &m, 2, 1, 0);
			assert_same_floats(again, y, 2 * 900);
			assert_true(y[0] == y[0]);
			arena_release(&a);
			release_all();
		}
	math_set_threads(0);
}

int
main(void)
{
	math_set_threads(0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_rows),
		cmocka_unit_test(test_by_columns),
		cmocka_unit_test(test_threads_do_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

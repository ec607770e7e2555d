/* Linear layers with adapters, alone: plain LoRA and DoRA over matrices in each form and both ways of lying, with and
 * without bias and dropout, against the formula in double and differences of it. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/lowrank.h"
#include "model/linear.h"

enum { T = 5, IN = 19, OUT = 13, R = 3 };

/* What a layer computes, in double. */
struct formula {
	double W[OUT * IN], b[OUT], A[R * IN], B[OUT * R], magnitude[OUT], norm[OUT];
	double x[T * IN], keep[T * IN], y0[T * OUT], weight[T * OUT];
	double scale, beta;
	bool dora;
	double y[T * OUT];
};

static double
row_of_A(const struct formula *f, int t, int k)
{
	double sum = 0;
	for (int i = 0; i < IN; i++)
		sum += f->keep[t * IN + i] * f->x[t * IN + i] * f->A[k * IN + i];
	return sum;
}

/* y, and its sum with the weights, whose gradient is taken. */
static double
compute(void *ctx)
{
	struct formula *f = ctx;
	double sum = 0;
	for (int t = 0; t < T; t++)
		for (int j = 0; j < OUT; j++) {
			double whole = 0, seen = 0, update = 0, gain = f->dora ? f->magnitude[j] / f->norm[j] : 1;
			for (int i = 0; i < IN; i++) {
				whole += f->W[j * IN + i] * f->x[t * IN + i];
				seen += f->W[j * IN + i] * f->x[t * IN + i] * f->keep[t * IN + i];
			}
			for (int k = 0; k < R; k++)
				update += f->scale * f->B[j * R + k] * row_of_A(f, t, k);
			double y = f->beta * f->y0[t * OUT + j] + f->b[j] + whole + (gain - 1) * seen + gain * update;
			f->y[t * OUT + j] = y;
			sum += f->weight[t * OUT + j] * y;
		}
	return sum;
}

static double
norm_of_row(const struct formula *f, int j)
{
	double sum = 0;
	for (int i = 0; i < IN; i++) {
		double w = f->W[j * IN + i];
		for (int k = 0; k < R; k++)
			w += f->scale * f->B[j * R + k] * f->A[k * IN + i];
		sum += w * w;
	}
	return sqrt(sum);
}

/* ---- the layer ---- */

struct layer_test {
	struct linear l;
	struct param w, b;
	struct lora lora;
	struct linear_pass pass;
	struct rows x, y, dx, dy;
	uint64_t key[T];
};

static struct rows
new_rows(int n, uint64_t seed)
{
	return rows_f32(random_floats((size_t)T * (size_t)n, 1, seed), n);
}

static void
place(struct param *p, int rank, int rows, int columns, uint64_t seed)
{
	*p = (struct param){.rank = rank, .rows = rows, .columns = columns};
	size_t n = param_size(p);
	param_place(p, random_floats(n, 0.5, seed));
	p->grad = random_floats(n, 1, seed + 1);
}

/* Whole numbers of 1/64, which every form holds as they are. */
static void
place_matrix(struct param *w, enum matrix_form form, bool transposed)
{
	struct rng r;
	*w = (struct param){.rank = 2, .rows = transposed ? IN : OUT, .columns = transposed ? OUT : IN, .transposed = transposed};
	float *values = hold(xreallocarray(NULL, OUT * IN, sizeof *values));
	uint16_t *halves = hold(xreallocarray(NULL, OUT * IN, sizeof *halves));
	rng_init(&r, 3, 3);
	for (int i = 0; i < OUT * IN; i++) {
		int n = (int)rng_below(&r, 201) - 100;
		values[i] = (float)n / 64;
		halves[i] = bf16_from_f32(values[i]);
		/* Half precision: 1.fraction times a power of two. */
		int exponent = n ? (int)floor(log2(abs(n))) : 0, fraction = n ? (abs(n) << (10 - exponent)) & 1023 : 0;
		if (form == MATRIX_F16)
			halves[i] = (uint16_t)((n < 0) << 15 | (n ? exponent - 6 + 15 : 0) << 10 | fraction);
	}
	if (form == MATRIX_F32)
		param_place(w, values);
	else
		param_place_matrix(w, form, halves);
}

static void
make(struct layer_test *t, enum matrix_form form, bool transposed, bool bias, bool dora, double dropout)
{
	*t = (struct layer_test){.l = {.name = (char *)"layers.0.q_proj", .in = IN, .out = OUT, .w = &t->w, .lora = &t->lora}};
	place_matrix(&t->w, form, transposed);
	place(&t->b, 1, OUT, 1, 10);
	t->l.b = bias ? &t->b : NULL;
	place(&t->lora.A, 2, R, IN, 20);
	place(&t->lora.B, 2, OUT, R, 30);
	t->lora.r = R;
	t->lora.scale = 0.7f;
	t->lora.dropout = (float)dropout;
	t->lora.xA = new_rows(R, 40);
	if (dora) {
		place(&t->lora.magnitude, 1, OUT, 1, 50);
		t->lora.magnitude.name = (char *)"m";
		t->lora.norm = random_floats(OUT, 1, 52);
		t->lora.gain = random_floats(OUT, 1, 53);
		t->lora.u = new_rows(OUT, 54);
		lowrank_norms(t->lora.norm, &t->w.matrix, t->lora.A.value, t->lora.B.value, R, t->lora.scale);
	}
	for (int i = 0; i < T; i++)
		t->key[i] = (uint64_t)i + 100;
	t->pass = (struct linear_pass){new_rows(IN, 60), new_rows(R, 61), new_rows(OUT, 62), .row_key = t->key};
	t->x = new_rows(IN, 70);
	t->y = new_rows(OUT, 71);
	t->dx = new_rows(IN, 72);
	t->dy = new_rows(OUT, 73);
}

static void
widen(double *to, const float *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (double)from[i];
}

/* The same in double; the mask is what the layer made of its input. */
static struct formula *
formula_of(const struct layer_test *t, const float *y0, double beta)
{
	struct formula *f = hold(xcalloc(1, sizeof *f));
	float w[OUT * IN];
	param_read(&t->w, 0, OUT * IN, w);
	for (int j = 0; j < OUT; j++)
		for (int i = 0; i < IN; i++)
			f->W[j * IN + i] = (double)w[t->w.transposed ? i * OUT + j : j * IN + i];
	widen(f->A, t->lora.A.value, R * IN);
	widen(f->B, t->lora.B.value, OUT * R);
	widen(f->x, t->x.data, T * IN);
	widen(f->y0, y0, T * OUT);
	widen(f->weight, t->dy.data, T * OUT);
	if (t->l.b)
		widen(f->b, t->b.value, OUT);
	f->scale = (double)t->lora.scale;
	f->beta = beta;
	f->dora = lora_is_dora(&t->lora);
	if (f->dora)
		widen(f->magnitude, t->lora.magnitude.value, OUT);
	for (int j = 0; j < OUT; j++)
		f->norm[j] = norm_of_row(f, j);
	const float *dropped = t->pass.dropped.data, *x = t->x.data;
	for (int i = 0; i < T * IN; i++)
		f->keep[i] = t->lora.dropout > 0 ? (double)dropped[i] / (double)x[i] : 1;
	return f;
}

static void
check_gradient(const struct param *p, const float *before, double *x, struct formula *f)
{
	assert_gradient(p->grad, before, x, param_size(p), compute, f, 0, 1e-5);
}

static void
check(enum matrix_form form, bool transposed, bool bias, bool dora, double dropout, double beta)
{
	struct layer_test t;
	make(&t, form, transposed, bias, dora, dropout);
	float *y0 = copy_floats(t.y.data, T * OUT), *dx0 = copy_floats(t.dx.data, T * IN);
	struct param *trained[] = {&t.lora.A, &t.lora.B, &t.b, &t.lora.magnitude};
	float *before[4] = {0};
	for (int i = 0; i < 4; i++)
		before[i] = trained[i]->grad ? copy_floats(trained[i]->grad, param_size(trained[i])) : NULL;
	linear_forward(&t.l, t.y, t.x, T, (float)beta, &t.pass);
	struct formula *f = formula_of(&t, y0, beta);
	compute(f);
	assert_all_near(t.y.data, f->y, T * OUT, 2e-6);
	if (dora)
		assert_all_near(t.lora.norm, f->norm, OUT, 2e-7);
	linear_backward(&t.l, t.dx, t.dy, T, (float)beta, &t.pass);
	linear_weights(&t.l, t.dy, t.x, T, &t.pass);
	check_gradient(&t.lora.A, before[0], f->A, f);
	check_gradient(&t.lora.B, before[1], f->B, f);
	if (bias)
		check_gradient(&t.b, before[2], f->b, f);
	else
		assert_same_floats(t.b.grad, before[2], OUT);
	if (dora)
		check_gradient(&t.lora.magnitude, before[3], f->magnitude, f);
	assert_gradient(t.dx.data, beta != 0 ? dx0 : NULL, f->x, T * IN, compute, f, 0, 1e-5);
	release_all();
}

static void
test_layers(void **state)
{
	(void)state;
	static const enum matrix_form forms[] = {MATRIX_F32, MATRIX_BF16, MATRIX_F16};
	for (int i = 0; i < 3 * 32; i++)
		check(forms[i / 32], i & 1, i & 2, i & 4, i & 8 ? 0.4 : 0, i & 16 ? 1 : 0);
}

/* The masks follow the rows' keys: none without keys, and others for another layer. */
static void
test_dropout(void **state)
{
	(void)state;
	struct layer_test t;
	make(&t, MATRIX_F32, false, true, true, 0.4);
	float *none = random_floats(T * OUT, 1, 1), *some = random_floats(T * OUT, 1, 1);
	struct linear_pass still = t.pass;
	still.row_key = NULL;
	linear_forward(&t.l, rows_f32(none, OUT), t.x, T, 0, &still);
	t.lora.dropout = 0;
	linear_forward(&t.l, rows_f32(some, OUT), t.x, T, 0, &t.pass);
	assert_same_floats(some, none, T * OUT);
	t.lora.dropout = 0.4f;
	linear_forward(&t.l, rows_f32(none, OUT), t.x, T, 0, &t.pass);
	t.l.name = (char *)"layers.1.q_proj";
	linear_forward(&t.l, rows_f32(some, OUT), t.x, T, 0, &t.pass);
	assert_memory_not_equal(some, none, T * OUT * sizeof(float));
	release_all();
}

/* Sizes beyond one block, and any number of threads. */
static void
test_norms(void **state)
{
	(void)state;
	enum { M = 131, K = 9001, RANK = 2 };
	float *w = random_floats((size_t)M * K, 1, 1), *A = random_floats((size_t)RANK * K, 1, 2), *B = random_floats((size_t)M * RANK, 1, 3);
	float one[M], three[M];
	double want[M];
	for (int transposed = 0; transposed < 2; transposed++) {
		const struct matrix m = {MATRIX_F32, transposed, M, K, w};
		for (int j = 0; j < M; j++) {
			want[j] = 0;
			for (int i = 0; i < K; i++) {
				double x = (double)w[transposed ? i * M + j : j * K + i];
				for (int k = 0; k < RANK; k++)
					x += 1.5 * (double)B[j * RANK + k] * (double)A[k * K + i];
				want[j] += x * x;
			}
			want[j] = sqrt(want[j]);
		}
		math_set_threads(1);
		lowrank_norms(one, &m, A, B, RANK, 1.5f);
		math_set_threads(3);
		lowrank_norms(three, &m, A, B, RANK, 1.5f);
		assert_same_floats(three, one, M);
		assert_all_near(one, want, M, 1e-6);
	}
	release_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_dropout),
		cmocka_unit_test(test_norms),
	};
	math_set_threads(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

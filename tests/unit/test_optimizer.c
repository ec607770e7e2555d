/* Optimisers against their definitions in double precision, and the schedules of the learning rate. */
#include "numeric.h"

#include "math/gemm.h"
#include "math/dynamic8.h"
#include "model/optimizer.h"
#include "model/schedule.h"

/* A model of nothing but parameters: a matrix, which decays, and a vector, which does not. */
struct toy {
	struct model m;
	struct param p[2], *trained[2];
};

static void
toy_init(struct toy *t, int rows, int columns)
{
	*t = (struct toy){.p = {{.rank = 2, .rows = rows, .columns = columns}, {.rank = 1, .rows = columns, .columns = 1}}};
	for (int i = 0; i < 2; i++) {
		t->p[i].value = random_floats(param_size(&t->p[i]), 1, (uint64_t)i);
		t->p[i].grad = random_floats(param_size(&t->p[i]), 1, (uint64_t)i + 10);
		t->trained[i] = &t->p[i];
	}
	t->m.trained = t->trained;
	t->m.n_trained = 2;
}

struct moments {
	double *p, *m, *v;
};

static void
reference_step(struct moments *s, const float *g, size_t n, double lr, double decay, double scale, int t)
{
	for (size_t i = 0; i < n; i++) {
		double x = (double)g[i] * scale;
		s->m[i] = 0.9 * s->m[i] + 0.1 * x;
		s->v[i] = 0.999 * s->v[i] + 0.001 * x * x;
		s->p[i] *= 1 - lr * decay;
		s->p[i] -= lr * (s->m[i] / (1 - pow(0.9, t))) / (sqrt(s->v[i] / (1 - pow(0.999, t))) + 1e-8);
	}
}

static const struct optimizer_options adamw = {OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};

static void
check_adamw(int rows, int columns, double decay)
{
	struct toy t;
	struct optimizer o;
	struct optimizer_options opt = adamw;
	struct moments ref[2];
	opt.weight_decay = decay;
	toy_init(&t, rows, columns);
	optimizer_init(&o, &t.m, &opt);
	for (int i = 0; i < 2; i++) {
		size_t n = param_size(&t.p[i]);
		ref[i] = (struct moments){to_double(t.p[i].value, n), hold(xcalloc(n, sizeof(double))), hold(xcalloc(n, sizeof(double)))};
	}
	for (int step = 1; step <= 20; step++) {
		double lr = step == 1 ? 0 : 0.01 / step, scale = step % 2 ? 1 : 0.3;
		for (int i = 0; i < 2; i++) {
			size_t n = param_size(&t.p[i]);
			float *g = random_floats(n, step == 3 ? 1e-6 : 1, (uint64_t)(step * 2 + i));
			memcpy(t.p[i].grad, g, n * sizeof *g);
			reference_step(&ref[i], g, n, lr, i == 0 ? decay : 0, scale, step);
		}
		optimizer_step(&o, &t.m, lr, scale);
		assert_int_equal(o.step, step);
	}
	for (int i = 0; i < 2; i++) {
		size_t n = param_size(&t.p[i]);
		assert_all_near(t.p[i].value, ref[i].p, n, 1e-5);
		assert_all_near(o.moment[i][0].data, ref[i].m, n, 1e-6);
		assert_all_near(o.moment[i][1].data, ref[i].v, n, 1e-6);
	}
	optimizer_release(&o);
	release_all();
}

static void
test_adamw(void **state)
{
	(void)state;
	check_adamw(1, 1, 0);
	check_adamw(3, 7, 0.1);
	check_adamw(13, 17, 0.5);
	check_adamw(127, 131, 0.1);  /* more than a block of the kernel */
}

/* ---- eight bits ---- */

/* The map as the paper's authors make it: the means of neighbours of evenly spaced borders, in each decade. */
static void
reference_map(double *v, bool has_sign)
{
	size_t n = 0;
	for (int i = 0; i < 7; i++) {
		int borders = (has_sign ? 1 << i : 2 << i) + 1;
		for (int j = 0; j + 1 < borders; j++) {
			double a = 0.1 + 0.9 * j / (borders - 1), b = 0.1 + 0.9 * (j + 1) / (borders - 1);
			v[n++] = pow(10, i - 6) * (a + b) / 2;
			if (has_sign)
				v[n++] = -pow(10, i - 6) * (a + b) / 2;
		}
	}
	v[n++] = 0;
	v[n++] = 1;
	assert_int_equal(n, 256);
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
test_map(void **state)
{
	(void)state;
	for (int has_sign = 0; has_sign < 2; has_sign++) {
		const struct dynamic8 *d = has_sign ? dynamic8_signed() : dynamic8_unsigned();
		double want[256];
		reference_map(want, has_sign);
		qsort(want, 256, sizeof *want, ascending);
		for (int i = 0; i < 256; i++)
			assert_near((double)d->value[i], want[i], 1e-7 * fabs(want[i]));
		assert_true(d->value[d->zero] == 0);
	}
}

/* The distance of x to the nearest value of a map. */
static double
nearest(const struct dynamic8 *d, double x)
{
	double best = INFINITY;
	for (int i = 0; i < 256; i++)
		best = smaller(best, fabs((double)d->value[i] - x));
	return best;
}

static void
check_codes(const float *x, int n, const struct dynamic8 *d)
{
	uint8_t code[DYNAMIC8_BLOCK];
	float back[DYNAMIC8_BLOCK], max = dynamic8_write(code, x, n, d);
	double largest = magnitude(x, (size_t)n);
	assert_true((double)max == largest || largest < 1e-38);
	dynamic8_read(back, code, max, n, d);
	for (int i = 0; i < n && max > 0; i++) {
		double y = (double)x[i] / largest, got = fabs((double)d->value[code[i]] - y);
		assert_near(got, nearest(d, y), 2e-7 * fabs(y) + 1e-12);
		assert_near((double)back[i], (double)d->value[code[i]] * largest, 1e-7 * largest);
	}
}

/* Numbers over many decades, the map's own, and those just beside the borders between two codes. */
static void
test_codes(void **state)
{
	(void)state;
	float x[DYNAMIC8_BLOCK];
	for (int has_sign = 0; has_sign < 2; has_sign++) {
		const struct dynamic8 *d = has_sign ? dynamic8_signed() : dynamic8_unsigned();
		struct rng r;
		rng_init(&r, 5, (uint64_t)has_sign);
		for (int round = 0; round < 400; round++) {
			int n = 1 + (int)rng_below(&r, DYNAMIC8_BLOCK);
			for (int i = 0; i < n; i++)
				x[i] = (float)(pow(10, -9 * rng_uniform(&r)) * (has_sign && rng_u64(&r) % 2 ? -3 : 3));
			check_codes(x, n, d);
		}
		check_codes(d->value, 256, d);
		for (float side = -1; side <= 1; side++) {
			for (int k = 0; k < 127; k++)
				x[k] = d->border[k] * (1 + side * 1e-6f);
			x[127] = 1;
			check_codes(x, 128, d);
		}
	}
	memset(x, 0, sizeof x);
	check_codes(x, 7, dynamic8_signed());
	x[3] = 1e-42f;
	check_codes(x, 7, dynamic8_unsigned());
}

/* One block of the update, from the codes it had, in double. */
static void
check_block(const float *p, const uint8_t *m8, const uint8_t *v8, const float maxima[4], const double *want_p,
	const double *m, const double *v, int n)
{
	const struct dynamic8 *of_m = dynamic8_signed(), *of_v = dynamic8_unsigned();
	double max_m = 0, max_v = 0;
	for (int i = 0; i < n; i++) {
		max_m = fmax(max_m, fabs(m[i]));
		max_v = fmax(max_v, v[i]);
		assert_near((double)p[i], want_p[i], 2e-6 * fmax(1, fabs(want_p[i])));
	}
	assert_near((double)maxima[0], max_m, 1e-6 * max_m);
	assert_near((double)maxima[1], max_v, 1e-6 * max_v);
	for (int i = 0; i < n; i++) {
		assert_near(fabs((double)of_m->value[m8[i]] - m[i] / max_m), nearest(of_m, m[i] / max_m), 3e-6);
		assert_near(fabs((double)of_v->value[v8[i]] - v[i] / max_v), nearest(of_v, v[i] / max_v), 3e-6);
	}
}

/* Each step against the definition in double, beginning with the moments that the step before left. */
static void
check_adamw8(int rows, int columns, double decay)
{
	struct toy t;
	struct optimizer o;
	struct optimizer_options opt = adamw;
	opt.type = OPTIMIZER_ADAMW8BIT;
	opt.weight_decay = decay;
	toy_init(&t, rows, columns);
	optimizer_init(&o, &t.m, &opt);
	assert_int_equal(o.moment[0][0].dtype, ST_U8);
	assert_int_equal(o.moment[1][0].dtype, ST_F32);  /* a vector of few elements */
	size_t n = param_size(&t.p[0]);
	uint8_t *m8 = o.moment[0][0].data, *v8 = o.moment[0][1].data;
	float *m_max = o.moment[0][2].data, *v_max = o.moment[0][3].data;
	struct moments s = {hold(xcalloc(n, 8)), hold(xcalloc(n, 8)), hold(xcalloc(n, 8))};
	for (int step = 1; step <= 12; step++) {
		float *g = random_floats(n, step == 3 ? 1e-6 : 1, (uint64_t)step + 100);
		memcpy(t.p[0].grad, g, n * sizeof *g);
		for (size_t i = 0; i < n; i++) {
			s.p[i] = (double)t.p[0].value[i];
			s.m[i] = (double)dynamic8_signed()->value[m8[i]] * (double)m_max[i / 256];
			s.v[i] = (double)dynamic8_unsigned()->value[v8[i]] * (double)v_max[i / 256];
		}
		reference_step(&s, g, n, 0.01, decay, 0.7, step);
		optimizer_step(&o, &t.m, 0.01, 0.7);
		for (size_t at = 0; at < n; at += 256) {
			const float maxima[4] = {m_max[at / 256], v_max[at / 256]};
			check_block(t.p[0].value + at, m8 + at, v8 + at, maxima, s.p + at, s.m + at, s.v + at,
				n - at < 256 ? (int)(n - at) : 256);
		}
	}
	optimizer_release(&o);
	release_all();
}

static void
test_adamw8(void **state)
{
	(void)state;
	check_adamw8(64, 64, 0);
	check_adamw8(67, 71, 0.1);    /* the last block is not a whole one */
	check_adamw8(127, 131, 0.1);  /* several blocks of the kernel */
}

/* ---- SGD ---- */

static void
check_sgd(int rows, int columns, double momentum, double decay)
{
	struct toy t;
	struct optimizer o;
	const struct optimizer_options opt = {OPTIMIZER_SGD, .momentum = momentum, .weight_decay = decay};
	toy_init(&t, rows, columns);
	optimizer_init(&o, &t.m, &opt);
	assert_true((o.moment[0][0].data != NULL) == (momentum > 0));
	for (int i = 0; i < 2; i++) {
		size_t n = param_size(&t.p[i]);
		double *p = to_double(t.p[i].value, n), *velocity = hold(xcalloc(n, sizeof *velocity));
		for (int step = 1; step <= 9; step++) {
			float *g = random_floats(n, 1, (uint64_t)(step * 2 + i));
			memcpy(t.p[i].grad, g, n * sizeof *g);
			for (size_t k = 0; k < n; k++) {
				velocity[k] = momentum * velocity[k] + 0.5 * (double)g[k] + (i == 0 ? decay : 0) * p[k];
				p[k] -= 0.1 * velocity[k];
			}
			t.m.trained = t.trained + i;
			t.m.n_trained = 1;
			struct optimizer one = o;
			one.moment = o.moment + i;
			optimizer_step(&one, &t.m, 0.1, 0.5);
		}
		assert_all_near(t.p[i].value, p, n, 1e-5);
	}
	optimizer_release(&o);
	release_all();
}

static void
test_sgd(void **state)
{
	(void)state;
	check_sgd(1, 1, 0, 0);
	check_sgd(3, 7, 0.9, 0.1);
	check_sgd(13, 17, 0, 0.5);
	check_sgd(127, 131, 0.9, 0.1);
}

/* ---- all of them ---- */

static void
test_threads(void **state)
{
	(void)state;
	for (int type = OPTIMIZER_ADAMW; type <= OPTIMIZER_SGD; type++) {
		struct optimizer_options opt = adamw;
		float *value[2];
		opt.type = (enum optimizer_type)type;
		opt.momentum = 0.9;
		for (int i = 0; i < 2; i++) {
			struct toy t;
			struct optimizer o;
			toy_init(&t, 300, 301);
			math_set_threads(i ? 3 : 1);
			optimizer_init(&o, &t.m, &opt);
			optimizer_step(&o, &t.m, 0.1, 0.5);
			optimizer_step(&o, &t.m, 0.1, 0.5);
			value[i] = t.p[0].value;
			optimizer_release(&o);
		}
		math_set_threads(0);
		assert_same_floats(value[0], value[1], 300 * 301);
		release_all();
	}
}

/* What was never touched by a gradient stays, but for the decay. */
static void
test_zero_gradient(void **state)
{
	(void)state;
	for (int type = OPTIMIZER_ADAMW; type <= OPTIMIZER_SGD; type++) {
		struct toy t;
		struct optimizer o;
		struct optimizer_options opt = adamw;
		enum { R = 65, C = 67, N = R * C };
		opt.type = (enum optimizer_type)type;
		opt.weight_decay = 0.5;
		toy_init(&t, R, C);
		float *before = copy_floats(t.p[0].value, N), *bias = copy_floats(t.p[1].value, C);
		memset(t.p[0].grad, 0, N * sizeof(float));
		memset(t.p[1].grad, 0, C * sizeof(float));
		optimizer_init(&o, &t.m, &opt);
		optimizer_step(&o, &t.m, 0.1, 1);
		assert_same_floats(t.p[1].value, bias, C);
		for (int i = 0; i < N; i++)
			assert_near((double)t.p[0].value[i], 0.95 * (double)before[i], 1e-7 * fabs((double)before[i]));
		optimizer_release(&o);
		release_all();
	}
}

/* B of an adapter at four times the rate of all else: as if it were alone with that rate. */
static void
test_loraplus(void **state)
{
	(void)state;
	char a[] = "base_model.model.q.lora_A.weight", b[] = "base_model.model.q.lora_B.weight";
	float *value[3][2];
	for (int run = 0; run < 3; run++) {
		struct toy t;
		struct optimizer o;
		toy_init(&t, 5, 3);
		t.p[0].name = a;
		t.p[1].name = b;
		optimizer_init(&o, &t.m, &adamw);
		if (run == 2)
			assert_int_equal(optimizer_set_loraplus(&o, &t.m, 4), 1);
		optimizer_step(&o, &t.m, run == 1 ? 0.4 : 0.1, 1);
		for (int i = 0; i < 2; i++)
			value[run][i] = t.p[i].value;
		optimizer_release(&o);
	}
	assert_same_floats(value[2][0], value[0][0], 15);
	assert_same_floats(value[2][1], value[1][1], 3);
	release_all();
}

/* ---- schedules ---- */

static void
test_warmup(void **state)
{
	(void)state;
	for (int type = SCHEDULE_LINEAR; type <= SCHEDULE_CONSTANT; type++) {
		struct schedule s = {(enum schedule_type)type, 0.4, 4, 20, 0.1};
		for (int done = 0; done <= 4; done++)
			assert_near(schedule_rate(&s, done), 0.1 * done, 1e-12);
		s.warmup = 0;
		assert_near(schedule_rate(&s, 0), 0.4, 1e-12);
	}
}

static void
test_decay(void **state)
{
	(void)state;
	const struct schedule linear = {SCHEDULE_LINEAR, 2, 5, 25}, cosine = {SCHEDULE_COSINE, 2, 5, 25},
			      constant = {SCHEDULE_CONSTANT, 2, 5, 25};
	for (int done = 5; done <= 30; done++) {
		double progress = (done - 5) / 20.0, capped = fmin(progress, 1);
		assert_near(schedule_rate(&linear, done), 2 * (1 - capped), 1e-12);
		if (done <= 25)
			assert_near(schedule_rate(&cosine, done), 1 + cos(acos(-1) * progress), 1e-12);
		assert_near(schedule_rate(&constant, done), 2, 0);
	}
	assert_near(schedule_rate(&cosine, 15), 1, 1e-12);
	assert_near(schedule_rate(&cosine, 25), 0, 1e-12);
}

/* transformers' cosine_with_min_lr: the cosine between the peak and a share of it, which it ends at. */
static void
test_floor(void **state)
{
	(void)state;
	const struct schedule cosine = {SCHEDULE_COSINE, 2, 5, 25, 0.25}, linear = {SCHEDULE_LINEAR, 2, 5, 25, 0.25},
			      constant = {SCHEDULE_CONSTANT, 2, 5, 25, 0.25};
	for (int done = 5; done <= 25; done++) {
		double progress = (done - 5) / 20.0;
		assert_near(schedule_rate(&cosine, done), 2 * (0.5 * (1 + cos(acos(-1) * progress)) * 0.75 + 0.25), 1e-12);
		assert_near(schedule_rate(&linear, done), 2 * ((1 - progress) * 0.75 + 0.25), 1e-12);
		assert_near(schedule_rate(&constant, done), 2, 0);
	}
	assert_near(schedule_rate(&cosine, 25), 0.5, 1e-12);
	assert_near(schedule_rate(&linear, 30), 0.5, 1e-12);
	assert_near(schedule_rate(&cosine, 1), 0.4, 1e-12);
}

static void
test_names(void **state)
{
	(void)state;
	assert_int_equal(schedule_named("linear"), SCHEDULE_LINEAR);
	assert_int_equal(schedule_named("cosine"), SCHEDULE_COSINE);
	assert_int_equal(schedule_named("cosine_with_min_lr"), SCHEDULE_COSINE);
	assert_int_equal(schedule_named("constant"), SCHEDULE_CONSTANT);
	assert_int_equal(schedule_named("constant_with_warmup"), SCHEDULE_CONSTANT);
}

/* A warm-up as long as the run, or longer, ends nowhere and divides by nothing. */
static void
test_all_warmup(void **state)
{
	(void)state;
	for (int type = SCHEDULE_LINEAR; type <= SCHEDULE_CONSTANT; type++)
		for (int warmup = 10; warmup < 12; warmup++) {
			struct schedule s = {(enum schedule_type)type, 1, warmup, 10};
			for (int done = 0; done <= 10; done++)
				assert_near(schedule_rate(&s, done), done < warmup ? (double)done / warmup : 1, 1e-12);
		}
}

int
main(void)
{
	math_set_threads(0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adamw),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_adamw8),
		cmocka_unit_test(test_sgd),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_zero_gradient),
		cmocka_unit_test(test_loraplus),
		cmocka_unit_test(test_warmup),
		cmocka_unit_test(test_decay),
		cmocka_unit_test(test_all_warmup),
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

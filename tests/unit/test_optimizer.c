/* AdamW against its definition in double precision, and the schedules of the learning rate. */
#include "numeric.h"

#include "math/gemm.h"
#include "model/optimizer.h"

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

static void
check_adamw(int rows, int columns, double decay)
{
	struct toy t;
	struct adamw o;
	struct moments ref[2];
	toy_init(&t, rows, columns);
	adamw_init(&o, &t.m, decay);
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
		adamw_step(&o, &t.m, lr, scale);
		assert_int_equal(o.step, step);
	}
	for (int i = 0; i < 2; i++) {
		size_t n = param_size(&t.p[i]);
		assert_all_near(t.p[i].value, ref[i].p, n, 1e-5);
		assert_all_near(o.m[i], ref[i].m, n, 1e-6);
		assert_all_near(o.v[i], ref[i].v, n, 1e-6);
	}
	adamw_release(&o);
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

static void
test_threads(void **state)
{
	(void)state;
	float *value[2];
	for (int i = 0; i < 2; i++) {
		struct toy t;
		struct adamw o;
		toy_init(&t, 300, 301);
		math_set_threads(i ? 3 : 1);
		adamw_init(&o, &t.m, 0.1);
		adamw_step(&o, &t.m, 0.1, 0.5);
		value[i] = t.p[0].value;
		adamw_release(&o);
	}
	math_set_threads(0);
	assert_same_floats(value[0], value[1], 300 * 301);
	release_all();
}

/* What was never touched by a gradient stays, but for the decay. */
static void
test_zero_gradient(void **state)
{
	(void)state;
	struct toy t;
	struct adamw o;
	toy_init(&t, 5, 3);
	float *before = copy_floats(t.p[0].value, 15), *bias = copy_floats(t.p[1].value, 3);
	memset(t.p[0].grad, 0, 15 * sizeof(float));
	memset(t.p[1].grad, 0, 3 * sizeof(float));
	adamw_init(&o, &t.m, 0.5);
	adamw_step(&o, &t.m, 0.1, 1);
	assert_same_floats(t.p[1].value, bias, 3);
	for (int i = 0; i < 15; i++)
		assert_near((double)t.p[0].value[i], 0.95 * (double)before[i], 1e-7 * fabs((double)before[i]));
	adamw_release(&o);
	release_all();
}

/* ---- schedules ---- */

static void
test_warmup(void **state)
{
	(void)state;
	for (int type = SCHEDULE_LINEAR; type <= SCHEDULE_CONSTANT; type++) {
		struct schedule s = {(enum schedule_type)type, 0.4, 4, 20};
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
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_zero_gradient),
		cmocka_unit_test(test_warmup),
		cmocka_unit_test(test_decay),
		cmocka_unit_test(test_all_warmup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

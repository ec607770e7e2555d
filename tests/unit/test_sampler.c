/* Drawing a token: by selection, against sorting all of them. */
#include "numeric.h"

#include "model/sampler.h"

struct pair {
	float logit;
	int32_t id;
};

static int
by_logit(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	if (x->logit != y->logit)
		return x->logit < y->logit ? 1 : -1;
	return x->id < y->id ? -1 : 1;
}

/* What the header says, word by word: the sampler's own stream of numbers is copied. */
static int32_t
choose_by_sorting(struct sampler *s, const float *logits, int V)
{
	struct pair *c = hold(xreallocarray(NULL, (size_t)V, sizeof *c));
	int n = s->top_k > 0 && s->top_k < V ? s->top_k : V, k = 0;
	double sum = 0, within = 0;
	for (int v = 0; v < V; v++)
		c[v] = (struct pair){logits[v], v};
	qsort(c, (size_t)V, sizeof *c, by_logit);
	for (int i = 0; i < n; i++)
		sum += exp((double)(c[i].logit - c[0].logit) / s->temperature);
	while (k < n && (k == 0 || within < s->top_p * sum))
		within += exp((double)(c[k++].logit - c[0].logit) / s->temperature);
	double left = rng_uniform(&s->rng) * within;
	for (int i = 0; i < k; i++) {
		left -= exp((double)(c[i].logit - c[0].logit) / s->temperature);
		if (left < 0)
			return c[i].id;
	}
	return c[k - 1].id;
}

static void
check(const float *logits, int V, double temperature, int top_k, double top_p)
{
	struct sampler s, sorting;
	sampler_init(&s, temperature, top_k, top_p, 3);
	sampler_init(&sorting, temperature, top_k, top_p, 3);
	for (int i = 0; i < 40; i++)
		assert_int_equal(sampler_choose(&s, logits, V), choose_by_sorting(&sorting, logits, V));
	sampler_release(&s);
	release_all();
}

/* Logits that differ, many that are the same, rising and falling ones, and one that has it all. */
static void
fill(float *logits, int V, int kind, uint64_t seed)
{
	struct rng r;
	rng_init(&r, seed, 0);
	for (int v = 0; v < V; v++) {
		double x = rng_normal(&r);
		logits[v] = kind == 0 ? (float)(3 * x) : kind == 1 ? (float)rint(x) : kind == 2 ? (float)v * 0.01f :
			kind == 3 ? (float)-v * 0.01f : v == V / 3 ? 50 : (float)x;
	}
}

static void
test_choices(void **state)
{
	(void)state;
	static const int sizes[] = {1, 2, 3, 7, 100, 5003}, ks[] = {0, 1, 2, 40, 6000};
	static const double ps[] = {1, 0.9, 0.5, 1e-6}, temperatures[] = {1, 0.7, 5};
	static float logits[5003];
	for (size_t v = 0; v < 6; v++)
		for (int kind = 0; kind < 5; kind++)
			for (size_t k = 0; k < 5; k++)
				for (size_t p = 0; p < 4; p++) {
					fill(logits, sizes[v], kind, v + 10 * k);
					check(logits, sizes[v], temperatures[(k + p) % 3], ks[k], ps[p]);
				}
}

/* Draws come as often as they are probable: 4 sigma of 20,000. */
static void
test_frequencies(void **state)
{
	(void)state;
	static const double probability[] = {0.5, 0.3, 0.15, 0.05};
	enum { DRAWS = 20000 };
	float logits[4];
	int count[4] = {0};
	struct sampler s;
	for (int i = 0; i < 4; i++)
		logits[i] = (float)(2 * log(probability[i]));
	sampler_init(&s, 2, 0, 0.9, 1);
	for (int i = 0; i < DRAWS; i++)
		count[sampler_choose(&s, logits, 4)]++;
	sampler_release(&s);
	assert_int_equal(count[3], 0);
	for (int i = 0; i < 3; i++) {
		double p = probability[i] / 0.95;
		assert_near(count[i], DRAWS * p, 4 * sqrt(DRAWS * p * (1 - p)));
	}
}

static void
test_greedy(void **state)
{
	(void)state;
	static const float logits[] = {-1, 4, 2, 4};
	struct sampler s;
	sampler_init(&s, 0, 3, 0.5, 1);
	assert_int_equal(sampler_choose(&s, logits, 4), 1);
	sampler_release(&s);
}

/* Logits that are no numbers give a token of the vocabulary all the same; the caller looks at its logit. */
static void
test_nan(void **state)
{
	(void)state;
	float logits[50];
	for (int i = 0; i < 50; i++)
		logits[i] = i % 3 ? NAN : INFINITY;
	for (int k = 0; k < 60; k += 20) {
		struct sampler s;
		sampler_init(&s, 1, k, 0.9, 1);
		int32_t id = sampler_choose(&s, logits, 50);
		assert_true(id >= 0 && id <= 49);
		sampler_release(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_frequencies),
		cmocka_unit_test(test_greedy),
		cmocka_unit_test(test_nan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

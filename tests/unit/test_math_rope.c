/* Rotary embedding: frequencies, the turn, and the turn back. */
#include "numeric.h"

#include "math/rope.h"

static double
plain_frequency(const struct rope *r, int i)
{
	return pow(r->theta, -2.0 * i / r->rotary);
}

static void
test_frequencies(void **state)
{
	(void)state;
	static const int dims[] = {2, 6, 14, 64, 128};
	for (size_t d = 0; d < sizeof dims / sizeof *dims; d++) {
		struct rope r = {.type = ROPE_DEFAULT, .theta = 10000, .rotary = dims[d], .factor = 4};
		float freq[64], linear[64];
		rope_frequencies(freq, &r);
		r.type = ROPE_LINEAR;
		rope_frequencies(linear, &r);
		for (int i = 0; i < dims[d] / 2; i++) {
			assert_near((double)freq[i], plain_frequency(&r, i), 2e-6 * plain_frequency(&r, i));
			assert_true(linear[i] == freq[i] / 4);
		}
	}
}

/* Long wavelengths stretched, short ones kept, the rest blended (docs: transformers' modeling_rope_utils). */
static void
test_llama3(void **state)
{
	(void)state;
	const struct rope r = {.type = ROPE_LLAMA3, .theta = 500000, .rotary = 128, .factor = 8, .low_freq_factor = 1,
		.high_freq_factor = 4, .original_max_position = 8192};
	float freq[64];
	int kept = 0, stretched = 0, blended = 0;
	rope_frequencies(freq, &r);
	for (int i = 0; i < 64; i++) {
		double f = plain_frequency(&r, i), turns = 8192 * f / (2 * acos(-1)), want;
		if (turns > 4) {
			want = f;
			kept++;
		} else if (turns < 1) {
			want = f / 8;
			stretched++;
		} else {
			double smooth = (turns - 1) / 3;
			want = (1 - smooth) * f / 8 + smooth * f;
			blended++;
		}
		assert_near((double)freq[i], want, 5e-6 * want);
		assert_true(i == 0 || freq[i] < freq[i - 1]);
	}
	assert_true(kept > 0 && stretched > 0 && blended > 0);
}

enum { T = 7, POSITIONS = 200 };
static const int32_t pos[T] = {0, 1, 2, 0, 63, 199, 7};

static void
check_turn(int heads, int D, int rotary)
{
	struct rope r = {.type = ROPE_DEFAULT, .theta = 10000, .rotary = rotary, .factor = 1};
	size_t n = (size_t)(T * heads * D), table = (size_t)(POSITIONS * rotary / 2);
	float *freq = random_floats((size_t)rotary / 2, 1, 0), *c = random_floats(table, 1, 0), *s = random_floats(table, 1, 0);
	float *x = random_floats(n, 1, 5), *before = copy_floats(x, n);
	double *want = to_double(x, n), *original = to_double(x, n);
	rope_frequencies(freq, &r);
	rope_table(c, s, freq, POSITIONS, rotary);
	for (int t = 0; t < T; t++)
		for (int h = 0; h < heads; h++)
			for (int i = 0; i < rotary / 2; i++) {
				size_t at = (size_t)((t * heads + h) * D + i), pair = at + (size_t)rotary / 2;
				double angle = pos[t] * (double)freq[i];
				want[at] = original[at] * cos(angle) - original[pair] * sin(angle);
				want[pair] = original[pair] * cos(angle) + original[at] * sin(angle);
			}
	rope_apply((struct heads){rows_f32(x, heads * D), D}, c, s, pos, T, heads, rotary, 1);
	assert_all_near(x, want, n, 1e-5);
	for (size_t i = 0; i < n; i++)
		if ((int)(i % (size_t)D) >= rotary || pos[i / (size_t)(heads * D)] == 0)
			assert_true(x[i] == before[i]);
	rope_apply((struct heads){rows_f32(x, heads * D), D}, c, s, pos, T, heads, rotary, -1);
	assert_all_near(x, original, n, 1e-6);
	release_all();
}

static void
test_turn(void **state)
{
	(void)state;
	check_turn(1, 2, 2);
	check_turn(3, 6, 6);
	check_turn(2, 14, 14);
	check_turn(2, 34, 34);
	check_turn(1, 128, 128);
	check_turn(3, 10, 4);
}

/* What the embedding is for: a product of two turned vectors depends on the distance of their positions only. */
static void
test_distance(void **state)
{
	(void)state;
	enum { D = 16 };
	struct rope r = {.type = ROPE_DEFAULT, .theta = 100, .rotary = D, .factor = 1};
	float freq[D / 2], c[POSITIONS * D / 2], s[POSITIONS * D / 2], *q0 = random_floats(D, 1, 1), *k0 = random_floats(D, 1, 2);
	double first = 0;
	rope_frequencies(freq, &r);
	rope_table(c, s, freq, POSITIONS, D);
	for (int32_t p = 0; p < 150; p += 50) {
		int32_t q_pos = p + 11;
		float *q = copy_floats(q0, D), *k = copy_floats(k0, D);
		rope_apply((struct heads){rows_f32(q, D), D}, c, s, &q_pos, 1, 1, D, 1);
		rope_apply((struct heads){rows_f32(k, D), D}, c, s, &p, 1, 1, D, 1);
		double dot = 0;
		for (int i = 0; i < D; i++)
			dot += (double)q[i] * (double)k[i];
		first = p ? first : dot;
		assert_near(dot, first, 1e-4);
	}
	release_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frequencies),
		cmocka_unit_test(test_llama3),
		cmocka_unit_test(test_turn),
		cmocka_unit_test(test_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
		struct rope r = {.type = ROPE_DEFAULT, .theta = 10000, .rotary = dims[d], .factor = 4, .attention_factor = 1};
		float freq[64], linear[64];
		rope_frequencies(freq, &r, 100);
		r.type = ROPE_LINEAR;
		rope_frequencies(linear, &r, 100);
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
	rope_frequencies(freq, &r, 100);
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

/* Kept below the first bound, divided above the second, between them by how far it is (Peng et al. 2023). */
static void
test_yarn(void **state)
{
	(void)state;
	struct rope r = {.type = ROPE_YARN, .theta = 10000, .rotary = 64, .factor = 4, .beta_fast = 32, .beta_slow = 1,
		.truncate = true, .original_max_position = 2048};
	float freq[32];
	double pi = acos(-1), low = 0, high = 0;
	for (int truncate = 0; truncate < 2; truncate++) {
		r.truncate = truncate;
		rope_frequencies(freq, &r, 7);
		/* i at which 2048 f / 2 pi turns are 32, or 1: f = theta^(-2i/64) */
		low = 32 * log(2048 / (32 * 2 * pi)) / log(10000);
		high = 32 * log(2048 / (2 * pi)) / log(10000);
		low = truncate ? floor(low) : low;
		high = truncate ? ceil(high) : high;
		assert_true(low > 2 && high < 30);
		for (int i = 0; i < 32; i++) {
			double f = plain_frequency(&r, i), ramp = fmin(fmax((i - low) / (high - low), 0), 1);
			double want = f / 4 * ramp + f * (1 - ramp);
			assert_near((double)freq[i], want, 5e-6 * want);
		}
	}
}

/* What depends on the length of the document, and what does not. */
static void
test_lengths(void **state)
{
	(void)state;
	enum { ROTARY = 8 };
	const float shorter[] = {1, 1, 2, 3}, longer[] = {1, 4, 9, 16};
	struct rope dynamic = {.type = ROPE_DYNAMIC, .theta = 500, .rotary = ROTARY, .factor = 3, .original_max_position = 100},
		    two = {.type = ROPE_LONGROPE, .theta = 500, .rotary = ROTARY, .short_factor = shorter, .long_factor = longer,
			    .original_max_position = 100};
	float freq[ROTARY / 2];
	assert_false(rope_varies(&dynamic, 100) || rope_varies(&two, 100));
	assert_true(rope_varies(&dynamic, 101) && rope_varies(&two, 101));
	for (int length = 99; length < 300; length += 100) {
		struct rope base = {.theta = length > 100 ? 500 * pow(3 * length / 100.0 - 2, 8.0 / 6) : 500, .rotary = ROTARY};
		rope_frequencies(freq, &dynamic, length);
		for (int i = 0; i < ROTARY / 2; i++)
			assert_near((double)freq[i], plain_frequency(&base, i), 2e-6 * plain_frequency(&base, i));
		rope_frequencies(freq, &two, length);
		for (int i = 0; i < ROTARY / 2; i++) {
			double want = plain_frequency(&two, i) / (double)(length > 100 ? longer : shorter)[i];
			assert_near((double)freq[i], want, 2e-6 * want);
		}
	}
	assert_false(rope_varies(&(struct rope){.type = ROPE_YARN, .original_max_position = 1}, 100));
}

/* A table of given positions has the rows of the whole; the attention factor is in it. */
static void
test_table(void **state)
{
	(void)state;
	const int32_t pos[] = {3, 0, 7};
	const struct rope r = {.theta = 100, .rotary = 6, .attention_factor = 1.5f};
	float freq[3], c[8 * 3], s[8 * 3], some_c[3 * 3], some_s[3 * 3];
	rope_frequencies(freq, &r, 8);
	rope_table(c, s, freq, NULL, 8, &r);
	rope_table(some_c, some_s, freq, pos, 3, &r);
	for (int i = 0; i < 3; i++) {
		assert_same_floats(some_c + (ptrdiff_t)i * 3, c + (ptrdiff_t)pos[i] * 3, 3);
		assert_same_floats(some_s + (ptrdiff_t)i * 3, s + (ptrdiff_t)pos[i] * 3, 3);
	}
	assert_near((double)c[3 * 3 + 1], 1.5 * cos(3 * (double)freq[1]), 1e-6);
	assert_near((double)s[3 * 3 + 1], 1.5 * sin(3 * (double)freq[1]), 1e-6);
}

enum { T = 7, POSITIONS = 200 };
static const int32_t pos[T] = {0, 1, 2, 0, 63, 199, 7};

static void
check_turn(int heads, int D, int rotary)
{
	struct rope r = {.type = ROPE_DEFAULT, .theta = 10000, .rotary = rotary, .factor = 1, .attention_factor = 1};
	size_t n = (size_t)(T * heads * D), table = (size_t)(POSITIONS * rotary / 2);
	float *freq = random_floats((size_t)rotary / 2, 1, 0), *c = random_floats(table, 1, 0), *s = random_floats(table, 1, 0);
	float *x = random_floats(n, 1, 5), *before = copy_floats(x, n);
	double *want = to_double(x, n), *original = to_double(x, n);
	rope_frequencies(freq, &r, 100);
	rope_table(c, s, freq, NULL, POSITIONS, &r);
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

/* bf16 heads are turned in fp32 and rounded; what lies between them stays. */
static void
test_types(void **state)
{
	(void)state;
	enum { HEADS = 3, ROTARY = 38, STRIDE = 45, LD = HEADS * STRIDE + 3, N = T * LD };
	float *x = random_floats(N, 1, 1), *c = random_floats(POSITIONS * ROTARY / 2, 1, 2),
	      *s = random_floats(POSITIONS * ROTARY / 2, 1, 3);
	uint16_t *half = hold(xreallocarray(NULL, N, sizeof *half));
	for (int i = 0; i < N; i++)
		x[i] = bf16_to_f32(half[i] = bf16_from_f32(x[i]));
	for (int sign = -1; sign <= 1; sign += 2) {
		rope_apply((struct heads){rows_f32(x, LD), STRIDE}, c, s, pos, T, HEADS, ROTARY, (float)sign);
		rope_apply((struct heads){{half, LD, NUM_BF16}, STRIDE}, c, s, pos, T, HEADS, ROTARY, (float)sign);
		for (int i = 0; i < N; i++) {
			assert_int_equal(half[i], bf16_from_f32(x[i]));
			x[i] = bf16_to_f32(half[i]);
		}
	}
	release_all();
}

/* What the embedding is for: a product of two turned vectors depends on the distance of their positions only. */
static void
test_distance(void **state)
{
	(void)state;
	enum { D = 16 };
	struct rope r = {.type = ROPE_DEFAULT, .theta = 100, .rotary = D, .factor = 1, .attention_factor = 1};
	float freq[D / 2], c[POSITIONS * D / 2], s[POSITIONS * D / 2], *q0 = random_floats(D, 1, 1), *k0 = random_floats(D, 1, 2);
	double first = 0;
	rope_frequencies(freq, &r, 100);
	rope_table(c, s, freq, NULL, POSITIONS, &r);
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
		cmocka_unit_test(test_yarn),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_turn),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_distance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

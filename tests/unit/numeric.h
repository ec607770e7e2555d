/* What the tests of kernels share: random inputs, comparison with references in double precision, and gradients by
 * central differences of such a reference. */
#ifndef HONE_TESTS_NUMERIC_H
#define HONE_TESTS_NUMERIC_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"

/* Arrays that release_all() frees; a test takes what it needs and releases it at its end. */
static void *held[256];
static size_t n_held;

static inline void *
hold(void *p)
{
	assert_true(n_held < sizeof held / sizeof *held);
	return held[n_held++] = p;
}

static inline void
release_all(void)
{
	while (n_held > 0)
		free(held[--n_held]);
}

/* n normal numbers times `scale`, the same for the same seed; held. */
static inline float *
random_floats(size_t n, double scale, uint64_t seed)
{
	struct rng r;
	float *x = hold(xreallocarray(NULL, n, sizeof *x));
	rng_init(&r, seed, 0);
	for (size_t i = 0; i < n; i++)
		x[i] = (float)(scale * rng_normal(&r));
	return x;
}

static inline float *
copy_floats(const float *x, size_t n)
{
	float *y = hold(xreallocarray(NULL, n, sizeof *y));
	memcpy(y, x, n * sizeof *y);
	return y;
}

static inline double *
to_double(const float *x, size_t n)
{
	double *y = hold(xreallocarray(NULL, n, sizeof *y));
	for (size_t i = 0; i < n; i++)
		y[i] = (double)x[i];
	return y;
}

/* gcc 12 for ARM fails (internal compiler error) on loops of fmax and fmin over floats made double; not on these. */
static inline double
larger(double a, double b)
{
	return b > a ? b : a;
}

static inline double
smaller(double a, double b)
{
	return b < a ? b : a;
}

/* The largest |x[i]|. */
static inline double
magnitude(const float *x, size_t n)
{
	double max = 0;
	for (size_t i = 0; i < n; i++)
		max = larger(max, fabs((double)x[i]));
	return max;
}

static inline void
assert_near(double got, double want, double tolerance)
{
	if (!(fabs(got - want) <= tolerance))
		fail_msg("%.9g is not within %.2g of %.9g", got, tolerance, want);
}

/* Every |got - want| is at most `tolerance` of the largest |want|. */
static inline void
assert_all_near(const float *got, const double *want, size_t n, double tolerance)
{
	double largest = 1e-30;
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs(want[i]));
	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)got[i] - want[i]) <= tolerance * largest))
			fail_msg("element %zu of %zu: %.9g, want %.9g (largest %.3g)", i, n, (double)got[i], want[i], largest);
}

static inline void
assert_same_floats(const float *a, const float *b, size_t n)
{
	assert_memory_equal(a, b, n * sizeof *a);
}

/* The derivative of f at *x. f looks at *x through ctx. */
static inline double
derivative(double (*f)(void *), void *ctx, double *x)
{
	double at = *x, h = 1e-5 * fmax(1, fabs(at)), up, down;
	*x = at + h;
	up = f(ctx);
	*x = at - h;
	down = f(ctx);
	*x = at;
	return (up - down) / (2 * h);
}

/* Holds grad[n] - before (before NULL: 0) against the derivatives of f at x[n]: all of them, or `samples` at random.
 * The difference may be `tolerance` of the largest derivative, or of 0.1, as rounding leaves something of a zero. */
static inline void
assert_gradient(const float *grad, const float *before, double *x, size_t n, double (*f)(void *), void *ctx,
	size_t samples, double tolerance)
{
	struct rng r;
	size_t count = samples && samples < n ? samples : n;
	double *want = xreallocarray(NULL, count + 1, sizeof *want);
	float *got = xreallocarray(NULL, count + 1, sizeof *got);
	rng_init(&r, n, 1);
	for (size_t s = 0; s < count; s++) {
		size_t i = count == n ? s : (size_t)rng_below(&r, n);
		want[s] = derivative(f, ctx, &x[i]);
		got[s] = grad[i] - (before ? before[i] : 0);
	}
	got[count] = 0.1f;
	want[count] = 0.1;
	assert_all_near(got, want, count + 1, tolerance);
	free(want);
	free(got);
}

#endif

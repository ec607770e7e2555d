#include "math/update.h"

#include "math/dynamic8.h"
#include "math/simd.h"

enum { BLOCK = 1 << 14 };  /* elements that a thread takes at a time; a multiple of DYNAMIC8_BLOCK */

static int
block_length(size_t at, size_t n, size_t block)
{
	return n - at < block ? (int)(n - at) : (int)block;
}

/* ---- AdamW ---- */

/* Inlined into each of its callers, which are compiled for several instruction sets. */
HONE_INLINE void
adamw_block(float *p, float *m, float *v, const float *g, const struct adamw_update *u, int n)
{
	float b1 = u->beta1, b2 = u->beta2, rest1 = u->rest1, rest2 = u->rest2, eps = u->eps, scale = u->grad_scale,
	      keep = u->keep, size = u->step_size, v_scale = u->v_scale;
	for (int i = 0; i < n; i++) {
		float x = g[i] * scale;
		m[i] = b1 * m[i] + rest1 * x;
		v[i] = b2 * v[i] + rest2 * x * x;
		p[i] = p[i] * keep - size * m[i] / (__builtin_sqrtf(v[i]) * v_scale + eps);
	}
}

HONE_SIMD static void
adamw_span(float *p, float *m, float *v, const float *g, const struct adamw_update *u, int n)
{
	adamw_block(p, m, v, g, u, n);
}

void
adamw_update(float *p, float *m, float *v, const float *g, size_t n, const struct adamw_update *u)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t at = 0; at < n; at += BLOCK)
		adamw_span(p + at, m + at, v + at, g + at, u, block_length(at, n, BLOCK));
}

/* ---- AdamW with moments of eight bits ---- */

HONE_SIMD static void
adamw8_span(float *p, uint8_t *m8, float *m_max, uint8_t *v8, float *v_max, const float *g, const struct adamw_update *u,
	int n)
{
	const struct dynamic8 *of_m = dynamic8_signed(), *of_v = dynamic8_unsigned();
	float m[DYNAMIC8_BLOCK], v[DYNAMIC8_BLOCK];
	for (int at = 0; at < n; at += DYNAMIC8_BLOCK) {
		int k = n - at < DYNAMIC8_BLOCK ? n - at : DYNAMIC8_BLOCK, b = at / DYNAMIC8_BLOCK;
		dynamic8_read(m, m8 + at, m_max[b], k, of_m);
		dynamic8_read(v, v8 + at, v_max[b], k, of_v);
		adamw_block(p + at, m, v, g + at, u, k);
		m_max[b] = dynamic8_write(m8 + at, m, k, of_m);
		v_max[b] = dynamic8_write(v8 + at, v, k, of_v);
	}
}

void
adamw8_update(float *p, uint8_t *m, float *m_max, uint8_t *v, float *v_max, const float *g, size_t n,
	const struct adamw_update *u)
{
	dynamic8_signed();  /* made before there are threads */
	dynamic8_unsigned();
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t at = 0; at < n; at += BLOCK) {
		size_t b = at / DYNAMIC8_BLOCK;
		adamw8_span(p + at, m + at, m_max + b, v + at, v_max + b, g + at, u, block_length(at, n, BLOCK));
	}
}

/* ---- SGD ---- */

HONE_SIMD static void
sgd_span(float *p, const float *g, const struct sgd_update *u, int n)
{
	float scale = u->grad_scale, decay = u->decay, lr = u->lr;
	for (int i = 0; i < n; i++)
		p[i] -= lr * (g[i] * scale + decay * p[i]);
}

HONE_SIMD static void
momentum_span(float *p, float *velocity, const float *g, const struct sgd_update *u, int n)
{
	float scale = u->grad_scale, decay = u->decay, momentum = u->momentum, lr = u->lr;
	for (int i = 0; i < n; i++) {
		velocity[i] = momentum * velocity[i] + (g[i] * scale + decay * p[i]);
		p[i] -= lr * velocity[i];
	}
}

void
sgd_update(float *p, float *velocity, const float *g, size_t n, const struct sgd_update *u)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t at = 0; at < n; at += BLOCK) {
		int k = block_length(at, n, BLOCK);
		if (velocity)
			momentum_span(p + at, velocity + at, g + at, u, k);
		else
			sgd_span(p + at, g + at, u, k);
	}
}

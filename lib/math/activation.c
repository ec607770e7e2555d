#include "math/activation.h"

#include "math/simd.h"

enum { BLOCK = 1 << 10 };  /* elements of a row taken at a time: what goes in and out stays in the first cache */

HONE_SIMD static void
forward_block(float *out, const float *gate, const float *up, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = gate[i] / (1.0f + exp_f32(-gate[i])) * up[i];
}

HONE_SIMD static void
backward_block(float *dgate, float *dup, const float *dout, const float *gate, const float *up, int n)
{
	for (int i = 0; i < n; i++) {
		float g = gate[i], d = dout[i], sigmoid = 1.0f / (1.0f + exp_f32(-g));
		dup[i] = d * g * sigmoid;
		dgate[i] = d * up[i] * sigmoid * (1.0f + g * (1.0f - sigmoid));
	}
}

/* Calls f for each block of each row: row t, columns c .. c+n-1. */
#define FOR_BLOCKS(T, F, f) \
	_Pragma("omp parallel for schedule(static) if ((size_t)(T) * (size_t)(F) > PARALLEL_MIN)") \
	for (int t = 0; t < (T); t++) \
		for (int c = 0; c < (F); c += BLOCK) { \
			int n = (F) - c < BLOCK ? (F) - c : BLOCK; \
			f; \
		}

static void
forward(struct rows out, struct rows gate, struct rows up, int t, int c, int n)
{
	float a[BLOCK], b[BLOCK], o[BLOCK], *to = row_begin(out, t, c, o);
	forward_block(to, row_load(gate, t, c, n, a), row_load(up, t, c, n, b), n);
	row_store(out, t, c, n, to);
}

void
swiglu_forward(struct rows out, struct rows gate, struct rows up, int T, int F)
{
	FOR_BLOCKS(T, F, forward(out, gate, up, t, c, n))
}

static void
backward(struct rows dgate, struct rows dup, struct rows dout, struct rows gate, struct rows up, int t, int c, int n)
{
	float a[BLOCK], b[BLOCK], d[BLOCK], da[BLOCK], db[BLOCK];
	float *to_gate = row_begin(dgate, t, c, da), *to_up = row_begin(dup, t, c, db);
	backward_block(to_gate, to_up, row_load(dout, t, c, n, d), row_load(gate, t, c, n, a), row_load(up, t, c, n, b), n);
	row_store(dgate, t, c, n, to_gate);
	row_store(dup, t, c, n, to_up);
}

void
swiglu_backward(struct rows dgate, struct rows dup, struct rows dout, struct rows gate, struct rows up, int T, int F)
{
	FOR_BLOCKS(T, F, backward(dgate, dup, dout, gate, up, t, c, n))
}

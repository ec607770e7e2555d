#include "math/activation.h"

#include "math/simd.h"

enum { BLOCK = 1 << 12 };

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

static int
block_length(size_t n, size_t i)
{
	return n - i < BLOCK ? (int)(n - i) : BLOCK;
}

void
swiglu_forward(float *out, const float *gate, const float *up, size_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t i = 0; i < n; i += BLOCK)
		forward_block(out + i, gate + i, up + i, block_length(n, i));
}

void
swiglu_backward(float *dgate, float *dup, const float *dout, const float *gate, const float *up, size_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL_MIN)
	for (size_t i = 0; i < n; i += BLOCK)
		backward_block(dgate + i, dup + i, dout + i, gate + i, up + i, block_length(n, i));
}

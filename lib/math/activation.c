#include "math/activation.h"

#include <stdbool.h>

#include "math/activation_int.h"
#include "math/bf16_kernel.h"
#include "math/simd.h"

enum { BLOCK = 1 << 10 };  /* elements of a row taken at a time: what goes in and out stays in the first cache */

/* ---- f and its derivative, of a block ---- */

/* Whether f is one of those of math/activation_int.h. */
static bool
sigmoid_of(enum activation f, struct sigmoid *g)
{
	const float two_u = 1.59576912f;  /* 2 sqrt(2/pi) */
	*g = f == ACT_SILU ? (struct sigmoid){1, 0} : f == ACT_QUICK_GELU ? (struct sigmoid){1.702f, 0}
		: (struct sigmoid){two_u, 0.044715f * two_u};
	return f == ACT_SILU || f == ACT_QUICK_GELU || f == ACT_GELU_TANH;
}

/* The value and the slope at x. What s is given is beyond all rounding where x^2 is cut off. */
HONE_INLINE float
sigmoid_at(float x, struct sigmoid g, float *slope)
{
	float square = x * x, bend = g.b == 0 ? 0 : g.b * (square < 1e6f ? square : 1e6f);
	float e = exp_f32(-x * (g.b == 0 ? g.a : g.a + bend)), s = 1.0f / (1.0f + e), value = x * s;
	*slope = s + value * (e * s) * (g.b == 0 ? g.a : g.a + 3.0f * bend);  /* e s: 1 - s without its rounding */
	return value;
}

HONE_SIMD static void
sigmoid_block(float *value, float *slope, const float *x, int n, struct sigmoid g)
{
	for (int i = 0; i < n; i++)
		value[i] = sigmoid_at(x[i], g, &slope[i]);
}

/* f(x) = x Phi(x). Phi(-z) = e^(-z^2/2) h(z), where h is close to a polynomial in t = 1 / (1 + 0.29 z): this one,
 * through Chebyshev's nodes, is within 1.5e-8 of h, relatively, for z up to 6, where Phi(-z) is 1e-9. */
HONE_SIMD static void
normal_block(float *value, float *slope, const float *x, int n)
{
	for (int i = 0; i < n; i++) {
		float z = x[i] < 0 ? -x[i] : x[i];
		z = z < 13.0f ? z : 13.0f;
		float density = exp_f32(-0.5f * z * z), t = 1.0f / (1.0f + 0.29f * (z < 6.0f ? z : 6.0f));
		float h = 0.0399379544f;
		h = h * t - 0.195203754f;
		h = h * t + 0.309493646f;
		h = h * t - 0.152829531f;
		h = h * t + 0.184807624f;
		h = h * t + 0.0783514383f;
		h = h * t + 0.120045446f;
		h = h * t + 0.115397183f;
		float tail = h * t * density, phi = x[i] < 0 ? tail : 1.0f - tail;
		value[i] = x[i] * phi;
		slope[i] = phi + x[i] * 0.398942280f * density;
	}
}

HONE_SIMD static void
relu_block(float *value, float *slope, const float *x, int n)
{
	for (int i = 0; i < n; i++) {
		slope[i] = x[i] > 0 ? 1.0f : 0.0f;
		value[i] = x[i] > 0 ? x[i] : 0.0f;
	}
}

static void
curve(enum activation f, float *value, float *slope, const float *x, int n)
{
	struct sigmoid g;
	if (sigmoid_of(f, &g))
		sigmoid_block(value, slope, x, n, g);
	else if (f == ACT_GELU)
		normal_block(value, slope, x, n);
	else
		relu_block(value, slope, x, n);
}

HONE_SIMD static void
multiply_block(float *out, const float *a, const float *b, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = a[i] * b[i];
}

HONE_SIMD static void
gated_block(float *dgate, float *dup, const float *dout, const float *value, const float *slope, const float *up, int n)
{
	for (int i = 0; i < n; i++) {
		float d = dout[i];
		dup[i] = d * value[i];
		dgate[i] = d * up[i] * slope[i];
	}
}

/* ---- gates over bf16, as most models have them: the same without buffers between. Out may be in. ---- */

HONE_INLINE void
half_gate(uint16_t *out, const uint16_t *gate, const uint16_t *up, int n, struct sigmoid g)
{
#pragma GCC ivdep
	for (int i = 0; i < n; i++) {
		float slope;
		out[i] = bf16_from_f32(sigmoid_at(bf16_to_f32(gate[i]), g, &slope) * bf16_to_f32(up[i]));
	}
}

HONE_INLINE void
half_gate_backward(uint16_t *out, uint16_t *dgate, uint16_t *dup, const uint16_t *dout, const uint16_t *gate,
	const uint16_t *up, int n, struct sigmoid g)
{
#pragma GCC ivdep
	for (int i = 0; i < n; i++) {
		float slope, value = sigmoid_at(bf16_to_f32(gate[i]), g, &slope), of_up = bf16_to_f32(up[i]), d = bf16_to_f32(dout[i]);
		if (out)
			out[i] = bf16_from_f32(value * of_up);
		dup[i] = bf16_from_f32(d * value);
		dgate[i] = bf16_from_f32(d * of_up * slope);
	}
}

/* For SwiGLU the compiler knows a and b. */
HONE_SIMD static void
half_gate_block(uint16_t *out, const uint16_t *gate, const uint16_t *up, int n, struct sigmoid g)
{
	if (g.a == 1 && g.b == 0)
		half_gate(out, gate, up, n, (struct sigmoid){1, 0});
	else
		half_gate(out, gate, up, n, g);
}

/* out may be NULL. */
HONE_SIMD static void
half_gate_block_backward(uint16_t *out, uint16_t *dgate, uint16_t *dup, const uint16_t *dout, const uint16_t *gate,
	const uint16_t *up, int n, struct sigmoid g)
{
	if (g.a == 1 && g.b == 0 && out)
		half_gate_backward(out, dgate, dup, dout, gate, up, n, (struct sigmoid){1, 0});
	else if (out)
		half_gate_backward(out, dgate, dup, dout, gate, up, n, g);
	else
		half_gate_backward(NULL, dgate, dup, dout, gate, up, n, g);
}

static bool
all_half(const struct rows *r, int n)
{
	for (int i = 0; i < n; i++)
		if (r[i].type != NUM_BF16)
			return false;
	return true;
}

/* ---- rows ---- */

/* Calls f for each block of each row: row t, columns c .. c+n-1. */
#define FOR_BLOCKS(T, F, f) \
	_Pragma("omp parallel for schedule(static) if ((size_t)(T) * (size_t)(F) > PARALLEL_MIN)") \
	for (int t = 0; t < (T); t++) \
		for (int c = 0; c < (F); c += BLOCK) { \
			int n = (F) - c < BLOCK ? (F) - c : BLOCK; \
			f; \
		}

static void
plain_forward(enum activation f, struct rows out, struct rows x, int t, int c, int n)
{
	float a[BLOCK], slope[BLOCK], o[BLOCK], *to = row_begin(out, t, c, o);
	curve(f, to, slope, row_load(x, t, c, n, a), n);
	row_store(out, t, c, n, to);
}

void
activation_forward(enum activation f, struct rows out, struct rows x, int T, int F)
{
	FOR_BLOCKS(T, F, plain_forward(f, out, x, t, c, n))
}

static void
plain_backward(enum activation f, struct rows out, struct rows dx, struct rows dout, struct rows x, int t, int c, int n)
{
	float a[BLOCK], v[BLOCK], slope[BLOCK], d[BLOCK], o[BLOCK], *to = row_begin(dx, t, c, o);
	float *value = out.data ? row_begin(out, t, c, v) : v;
	curve(f, value, slope, row_load(x, t, c, n, a), n);
	if (out.data)
		row_store(out, t, c, n, value);
	multiply_block(to, row_load(dout, t, c, n, d), slope, n);
	row_store(dx, t, c, n, to);
}

void
activation_backward(enum activation f, struct rows out, struct rows dx, struct rows dout, struct rows x, int T, int F)
{
	FOR_BLOCKS(T, F, plain_backward(f, out, dx, dout, x, t, c, n))
}

static void
half_forward(struct sigmoid f, struct rows out, struct rows gate, struct rows up, int t, int c, int n)
{
	row_ahead(gate, t + 1, c, n);
	row_ahead(up, t + 1, c, n);
#ifdef __x86_64__
	if (bf16_instructions()) {
		half_gate_avx512(rows_at(out, t, c).data, rows_at(gate, t, c).data, rows_at(up, t, c).data, n, f);
		return;
	}
#endif
	half_gate_block(rows_at(out, t, c).data, rows_at(gate, t, c).data, rows_at(up, t, c).data, n, f);
}

static void
half_backward(struct sigmoid f, struct rows out, struct rows dgate, struct rows dup, struct rows dout, struct rows gate,
	struct rows up, int t, int c, int n)
{
	row_ahead(dout, t + 1, c, n);
	row_ahead(gate, t + 1, c, n);
	row_ahead(up, t + 1, c, n);
#ifdef __x86_64__
	if (bf16_instructions()) {
		half_gate_backward_avx512(out.data ? rows_at(out, t, c).data : NULL, rows_at(dgate, t, c).data, rows_at(dup, t, c).data,
			rows_at(dout, t, c).data, rows_at(gate, t, c).data, rows_at(up, t, c).data, n, f);
		return;
	}
#endif
	half_gate_block_backward(out.data ? rows_at(out, t, c).data : NULL, rows_at(dgate, t, c).data, rows_at(dup, t, c).data,
		rows_at(dout, t, c).data, rows_at(gate, t, c).data, rows_at(up, t, c).data, n, f);
}

static void
gate_forward(enum activation f, struct rows out, struct rows gate, struct rows up, int t, int c, int n)
{
	float a[BLOCK], b[BLOCK], value[BLOCK], slope[BLOCK], o[BLOCK], *to = row_begin(out, t, c, o);
	curve(f, value, slope, row_load(gate, t, c, n, a), n);
	multiply_block(to, value, row_load(up, t, c, n, b), n);
	row_store(out, t, c, n, to);
}

void
gated_forward(enum activation f, struct rows out, struct rows gate, struct rows up, int T, int F)
{
	struct sigmoid g;
	if (sigmoid_of(f, &g) && all_half((struct rows[]){out, gate, up}, 3)) {
		FOR_BLOCKS(T, F, half_forward(g, out, gate, up, t, c, n))
		return;
	}
	FOR_BLOCKS(T, F, gate_forward(f, out, gate, up, t, c, n))
}

static void
gate_backward(enum activation f, struct rows out, struct rows dgate, struct rows dup, struct rows dout, struct rows gate,
	struct rows up, int t, int c, int n)
{
	float a[BLOCK], b[BLOCK], d[BLOCK], value[BLOCK], slope[BLOCK], o[BLOCK], da[BLOCK], db[BLOCK];
	float *to_gate = row_begin(dgate, t, c, da), *to_up = row_begin(dup, t, c, db);
	const float *of_up = row_load(up, t, c, n, b);
	curve(f, value, slope, row_load(gate, t, c, n, a), n);
	if (out.data) {
		float *again = row_begin(out, t, c, o);
		multiply_block(again, value, of_up, n);
		row_store(out, t, c, n, again);
	}
	gated_block(to_gate, to_up, row_load(dout, t, c, n, d), value, slope, of_up, n);
	row_store(dgate, t, c, n, to_gate);
	row_store(dup, t, c, n, to_up);
}

void
gated_backward(enum activation f, struct rows out, struct rows dgate, struct rows dup, struct rows dout,
	struct rows gate, struct rows up, int T, int F)
{
	struct sigmoid g;
	if (sigmoid_of(f, &g) && all_half((struct rows[]){dgate, dup, dout, gate, up, out}, out.data ? 6 : 5)) {
		FOR_BLOCKS(T, F, half_backward(g, out, dgate, dup, dout, gate, up, t, c, n))
		return;
	}
	FOR_BLOCKS(T, F, gate_backward(f, out, dgate, dup, dout, gate, up, t, c, n))
}

/* How fast the kernels between the products are, in bf16 on the rows of a SmolLM2-135M step: ns a row of the narrow or
 * the wide kind and GB/s of what must be read and written, beside a copy. The least of many runs, taken in turns.
 *
 *   elements [THREADS] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "math/activation.h"
#include "math/gemm.h"
#include "math/loss.h"
#include "math/norm.h"
#include "math/rope.h"
#include "math/update.h"
#include "math/vector.h"

enum { T = 2048, C = 576, F = 1536, H = 12, D = 64, V = 49152, LOSS_ROWS = 256, N = 1 << 22, TURNS = 40 };

static struct rows x, dx, half_x, xn, dxn, dy, up, act, dup, qk, logits;
static float w[C], w_grad[C], *p, *m, *v, *g, cos_[T * D / 2], sin_[T * D / 2], coef[LOSS_ROWS], nll[LOSS_ROWS];
static int32_t pos[T], best[LOSS_ROWS], target[LOSS_ROWS];
static struct norm_stat stat[T];
static const struct norm norm = {NORM_RMS, 1e-5f, w, NULL};

static struct rows
make(enum num type, int n, int columns, double scale)
{
	struct rng r;
	struct rows a = {xreallocarray(NULL, (size_t)n * (size_t)columns, num_size(type)), columns, type};
	rng_init(&r, (uint64_t)columns, 0);
	for (size_t i = 0; i < (size_t)n * (size_t)columns; i++) {
		float f = (float)(scale * (rng_uniform(&r) + rng_uniform(&r) - 1));
		if (type == NUM_F32)
			((float *)a.data)[i] = f;
		else
			((uint16_t *)a.data)[i] = bf16_from_f32(f);
	}
	return a;
}

static void
start(void)
{
	x = make(NUM_F32, T, C, 1), dx = make(NUM_F32, T, C, 1), half_x = make(NUM_BF16, T, C, 1),
	xn = make(NUM_BF16, T, C, 1);
	dxn = make(NUM_BF16, T, C, 1), dy = make(NUM_BF16, T, C, 1), up = make(NUM_BF16, T, 2 * F, 3);
	act = make(NUM_BF16, T, F, 1), dup = make(NUM_BF16, T, 2 * F, 1), qk = make(NUM_BF16, T, 960, 1);
	logits = make(NUM_BF16, LOSS_ROWS, V, 4);
	p = make(NUM_F32, 1, N, 1).data, m = make(NUM_F32, 1, N, 1e-3).data, v = make(NUM_F32, 1, N, 0).data,
	g = make(NUM_F32, 1, N, 1).data;
	for (int i = 0; i < C; i++)
		w[i] = 1;
	for (int i = 0; i < T; i++)
		pos[i] = i % 512;
	for (int i = 0; i < T * D / 2; i++)
		cos_[i] = 0.6f, sin_[i] = 0.8f;
	for (int i = 0; i < LOSS_ROWS; i++)
		coef[i] = 1e-3f, target[i] = i;
	norm_forward(xn, half_x, stat, x, &norm, T, 1, C);
}

/* ---- what is measured ---- */

static void
copy(void)
{
	rows_copy(dx, x, T, C);
}

static void
keep(void)
{
	rows_copy(half_x, x, T, C);
}

static void
forward(void)
{
	norm_forward(xn, half_x, stat, x, &norm, T, 1, C);
}

static void
again(void)
{
	norm_again(xn, stat, half_x, &norm, T, 1, C);
}

static void
backward(void)
{
	norm_backward(dx, 1, &(struct norm_grad){0}, &(struct norm_also){xn, dy}, dxn, half_x, &norm, stat, T, 1, C);
}

static void
weights(void)
{
	norm_backward(dx, 1, &(struct norm_grad){w_grad, NULL}, &(struct norm_also){xn, dy}, dxn, half_x, &norm, stat,
		T, 1, C);
}

static void
swiglu(void)
{
	gated_forward(ACT_SILU, act, up, rows_at(up, 0, F), T, F);
}

static void
swiglu_back(void)
{
	gated_backward(ACT_SILU, act, dup, rows_at(dup, 0, F), dup, up, rows_at(up, 0, F), T, F);
}

static void
geglu(void)
{
	gated_forward(ACT_GELU_TANH, act, up, rows_at(up, 0, F), T, F);
}

static void
geglu_back(void)
{
	gated_backward(ACT_GELU_TANH, act, dup, rows_at(dup, 0, F), dup, up, rows_at(up, 0, F), T, F);
}

static void
turn(void)
{
	rope_apply((struct heads){qk, D}, cos_, sin_, pos, T, H, D, 1);
}

static void
entropy(void)
{
	cross_entropy(logits, nll, best, target, coef, LOSS_ROWS, V);
}

static void
zero(void)
{
	vec_zero(g, N);
}

static void
squares(void)
{
	p[0] += (float)vec_sum_squares(g, N) * 1e-30f;
}

static void
adamw(void)
{
	const struct adamw_update u = {1, 0.9f, 0.999f, 1e-8f, 0.1f, 0.001f, 1, 1e-6f, 1};
	adamw_update(p, m, v, g, N, &u);
}

static const struct {
	const char *name;
	void (*run)(void);
	double bytes; /* that it must read and write */
	double times; /* in a step of LoRA, a layer */
} kernels[] = {
	{"copy fp32", copy, 8.0 * T *C, 0},
	{"fp32 to bf16", keep, 6.0 * T *C, 0},
	{"norm", forward, 8.0 * T *C, 2},
	{"norm again", again, 4.0 * T *C, 0},
	{"norm backward", backward, 16.0 * T *C, 2},
	{"with weights", weights, 20.0 * T *C, 0},
	{"SwiGLU", swiglu, 6.0 * T *F, 1},
	{"SwiGLU backward", swiglu_back, 12.0 * T *F, 1},
	{"GeGLU", geglu, 6.0 * T *F, 0},
	{"GeGLU backward", geglu_back, 12.0 * T *F, 0},
	{"rotary", turn, 4.0 * T *H *D, 2},
	{"cross entropy", entropy, 4.0 * LOSS_ROWS *V, (double)T / LOSS_ROWS / 30},
	{"zero", zero, 4.0 * N, 0},
	{"sum of squares", squares, 4.0 * N, 0},
	{"AdamW", adamw, 28.0 * N, 0},
};

int
main(int argc, char **argv)
{
	enum { KERNELS = sizeof kernels / sizeof *kernels };
	double least[KERNELS], sum = 0;
	math_set_threads(argc > 1 ? atoi(argv[1]) : 1);
	start();
	for (int k = 0; k < KERNELS; k++)
		least[k] = INFINITY;
	for (int i = 0; i < TURNS; i++)
		for (int k = 0; k < KERNELS; k++) {
			double begin = clock_seconds();
			kernels[k].run();
			least[k] = fmin(least[k], clock_seconds() - begin);
		}
	printf("%-16s %10s %8s %12s\n", "kernel", "us", "GB/s", "ms a step");
	for (int k = 0; k < KERNELS; k++) {
		printf("%-16s %10.1f %8.1f %12.2f\n", kernels[k].name, least[k] * 1e6,
			kernels[k].bytes / least[k] / 1e9, least[k] * 30e3 * kernels[k].times);
		sum += least[k] * 30e3 * kernels[k].times;
	}
	printf("%-16s %32.2f\n", "all", sum);
	return 0;
}

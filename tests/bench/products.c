/* How fast the trainer's products are: bf16 of this library, beside OpenBLAS's sgemm, oneDNN's bf16 with weights packed
 * beforehand (if it was there when this was built), and what the registers alone could do, all in one run.
 *
 *	products [-t seconds each] [-o models or layers] [rows...]
 *
 * Numbers are GFLOP/s; a product of M x N x K counts 2 M N K. */
#include <cblas.h>
#include <getopt.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "math/bf16.h"
#include "math/gemm.h"
#include "math/product.h"
#include "products_onednn.h"
#include "products_peak.h"

static double seconds_each = 0.1;

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct shape {
	const char *model;
	int out, in;
	const char *what;
};

static const struct shape shapes[] = {
	{"SmolLM2-135M", 576, 576, "q, o"},
	{"SmolLM2-135M", 192, 576, "k, v"},
	{"SmolLM2-135M", 960, 576, "qkv"},
	{"SmolLM2-135M", 1536, 576, "gate, up"},
	{"SmolLM2-135M", 576, 1536, "down"},
	{"SmolLM2-135M", 49152, 576, "head"},
	{"SmolLM2-135M", 8, 576, "LoRA A"},
	{"SmolLM2-135M", 576, 8, "LoRA B"},
	{"Qwen2.5-0.5B", 896, 896, "q, o"},
	{"Qwen2.5-0.5B", 128, 896, "k, v"},
	{"Qwen2.5-0.5B", 4864, 896, "gate, up"},
	{"Qwen2.5-0.5B", 896, 4864, "down"},
	{"Qwen2.5-0.5B", 151936, 896, "head"},
	{"Qwen2.5-0.5B", 16, 896, "LoRA A"},
	{"Qwen2.5-0.5B", 896, 16, "LoRA B"},
};

enum kind { FORWARD, BACKWARD, WEIGHT };
static const char *const kind_names[] = {"forward", "backward", "weight"};

/* A product and its operands in bf16 and in fp32. */
struct job {
	enum kind kind;
	int T, out, in;
	uint16_t *x, *y, *w;
	float *fx, *fy, *fw;
	struct onednn *dnn;
};

static void
run_hone(const struct job *j)
{
	struct rows x = {j->x, j->in, NUM_BF16}, y = {j->y, j->out, NUM_BF16};
	struct matrix w = {.form = MATRIX_BF16, .out = j->out, .in = j->in, .data = j->w};
	if (j->kind == FORWARD)
		product_forward(y, x, &w, j->T, 1, 0);
	else if (j->kind == BACKWARD)
		product_backward(x, y, &w, j->T, 1, 0);
	else
		product_weight(j->fw, false, y, x, j->T, j->out, j->in, 1);
}

static void
run_openblas(const struct job *j)
{
	int T = j->T, out = j->out, in = j->in;
	if (j->kind == FORWARD)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, T, out, in, 1, j->fx, in, j->fw, in, 0, j->fy, out);
	else if (j->kind == BACKWARD)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, in, out, 1, j->fy, out, j->fw, in, 0, j->fx, in);
	else
		cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, out, in, T, 1, j->fy, out, j->fx, in, 1, j->fw, in);
}

static void
run_onednn(const struct job *j)
{
	onednn_run(j->dnn);
}

static double
seconds(void (*run)(const struct job *), const struct job *j)
{
	double start = now();
	run(j);
	return now() - start;
}

enum { HONE, OPENBLAS, ONEDNN, CONTENDERS };

/* GFLOP/s of each, 0 for one that is not there: the best of several runs, in turns, so that what else the machine does
 * strikes all of them. */
static void
rates(double best[CONTENDERS], const struct job *j)
{
	static void (*const run[])(const struct job *) = {run_hone, run_openblas, run_onednn};
	double end = now() + seconds_each * CONTENDERS;
	for (int turn = 0; turn < 3 || now() < end; turn++)
		for (int i = 0; i < CONTENDERS; i++) {
			double rate = i == ONEDNN && !j->dnn ? 0 : 2e-9 * j->T * j->out * j->in / seconds(run[i], j);
			best[i] = turn && rate > best[i] ? rate : turn ? best[i] : 0;  /* the first turn warms up */
		}
}

static void
fill(uint16_t *h, float *f, size_t n, float scale)
{
	uint32_t seed = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		f[i] = scale * ((float)(seed >> 8) / 8388608.0f - 1);
		h[i] = bf16_from_f32(f[i]);
	}
}

static struct job
make_job(const struct shape *s, int T)
{
	size_t nx = (size_t)T * (size_t)s->in, ny = (size_t)T * (size_t)s->out, nw = (size_t)s->out * (size_t)s->in;
	struct job j = {FORWARD, T, s->out, s->in, xalloc_aligned(nx, 2), xalloc_aligned(ny, 2), xalloc_aligned(nw, 2),
		xalloc_aligned(nx, 4), xalloc_aligned(ny, 4), xalloc_aligned(nw, 4), NULL};
	fill(j.x, j.fx, nx, 1);
	fill(j.y, j.fy, ny, 1);
	fill(j.w, j.fw, nw, 0.05f);
	return j;
}

static void
release_job(struct job *j)
{
	free(j->x), free(j->y), free(j->w);
	free(j->fx), free(j->fy), free(j->fw);
}

static void
open_onednn(struct job *j)
{
	if (j->kind == FORWARD)
		j->dnn = onednn_open(NUM_BF16, j->x, j->w, j->y, j->T, j->out, j->in, false, true);
	else if (j->kind == BACKWARD)
		j->dnn = onednn_open(NUM_BF16, j->y, j->w, j->x, j->T, j->in, j->out, false, false);
	else
		j->dnn = onednn_open(NUM_BF16, j->y, j->x, j->w, j->out, j->in, j->T, true, false);
}

static void
measure(const struct shape *s, int T)
{
	struct job j = make_job(s, T);
	for (j.kind = FORWARD; j.kind <= WEIGHT; j.kind++) {
		double r[CONTENDERS], peak = peak_rate();
		open_onednn(&j);
		rates(r, &j);
		onednn_close(j.dnn);
		printf("%-12s %-8s %5d %6d %5d %-8s %8.1f %6.1f%% %8.1f %6.2f %8.1f %6.2f\n", s->model, s->what, T, s->out, s->in,
			kind_names[j.kind], r[HONE], peak > 0 ? 100 * r[HONE] / peak : 0, r[OPENBLAS], r[HONE] / r[OPENBLAS], r[ONEDNN],
			j.dnn ? r[HONE] / r[ONEDNN] : 0);
		fflush(stdout);
	}
	release_job(&j);
}

int
main(int argc, char **argv)
{
	const char *only = "";
	int c, n_rows = 3, rows[16] = {512, 1024, 2048};
	math_start(argv);
	while ((c = getopt(argc, argv, "t:o:")) != -1)
		if (c == 't')
			seconds_each = strtod(optarg, NULL);
		else if (c == 'o')
			only = optarg;
		else
			return 64;
	if (optind < argc)
		n_rows = 0;
	for (; optind < argc && n_rows < 16; optind++)
		rows[n_rows++] = atoi(argv[optind]);
	int threads = math_set_threads(0);
	printf("%s, %d threads\n", math_backend(), threads);
	printf("%-12s %-8s %5s %6s %5s %-8s %8s %7s %8s %6s %8s %6s\n", "model", "layer", "rows", "out", "in", "product",
		"hone", "of peak", "sgemm", "ratio", "onednn", "ratio");
	for (int m = 0; m < n_rows; m++)
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			if (strstr(shapes[i].model, only) || strstr(only, shapes[i].what))
				measure(&shapes[i], shapes[i].out > 40000 && rows[m] > 512 ? 512 : rows[m]);
	printf("registers alone: %.1f GFLOP/s\n", peak_rate());
	return 0;
}

/* Generation of one stream, and how near it comes to the rate at which memory can be read:
 *
 *   generate DIR [BITS [DTYPE [TOKENS]]]
 *
 * DIR as tests/bench/make_model.sh makes it; BITS 8, 4, or 0 for weights as stored. Prints one JSON object. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "math/gemm.h"
#include "math/quantize.h"
#include "model/generate.h"
#include "read_rate.h"

enum { PROMPT = 16 };

static size_t
matrix_bytes(const struct matrix *m)
{
	const size_t n = (size_t)m->out * (size_t)m->in;
	switch (m->form) {
	case MATRIX_F32:
		return 4 * n;
	case MATRIX_BF16:
	case MATRIX_F16:
		return 2 * n;
	case MATRIX_INT8:
		return n + 4 * (size_t)matrix_rows(m);
	case MATRIX_NF4:
		break;
	}
	return n / 2 + n / NF4_BLOCK + n / NF4_BLOCK / 64;
}

/* What a token reads of the weights: all matrices once. Of keys and values there are next to none. */
static size_t
bytes_a_token(const struct model *m)
{
	size_t bytes = 0;
	for (size_t i = 0; model_linear(m, i); i++)
		bytes += matrix_bytes(&model_linear(m, i)->w->matrix);
	return bytes;
}

/* Tokens a second, one after the other. */
static double
generate(struct model *m, int tokens)
{
	struct generator g = {0};
	struct sampler s;
	int32_t ids[PROMPT];
	for (int i = 0; i < PROMPT; i++)
		ids[i] = 5 + i;
	generator_init(&g, m, PROMPT + tokens);
	sampler_init(&s, 0, 0, 1, 1);
	int32_t next = generator_next(&g, ids, PROMPT, &s);
	double start = clock_seconds();
	for (int i = 0; i < tokens && next >= 0; i++)
		next = generator_next(&g, &next, 1, &s);
	double took = clock_seconds() - start;
	sampler_release(&s);
	generator_release(&g);
	return tokens / took;
}

int
main(int argc, char **argv)
{
	struct model m;
	struct err e;
	math_start(argv);
	if (argc < 2) {
		fputs("usage: generate DIR [BITS [DTYPE [TOKENS]]]\n", stderr);
		return ERR_USAGE;
	}
	math_set_threads(0);
	const char *dtype = argc > 3 ? argv[3] : "auto";
	const struct model_options opt = {.bits = argc > 2 ? atoi(argv[2]) : 0, .compute = math_compute(dtype)};
	double start = clock_seconds();
	if (model_open(&m, argv[1], &opt, &e) < 0) {
		fprintf(stderr, "generate: %s\n", e.msg);
		return e.code;
	}
	double opened = clock_seconds() - start, tokens = generate(&m, argc > 4 ? atoi(argv[4]) : 64);
	double memory = read_rate(), bytes = (double)bytes_a_token(&m);
	json_t *o = json_pack("{s:s, s:i, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "model", argv[1], "bits", opt.bits,
		"dtype", opt.compute == NUM_BF16 ? "bfloat16" : "float32", "threads", math_threads(),
		"open_seconds", opened, "tokens_per_second", tokens, "mb_per_token", bytes / 1e6, "gb_per_second", tokens * bytes / 1e9,
		"memory_gb_per_second", memory / 1e9, "share", tokens * bytes / memory);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(4));
	putchar('\n');
	json_decref(o);
	model_release(&m);
	return 0;
}
